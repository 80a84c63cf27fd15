"""Layers that replace slow ones of Paddle give the same numbers and gradients."""
import numpy as np
import paddle
import paddle.nn.functional as F
import pytest

from model.layers import BiasConv, upsample_nearest


def values_and_gradients(function, inputs):
    """Output of a function of tensors, and the gradients of a weighted sum of it."""
    for tensor in inputs:
        tensor.clear_gradient()
    y = function(*inputs)
    weights = np.random.default_rng(1).standard_normal(y.shape).astype(np.float32)
    (y * paddle.to_tensor(weights)).sum().backward()
    return [y.numpy(), *(tensor.grad.numpy() for tensor in inputs)]


@pytest.mark.parametrize("stride, padding", [(1, 1), (2, 0)])
def test_expanded_bias_is_added_as_conv2d_adds_it(stride, padding):
    conv = BiasConv(3, 5, 3, stride, padding, bias_attr=paddle.nn.initializer.Normal())
    x = paddle.randn([2, 3, 8, 11])
    x.stop_gradient = False

    def plain(x, weight, bias):
        return F.conv2d(x, weight, bias, stride, padding)

    inputs = [x, conv.weight, conv.bias]
    expected = values_and_gradients(plain, inputs)
    found = values_and_gradients(lambda x, *_: conv(x), inputs)
    np.testing.assert_array_equal(found[0], expected[0])
    for gradient, other in zip(found[1:], expected[1:], strict=True):
        np.testing.assert_allclose(gradient, other, rtol=1e-5, atol=1e-5)


def test_double_is_nearest_neighbour_interpolation():
    x = paddle.randn([2, 3, 4, 5])
    x.stop_gradient = False
    expected = values_and_gradients(lambda x: F.interpolate(x, scale_factor=2, mode="nearest"), [x])
    for value, other in zip(values_and_gradients(upsample_nearest, [x]), expected, strict=True):
        np.testing.assert_allclose(value, other, rtol=1e-6, atol=1e-6)
