"""The moving average against its definition."""
import numpy as np
import paddle
import pytest

from tools.training.ema import ExponentialMovingAverage


def test_average_of_a_constant_is_the_constant_from_the_first_update():
    model = paddle.nn.BatchNorm2D(3)
    model._variance.set_value(np.float32([1, 2, 3]))
    ema = ExponentialMovingAverage(model, 0.998)
    for _ in range(3):
        ema.update()
        np.testing.assert_allclose(ema.weights()["_variance"].numpy(), [1, 2, 3], rtol=1e-6)


def test_average_equals_the_weighted_sum():
    model, values = paddle.nn.Linear(1, 1), [1.0, 5.0, -2.0, 4.0]
    ema = ExponentialMovingAverage(model, 0.25)
    numerator = denominator = 0.0
    for t, value in enumerate(values):
        model.weight.set_value(np.float32([[value]]))
        ema.update()
        decay = min(0.25, (1 + t) / (10 + t))
        numerator = decay * numerator + (1 - decay) * value
        denominator = decay * denominator + (1 - decay)
    expected = numerator / denominator
    np.testing.assert_allclose(float(ema.weights()["weight"][0, 0]), expected, rtol=1e-6)
    with ema.applied():
        np.testing.assert_allclose(float(model.weight[0, 0]), expected, rtol=1e-6)
    assert float(model.weight[0, 0]) == 4.0


def test_state_round_trip():
    model = paddle.nn.Linear(2, 2)
    ema = ExponentialMovingAverage(model, 0.9)
    ema.update()
    other = ExponentialMovingAverage(model, 0.9)
    other.load_state(ema.state())
    ema.update()
    other.update()
    for name, tensor in ema.weights().items():
        np.testing.assert_array_equal(tensor.numpy(), other.weights()[name].numpy())


def test_it_follows_weights_that_are_loaded_and_trained():
    """The average holds on to the model's own tensors."""
    model = paddle.nn.Sequential(paddle.nn.Linear(2, 2), paddle.nn.BatchNorm1D(2))
    ema = ExponentialMovingAverage(model, 0.0)
    optimizer = paddle.optimizer.SGD(0.1, parameters=model.parameters())
    model.set_state_dict({name: np.full(tensor.shape, 3, np.float32)
                          for name, tensor in model.state_dict().items()})
    model(paddle.rand([4, 2])).square().sum().backward()
    optimizer.step()
    ema.update()
    for name, tensor in model.state_dict().items():
        np.testing.assert_array_equal(ema.weights()[name].numpy(), tensor.numpy(), err_msg=name)
    assert not np.array_equal(ema.weights()["0.weight"].numpy(), np.full((2, 2), 3, np.float32))


def test_the_correction_of_paddledetection():
    """Ours and its divisor by hand, and the figures that the docstring states."""
    model = paddle.nn.Linear(1, 1)
    for correction, divisor in (("sum", 1 - 0.1 * 2 / 11), ("last", 1 - (2 / 11) ** 2)):
        ema = ExponentialMovingAverage(model, 0.9998, correction)
        model.weight.set_value(np.float32([[1.0]]))
        ema.update()
        ema.update()
        found = float(ema.weights()["weight"][0, 0])
        assert found == pytest.approx((1 - 0.1 * 2 / 11) / divisor, rel=1e-6)
    missing, larger = 1.0, {}
    for t in range(45000):
        decay = min(0.9998, (1 + t) / (10 + t))
        missing *= decay
        larger[t + 1] = (1 - missing) / (1 - decay ** (t + 1)) - 1
    assert larger[20] == pytest.approx(6e-4, rel=0.05)
    assert all(1.2e-4 < larger[t] < 1.35e-4 for t in range(1000, 45001, 1000))
