"""Convolutions of training steps by oneDNN on a CPU: two to five times as fast as Paddle's own.

Paddle's CPU kernel unfolds its input (im2col), which takes longer than the product where channels
are few.  oneDNN, which Paddle brings along, does not; but only an operator of a static program can
ask for it.  So a convolution becomes a program of that one operator, which dygraph calls like a
function and differentiates.  The numbers differ by rounding.

For every new shape oneDNN keeps memory, five to eight times the input, until it is told to forget.
So large inputs are left to Paddle, whose kernel is nearly as fast there.
"""
import functools

import paddle
import paddle.nn as nn
import paddle.nn.functional as F
from paddle.base.layer_helper import LayerHelper
from paddle.utils import unique_name

from model.layers import add_bias
from tools.quiet import quiet_output

TOLERANCE = 1e-4                # of the largest value; rounding stays below 1e-5
LARGEST_INPUT = 16 << 20        # bytes
KEPT_INPUTS = 192 << 20         # bytes of inputs of different shapes, before oneDNN forgets

kept = {}                       # shapes of inputs and weights, stride: bytes of the input


def use_onednn(model, wanted=True):
    """Let oneDNN compute the convolutions of `model` in training, where it can and is wanted.

    Layers in eval mode and under no_grad stay as they are, and so do 1x1 convolutions, which are
    a product in Paddle too, grouped ones and large inputs.  Returns a text on who computes.
    """
    if reason := unusable() if wanted else "onednn=false":
        return f"convolutions: Paddle's own ({reason})"
    for layer in model.sublayers():
        if isinstance(layer, nn.Conv2D) and layer._groups == 1 and max(layer._kernel_size) > 1:
            layer.forward = functools.partial(convolve_layer, layer, layer.forward)
    model.register_forward_pre_hook(forget_shapes)         # when no backward pass is under way
    return "convolutions: oneDNN"


@functools.cache
def unusable():
    """Why this process cannot use oneDNN; "" where it computes what Paddle does."""
    if [int(number) for number in paddle.__version__.split(".")[:2]] < [3, 3]:
        return "oneDNN needs Paddle 3.3"                   # 2.6.2 aborts in its gradient
    if not paddle.base.core.is_compiled_with_mkldnn():
        return "Paddle was built without oneDNN"
    try:
        return "" if agrees() else "oneDNN computes other numbers here"
    except (AttributeError, ImportError, NotImplementedError, OSError, RuntimeError, TypeError,
            ValueError) as error:                          # the interfaces are not public ones
        return f"oneDNN cannot be called: {type(error).__name__}"


def agrees():
    """Whether a small convolution and its gradients are those of Paddle's own kernel."""
    image, weight = paddle.rand([2, 4, 9, 12]), paddle.rand([8, 4, 3, 3]) - 0.5
    for tensor in (image, weight):
        tensor.stop_gradient = False
    results = []
    for y in (convolve(image, weight, (2, 2), (1, 1)), F.conv2d(image, weight, None, 2, 1)):
        results.append([y, *paddle.grad((y * y).sum(), [image, weight])])
    return all(float((ours - theirs).abs().max() / theirs.abs().max()) < TOLERANCE
               for ours, theirs in zip(*results, strict=True))


def convolve_layer(layer, original, x):
    """`layer(x)` of a Conv2D; `original` is its own forward."""
    if not (layer.training and paddle.is_grad_enabled()) or nbytes(x) > LARGEST_INPUT:
        return original(x)
    y = convolve(x, layer.weight, pair(layer._stride), pair(layer._padding))
    return y if layer.bias is None else add_bias(y, layer.bias)


def forget_shapes(*_):
    """Let oneDNN give back what it keeps, where that has become too much."""
    if sum(kept.values()) > KEPT_INPUTS:
        paddle.base.core.clear_executor_cache()
        kept.clear()


def nbytes(tensor):
    return 4 * tensor.size


def pair(value):
    return (value, value) if isinstance(value, int) else tuple(value)


def convolve(x, weight, stride, padding):
    """Convolution of x [N, C, H, W] with weight [D, C, k, k], float32, by oneDNN."""
    learning = not x.stop_gradient, not weight.stop_gradient
    kept[(*x.shape, *weight.shape, *stride)] = nbytes(x)
    return program(tuple(weight.shape), stride, padding, learning)([x, weight])


@functools.cache
def program(weight_shape, stride, padding, learning):
    """A convolution as a function of dygraph: ([x, weight]) -> y, for any size of x.

    weight_shape: one program for all would do, but it keeps what it makes under the shape of x
    alone, and with other weights the process is aborted.  learning: whether x and weight get
    gradients.  The program is of Paddle's old kind, whose operators carry attributes; it is
    finished by a first call, within the guard.
    """
    from paddle.pir_utils import OldIrGuard

    inputs = [paddle.zeros([1, weight_shape[1], 8, 8]), paddle.zeros(weight_shape)]
    for tensor, learns in zip(inputs, learning, strict=True):
        tensor.stop_gradient = not learns
    with unique_name.guard(), quiet_output(), OldIrGuard():     # which begins to count anew
        paddle.disable_static(paddle.CPUPlace())           # which the guard has left
        try:
            operator = paddle.jit.marker.unified(convolution_operator)     # not to be rewritten
            function = paddle.jit.to_static(operator, full_graph=True)
            _, call = function.get_concrete_program(*inputs, list(stride), list(padding))
            call(inputs)
        finally:
            paddle.enable_static()                         # as the guard expects
    return call


def convolution_operator(x, weight, stride, padding):
    """Append the operator to the program that is being written."""
    helper = LayerHelper("conv2d")
    y = helper.create_variable_for_type_inference("float32")
    helper.append_op(type="conv2d", inputs={"Input": [x], "Filter": [weight]},
                     outputs={"Output": [y]},
                     attrs={"strides": stride, "paddings": padding, "dilations": [1, 1],
                            "groups": 1, "use_mkldnn": True})
    return y
