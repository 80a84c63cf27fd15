"""The network as files of ncnn: a .param text with a line per layer, and a .bin of their numbers.

Built by the calls that build an ONNX graph (onnx_graph.py).  ncnn's own converters fix the
image size; here a layer knows no size, and the coordinates that CoordConv appends are inputs.
The convolutions of the head, which all levels share, are a net of their own: in one net ncnn would
keep their weights, and what it makes of them, once per level.
"""
import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tools.engines.network import OUTPUTS, NetworkWriter

NETWORK, HEAD = "network.param", "head.param"
LEVEL = "level"                               # [in + 2, S, S], what the head takes of a level
LEVELS = tuple(f"{LEVEL}_{number}" for number in range(5))
HEAD_OUTPUTS = "category_logits", "kernels"   # of one level
MASK_FEATURES = OUTPUTS[-1]
MAGIC = 7767517
COORDINATES = "coordinates/"                  # and a stride: the name of an input
CONVOLUTIONS = ("Convolution", "ConvolutionDepthWise", "DeformableConv2D")
ARRAY = -23300                                # minus the key: the key of a parameter with a list
RELU = 9                                      # key of the activation of a convolution, which is 1
ADD, MULTIPLY = 0, 2                          # operations of BinaryOp
NEAREST, BILINEAR = 1, 2                      # modes of Interp
UNKNOWN = math.nan


def write_network(folder, model):
    """Write two nets, each a .param and a .bin file, to a folder.

    network: "images" and coordinates -> LEVELS and MASK_FEATURES; head: LEVEL -> HEAD_OUTPUTS.
    """
    graph = NcnnGraph("images")
    levels, mask_features = NcnnWriter(model, graph).before_head("images")
    graph.save(Path(folder, NETWORK),
               {**dict(zip(levels, LEVELS, strict=True)), mask_features: MASK_FEATURES})
    graph = NcnnGraph(LEVEL)
    outputs = NcnnWriter(model, graph).head_level(LEVEL)
    graph.save(Path(folder, HEAD), dict(zip(outputs, HEAD_OUTPUTS, strict=True)))


class NcnnWriter(NetworkWriter):
    """The parts of the network that ncnn has other means for."""

    def append_coordinates(self, x):
        return self.graph("Concat", x, self.graph.coordinates(x), axis=1)

    def resize(self, x, scales=None, size=None, like=None, mode="linear"):
        graph, kind = self.graph, NEAREST if mode == "nearest" else BILINEAR
        if like is not None:
            factor = graph.strides[like] / graph.strides[x]
            return graph.layer("Interp", [x, like], {0: kind, 5: 1}, factor=factor)
        if size is not None:
            return graph.layer("Interp", [x], {0: kind, 3: size[0], 4: size[1]}, factor=UNKNOWN)
        return graph.layer("Interp", [x], {0: kind, 1: scales[2], 2: scales[3]},
                           factor=1 / scales[2])


@dataclass
class Layer:
    """A line of the .param file; parameters by ncnn's numbers for them."""

    kind: str
    inputs: list
    outputs: list
    parameters: dict = field(default_factory=dict)
    arrays: tuple = ()                        # of the .bin file

    def line(self):
        """`kind name inputs outputs names... key=value...`; the first output names the layer."""
        words = [self.kind, self.outputs[0], len(self.inputs), len(self.outputs), *self.inputs,
                 *self.outputs, *(setting(*item) for item in self.parameters.items())]
        return " ".join(map(str, words))


def setting(key, value):
    if isinstance(value, (list, tuple)):
        return f"{ARRAY - key}={len(value)},{','.join(map(str, value))}"
    return f"{key}={value:.9e}" if isinstance(value, float) else f"{key}={value}"


class NcnnGraph:
    """y = graph("Conv", x, weight, strides=[2, 2]) adds a layer; values are known by their names.

    strides: {value: pixels of the image per pixel}, UNKNOWN where the size is a fixed one.
    """

    def __init__(self, first_input):
        self.layers, self.strides = [Layer("Input", [], [first_input])], {first_input: 1}

    def __call__(self, op, *inputs, name="", outputs=1, **attributes):
        return OPERATIONS[op](self, *inputs, name=name or op, **attributes)

    def layer(self, kind, inputs, parameters=None, arrays=(), *, name="", outputs=1, factor=1):
        """The value that a new layer gives, or a list of several.

        factor: by which its stride is that of the first input.
        """
        name = f"{name or kind}/{len(self.layers)}"
        values = [name] if outputs == 1 else [f"{name}/{i}" for i in range(outputs)]
        self.layers.append(Layer(kind, list(inputs), values, parameters or {}, arrays))
        self.strides.update(dict.fromkeys(values, self.strides[inputs[0]] * factor))
        return values[0] if outputs == 1 else values

    def constant(self, value, name=""):
        return value

    def coordinates(self, x):
        """The input with the two coordinate channels for x."""
        value = f"{COORDINATES}{int(self.strides[x])}"
        if value not in self.strides:
            self.strides[value] = self.strides[x]
            self.layers.append(Layer("Input", [], [value]))
        return value

    def group_norm(self, x, scale, shift, groups, epsilon, name):
        parameters = {0: groups, 1: len(scale), 2: float(epsilon), 3: 1}
        return self.layer("GroupNorm", [x], parameters, (scale, shift), name=name)

    def relu(self, x):
        """A part of the convolution if that comes right before: nothing else uses its output."""
        last = self.layers[-1]
        if last.outputs == [x] and last.kind in CONVOLUTIONS:
            last.parameters[RELU] = 1
            return x
        return self.layer("ReLU", [x])

    def save(self, path, outputs):
        """Write PATH and its .bin; outputs: {value: its name for users}."""
        for layer in self.layers:
            layer.outputs = [outputs.get(value, value) for value in layer.outputs]
        layers = list(with_splits(self.layers))
        num_values = sum(len(layer.outputs) for layer in layers)
        lines = [str(MAGIC), f"{len(layers)} {num_values}", *(layer.line() for layer in layers), ""]
        Path(path).write_text("\n".join(lines), encoding="ascii")
        with open(Path(path).with_suffix(".bin"), "wb") as file:
            for array in (array for layer in layers for array in layer.arrays):
                file.write(np.ascontiguousarray(array, np.float32))


def with_splits(layers):
    """The layers, and a Split behind each value that more than one of them takes."""
    uses = Counter(value for layer in layers for value in layer.inputs)
    copies = {value: [f"{value}/copy{i}" for i in range(count)]
              for value, count in uses.items() if count > 1}
    left = {value: iter(names) for value, names in copies.items()}
    for layer in layers:
        layer.inputs = [next(left[value]) if value in left else value for value in layer.inputs]
        yield layer
        for value in layer.outputs:
            if value in copies:
                yield Layer("Split", [value], copies[value])


def conv(graph, x, weight, bias, *, name, kernel_shape, strides, pads, group):
    kind, parameters = "Convolution", convolution(weight, bias, kernel_shape, strides, pads)
    if group > 1:
        kind, parameters[7] = "ConvolutionDepthWise", group
    return graph.layer(kind, [x], parameters, numbers(weight, bias), name=name, factor=strides[0])


def deform_conv(graph, x, weight, offset, bias, mask, *, name, kernel_shape, strides, pads, group):
    if group > 1:
        raise ValueError("ncnn has no deformable convolution with groups")
    return graph.layer("DeformableConv2D", [x, offset] + ([] if mask is None else [mask]),
                       convolution(weight, bias, kernel_shape, strides, pads),
                       numbers(weight, bias), name=name, factor=strides[0])


def convolution(weight, bias, kernel_shape, strides, pads):
    """The parameters of all kinds of convolutions."""
    (height, width), (top, left, bottom, right) = kernel_shape, pads
    return {0: len(weight), 1: width, 11: height, 3: strides[1], 13: strides[0], 4: left, 14: top,
            15: right, 16: bottom, 5: int(bias is not None), 6: weight.size}


def numbers(weight, bias):
    """In the .bin file a weight starts with the mark of float32, which is 0; a bias does not."""
    return (np.zeros(1, np.float32), weight, *(() if bias is None else (bias,)))


def pool(maximum):
    def layer(graph, x, *, name, kernel_shape, strides, pads=(0, 0, 0, 0)):
        parameters = {0: 0 if maximum else 1, 1: kernel_shape[1], 11: kernel_shape[0],
                      2: strides[1], 12: strides[0], 3: pads[1], 13: pads[0], 14: pads[3],
                      15: pads[2], 5: 1}                       # 5: no more padding than that
        return graph.layer("Pooling", [x], parameters, factor=strides[0])
    return layer


def channels(graph, x, starts, ends, axes, *, name):
    """A slice of the channels."""
    if axes != [1]:
        raise ValueError(f"a slice of axes {axes}: only of [1], the channels, is expected")
    return graph.layer("Crop", [x], {9: starts, 10: ends, 11: [0]})


OPERATIONS = {
    "Add": lambda graph, x, y, name: graph.layer("BinaryOp", [x, y], {0: ADD}),
    "AveragePool": pool(maximum=False),
    "Concat": lambda graph, *parts, name, axis: graph.layer("Concat", parts, {0: axis - 1}),
    "Conv": conv,
    "DeformConv": deform_conv,
    "GlobalAveragePool": lambda graph, x, name: graph.layer(
        "Pooling", [x], {0: 1, 7: 1, 8: 1, 18: 1}, factor=UNKNOWN),            # adaptive, to 1x1
    "HardSigmoid": lambda graph, x, name, alpha, beta: graph.layer(
        "HardSigmoid", [x], {0: alpha, 1: beta}),
    "HardSwish": lambda graph, x, name: graph.layer("HardSwish", [x], {0: 1 / 6, 1: 0.5}),
    "MaxPool": pool(maximum=True),
    "Mul": lambda graph, x, y, name: graph.layer("BinaryOp", [x, y], {0: MULTIPLY}),
    "Relu": lambda graph, x, name: graph.relu(x),
    "Sigmoid": lambda graph, x, name: graph.layer("Sigmoid", [x]),
    "Slice": channels,
    "Split": lambda graph, x, sizes, name, axis: graph.layer(
        "Slice", [x], {0: sizes, 1: axis - 1}, outputs=len(sizes)),
}
