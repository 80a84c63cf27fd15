"""Convolutions by oneDNN: the same losses and gradients, in training only, and really by oneDNN."""
import random

import numpy as np
import paddle
import pytest

from model.solov2 import build_solov2
from tests.builders import make_trainer, run_python, tiny_config
from tools.data.loader import as_tensors, train_loader
from tools.data.splits import open_dataset
from tools.training import onednn
from tools.training.gradients import add_gradients
from tools.training.start import start_training

needs_onednn = pytest.mark.skipif(bool(onednn.unusable()), reason=onednn.unusable())


def gradients(cfg, batch):
    """Losses and gradients of one step from the same start, by name."""
    trainer = start_training(cfg, open_dataset(cfg, "train"), num_steps=1, resuming=True)
    losses = add_gradients(cfg, trainer.model, trainer.scaler, as_tensors(batch))
    return {"losses": losses.numpy(), **{name: parameter.grad.numpy() for name, parameter
            in trainer.model.named_parameters() if parameter.grad is not None}}


@needs_onednn
@pytest.mark.parametrize("changed", [{}, {"accumulate_steps": 2}, {"frozen_stages": 2},
                                     {"backbone_dcn": 2, "backbone_dcn_stages": (4,)}])
def test_the_step_is_the_same_but_for_rounding(tiny_cfg, changed):
    cfg = tiny_cfg.replace(**changed)
    batch = next(iter(train_loader(open_dataset(cfg, "train"), cfg, 0, 1)))
    expected = gradients(cfg.replace(onednn=False), batch)
    found = gradients(cfg.replace(onednn=True), batch)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-3,
                                   atol=1e-3 * np.abs(value).max() + 1e-7, err_msg=name)
    assert any(not np.array_equal(found[name], value) for name, value in expected.items())


@needs_onednn
@pytest.mark.parametrize("stride, padding, kernel", [((1, 1), (1, 1), 3), ((2, 2), (3, 3), 7),
                                                     ((1, 2), (0, 2), 5)])
@pytest.mark.parametrize("learning", [(True, True), (False, True), (True, False), (False, False)])
def test_any_shape_and_any_learner(stride, padding, kernel, learning):
    x, weight = paddle.randn([2, 5, 17, 23]), paddle.randn([7, 5, kernel, kernel])
    inputs = (x, weight)
    for tensor, learns in zip(inputs, learning, strict=True):
        tensor.stop_gradient = not learns
    results = []
    for convolve in (onednn.convolve, lambda x, weight, stride, padding:
                     paddle.nn.functional.conv2d(x, weight, None, stride, padding)):
        y = convolve(*inputs, stride, padding)
        assert y.stop_gradient == (not any(learning))
        learners = [tensor for tensor in inputs if not tensor.stop_gradient]
        results.append([y, *(paddle.grad(y.square().sum(), learners) if learners else ())])
    for found, expected in zip(*results, strict=True):
        scale = float(expected.abs().max())
        np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=1e-5 * scale)


@needs_onednn
def test_any_order_of_convolutions():
    """Backward passes between them, where one that was kept for other weights would not fit."""
    rng = random.Random(0)
    for _ in range(60):
        channels, height = rng.choice([8, 16, 18]), rng.choice([4, 12])
        x, weight = paddle.randn([2, channels, height, 12]), paddle.randn(
            [rng.choice([1, 3, 16, 32]), channels, 3, 3])
        x.stop_gradient = weight.stop_gradient = False
        y = onednn.convolve(x, weight, (1, 1), (1, 1))
        expected = paddle.nn.functional.conv2d(x, weight, None, 1, 1)
        np.testing.assert_allclose(y.numpy(), expected.numpy(), rtol=1e-3, atol=1e-3)
        if rng.random() < 0.7:
            ours, theirs = (paddle.grad(value.square().sum(), weight)[0] for value in (y, expected))
            np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-3, atol=1e-1)


@needs_onednn
def test_large_inputs_are_left_to_paddle(tiny_cfg, monkeypatch):
    batch = next(iter(train_loader(open_dataset(tiny_cfg, "train"), tiny_cfg, 0, 1)))
    expected = gradients(tiny_cfg.replace(onednn=False), batch)
    monkeypatch.setattr(onednn, "LARGEST_INPUT", 0)
    for name, value in gradients(tiny_cfg, batch).items():
        np.testing.assert_array_equal(expected[name], value, err_msg=name)


@needs_onednn
def test_memory_of_many_shapes_is_given_back():
    """4 MB of inputs of each of 40 shapes: kept for ever they would be more than 1 GB."""
    code = ("from tools import runtime; runtime.configure()\n"
            "import paddle\nfrom tools.training import onednn\n"
            "onednn.KEPT_INPUTS, w = 20 << 20, paddle.randn([32, 32, 3, 3])\n"
            "for width in range(160, 200):\n"
            "    x = paddle.ones([1, 32, 200, width])\n"
            "    x.stop_gradient = w.stop_gradient = False\n"
            "    onednn.forget_shapes()\n"
            "    onednn.convolve(x, w, (1, 1), (1, 1)).sum().backward()\n"
            "    assert x.grad is not None\n"
            "    start = runtime.peak_memory() if width == 164 else start if width > 164 else 0\n"
            "    del x\n"
            "    w.clear_grad()\n"
            "print(runtime.peak_memory() - start)\n")
    assert int(run_python(code).stdout.split()[-1]) < 600e6


@needs_onednn
def test_a_step_after_forgetting_is_the_same(tiny_cfg, monkeypatch):
    batch = next(iter(train_loader(open_dataset(tiny_cfg, "train"), tiny_cfg, 0, 1)))
    expected = gradients(tiny_cfg, batch)
    monkeypatch.setattr(onednn, "KEPT_INPUTS", 0)
    for name, value in gradients(tiny_cfg, batch).items():
        np.testing.assert_array_equal(expected[name], value, err_msg=name)


@needs_onednn
def test_names_of_parameters_stay_unique():
    before = paddle.nn.Conv2D(3, 3, 3).weight.name
    onednn.program.__wrapped__((8, 8, 3, 3), (1, 1), (1, 1), (True, True))
    assert paddle.in_dynamic_mode()
    assert paddle.nn.Conv2D(3, 3, 3).weight.name != before


@needs_onednn
def test_outside_training_nothing_changes():
    model = build_solov2(tiny_config())
    x = paddle.randn([1, 3, 64, 96])
    model.eval()
    expected = model(x)
    assert onednn.use_onednn(model) == "convolutions: oneDNN"
    with paddle.no_grad():
        for found in (model(x), model(x)):
            for name, value in flatten(expected).items():
                np.testing.assert_array_equal(flatten(found)[name], value, err_msg=name)


def flatten(outputs):
    return {f"{key} {number}": tensor.numpy() for key, value in outputs.items()
            for number, tensor in enumerate(value if isinstance(value, (list, tuple)) else [value])}


@needs_onednn
def test_onednn_itself_computes_both_ways():
    code = ("from tools import runtime; runtime.configure()\n"
            "import paddle\nfrom tools.training.onednn import convolve\n"
            "x, w = paddle.randn([1, 8, 16, 16]), paddle.randn([8, 8, 3, 3])\n"
            "x.stop_gradient = w.stop_gradient = False\n"
            "convolve(x, w, (1, 1), (1, 1)).sum().backward()\n")
    done = run_python(code, ONEDNN_VERBOSE="1")
    log = done.stdout + done.stderr
    for kind in ("forward", "backward_data", "backward_weights"):
        assert any("convolution" in line and kind in line for line in log.splitlines()), kind
    assert "Executor" not in log                    # Paddle's notes on its first static program


def test_who_computes_is_said(tiny_cfg, capsys):
    make_trainer(tiny_cfg, 1)
    assert "convolutions: " in capsys.readouterr().out
    make_trainer(tiny_cfg.replace(onednn=False), 1)
    assert "convolutions: Paddle's own (onednn=false)" in capsys.readouterr().out


@needs_onednn
@pytest.mark.parametrize("broken", [AttributeError, TypeError, RuntimeError])
def test_a_paddle_whose_interfaces_changed_trains_as_before(monkeypatch, broken):
    def fails(*_):
        raise broken("moved")

    onednn.unusable.cache_clear()
    monkeypatch.setattr(onednn, "program", fails)
    model = build_solov2(tiny_config())
    try:
        assert f"Paddle's own (oneDNN cannot be called: {broken.__name__})" \
            in onednn.use_onednn(model)
    finally:
        onednn.unusable.cache_clear()
    assert not any("forward" in vars(layer) for layer in model.sublayers())
