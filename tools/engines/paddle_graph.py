"""A Paddle inference program built by the calls that build an ONNX graph (onnx_graph.py).

So the network and its decoding are written down once for both formats.  Tracing model/ instead
would fix the sizes of what it computes from shapes, and oneDNN cannot run what comes out (3.3).
"""
import contextlib
import warnings

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle.vision.ops import deform_conv2d

from tools.files import check_room

IMAGES = "images", [None, 3, None, None], "float32"


class PaddleGraph:
    """y = graph("Mul", x, y): the variable of a static program that an ONNX node would give."""

    def __init__(self):
        self.parameters = {}

    def __call__(self, op, *inputs, name="", outputs=1, **attributes):
        inputs = [self.constant(value) if isinstance(value, (int, float, np.ndarray)) else value
                  for value in inputs]
        return OPERATIONS[op](*inputs, **attributes)

    def constant(self, value, name=""):
        """A parameter if it has a name, stored once; else a constant in the program."""
        if not name:
            return paddle.to_tensor(value)
        if name not in self.parameters:
            variable = paddle.static.create_parameter(value.shape, "float32", name=name)
            self.parameters[name] = variable, value
        return self.parameters[name][0]

    def group_norm(self, x, scale, shift, groups, epsilon, name):
        normal = paddle.nn.GroupNorm(groups, scale.shape[0], epsilon, weight_attr=False,
                                     bias_attr=False)(x)
        return normal * scale.reshape([-1, 1, 1]) + shift.reshape([-1, 1, 1])

    def save(self, path, images, outputs):
        """Write PATH.json (2.6: PATH.pdmodel) and PATH.pdiparams; OSError where the disk is full.
        """
        executor = paddle.static.Executor(paddle.CPUPlace())
        executor.run(paddle.static.default_startup_program())
        for variable, value in self.parameters.values():
            tensor = paddle.static.global_scope().find_var(variable.name).get_tensor()
            tensor.set(value, paddle.CPUPlace())
        paddle.static.save_inference_model(str(path), [images], outputs, executor)
        for written in path.parent.glob(f"{path.name}.*"):     # Paddle does not notice by itself
            check_room(written)


@contextlib.contextmanager
def static_program():
    """A new program in static mode; back in dygraph mode afterwards."""
    paddle.enable_static()
    try:
        with (warnings.catch_warnings(),
              paddle.static.scope_guard(paddle.base.core.Scope()),
              paddle.static.program_guard(paddle.static.Program(), paddle.static.Program())):
            warnings.filterwarnings("ignore", message="Tensor do not have 'place'")   # GroupNorm
            yield
    finally:
        paddle.disable_static()


def conv(x, weight, bias, kernel_shape, strides, pads, group):
    return F.conv2d(x, weight, bias, strides, pads[:2], groups=group)


def deform_conv(x, weight, offset, bias, mask, kernel_shape, strides, pads, group):
    return deform_conv2d(x, offset, weight, bias, strides, pads[:2], groups=group, mask=mask)


def max_pool(x, kernel_shape, strides, pads):
    top, left, bottom, right = pads
    return F.max_pool2d(x, kernel_shape, strides, [top, bottom, left, right])


def resize(x, roi, scales, size, mode, nearest_mode, coordinate_transformation_mode):
    """x2, or to (height, width) in `size`[2:]; not F.interpolate, which oneDNN fails on (3.3)."""
    for axis in (2, 3):
        if size is not None:
            x = resize_axis(x, axis, int64(size)[axis])
        else:
            x = interleave(x, x, axis) if mode == "nearest" else upsample_bilinear(x, axis)
    return x


def upsample_bilinear(x, axis):
    """Bilinear x2 with half-pixel centres along one axis."""
    padded = F.pad(x, [0, 0, 1, 1] if axis == 2 else [1, 1, 0, 0], mode="replicate")
    before = paddle.slice(padded, [axis], [0], [-2])
    after = paddle.slice(padded, [axis], [2], [2 ** 31 - 1])
    return interleave(0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after, axis)


def interleave(x, y, axis):
    return paddle.flatten(paddle.stack([x, y], axis + 1), axis, axis + 1)


def resize_axis(x, axis, size):
    """Bilinear with half-pixel centres along one axis."""
    old, new = (side.astype("float32") for side in (paddle.shape(x)[axis], size))
    position = (paddle.arange(size, dtype="int64").astype("float32") + 0.5) * old / new - 0.5
    position = paddle.minimum(F.relu(position), old - 1)
    lower = paddle.floor(position)
    upper = paddle.minimum(lower + 1, old - 1)
    weight = (position - lower).reshape([-1, 1] if axis == 2 else [1, -1])
    lower, upper = (paddle.index_select(x, index.astype("int64"), axis) for index in (lower, upper))
    return lower + (upper - lower) * weight


def int64(values):
    return paddle.to_tensor(values, dtype="int64") if isinstance(values, list) else values


def slices(x, starts, ends, axes=(0,), steps=None):
    return paddle.strided_slice(x, list(axes), starts, ends, steps or [1] * len(starts))


def gather(x, indices):
    """Rows of a vector, by indices of any shape."""
    if isinstance(indices, list):
        return paddle.gather(x, int64(indices))
    return paddle.gather(x, indices.flatten()).reshape(paddle.shape(indices))


def gather_rows(x, indices, batch_dims):
    """Of [N, R, X] the rows at [N, K, 1]."""
    images = paddle.arange(paddle.shape(x)[0]).astype("int64").reshape([-1, 1, 1])
    return paddle.gather_nd(x, paddle.concat([images + 0 * indices, indices], 2))


OPERATIONS = {
    "Add": paddle.add, "And": paddle.logical_and, "Conv": conv, "DeformConv": deform_conv,
    "Equal": paddle.equal, "Exp": paddle.exp, "Gather": gather, "Greater": paddle.greater_than,
    "GreaterOrEqual": paddle.greater_equal, "HardSwish": F.hardswish,
    "MatMul": paddle.matmul, "Max": paddle.maximum,
    "MaxPool": max_pool, "Min": paddle.minimum, "Mod": paddle.mod, "Mul": paddle.multiply,
    "Or": paddle.logical_or, "Relu": F.relu, "Resize": resize, "Sigmoid": F.sigmoid,
    "Slice": slices, "Squeeze": paddle.squeeze, "Sub": paddle.subtract,
    "Transpose": paddle.transpose, "Unsqueeze": paddle.unsqueeze, "Where": paddle.where,
    "AveragePool": lambda x, kernel_shape, strides: F.avg_pool2d(x, kernel_shape, strides),
    "Cast": lambda x, to: x.astype(to),
    "Concat": lambda *parts, axis: paddle.concat([int64(part) for part in parts], axis),
    "Div": lambda x, y: x // y if x.dtype == paddle.int64 else x / y,
    "GatherElements": lambda x, indices, axis: paddle.take_along_axis(x, indices, axis),
    "GatherND": gather_rows,
    "GlobalAveragePool": lambda x: F.adaptive_avg_pool2d(x, 1),
    "HardSigmoid": lambda x, alpha, beta: F.hardsigmoid(x, alpha, beta),
    "Range": paddle.arange,
    "ReduceMax": lambda x, axes, keepdims: paddle.max(x, axes),
    "ReduceMin": lambda x, axes, keepdims: paddle.min(x, axes),
    "ReduceSum": lambda x, axes, keepdims: paddle.sum(x, axes),
    "Reshape": paddle.reshape,
    "Shape": lambda x: paddle.shape(x).astype("int64"),
    "Split": lambda x, sizes, axis: paddle.split(x, sizes, axis),
    "TopK": lambda x, count: paddle.topk(x, count[0]),
}
