"""The network as ONNX nodes: every layer kind of model/ once more, for any batch and image size.

`graph` is an OnnxGraph, or a PaddleGraph or NcnnGraph for the same in another format.
BatchNorm is folded into the convolution before it.  Whoever uses what is written compares it with
the network itself first (tools/engines/check.py), so the two cannot drift apart unnoticed.
"""
import numpy as np
import paddle.nn as nn

from model.layers import DeformConv
from model.mobilenet_v3 import TAPPED_BLOCKS, MobileNetV3
from model.resnet import STAGES

OUTPUTS = (*(f"category_logits_{level}" for level in range(5)),
           *(f"kernels_{level}" for level in range(5)), "mask_features")
DOUBLE = [1.0, 1.0, 2.0, 2.0]                                # scales of N, C, H, W


class NetworkWriter:
    """NetworkWriter(model, graph)("images") -> the values of OUTPUTS, in that order.

    The methods are the forward passes of the modules that they are named after.
    """

    def __init__(self, model, graph):
        self.model, self.graph = model, graph
        self.names = {id(layer): name for name, layer in model.named_sublayers()}

    def __call__(self, images):
        levels, mask_features = self.before_head(images)
        category_logits, kernels = zip(*map(self.head_level, levels), strict=True)
        return [*category_logits, *kernels, mask_features]

    def before_head(self, images):
        """What `head_level` takes of each level, and the mask features."""
        write_backbone = (self.mobilenet_v3 if isinstance(self.model.backbone, MobileNetV3)
                          else self.resnet)
        pyramid = self.fpn(self.model.fpn, write_backbone(self.model.backbone, images))
        return (self.head_inputs(self.model.head, pyramid),
                self.mask_feature(self.model.mask_feature, pyramid[:4]))

    # -- layers ------------------------------------------------------------------------------------
    def conv(self, conv, x, norm=None):
        """A plain or deformable convolution, with the BatchNorm `norm` folded into it."""
        name, graph = self.names[id(conv)], self.graph
        weight, bias = folded(conv, norm)
        weight_name = graph.constant(weight, f"{name}.weight")
        bias_name = None if bias is None else graph.constant(bias, f"{name}.bias")
        deformable = isinstance(conv, DeformConv)
        settings = {"name": name, "kernel_shape": weight.shape[2:],
                    "strides": [conv.stride] * 2 if deformable else conv._stride,
                    "pads": [weight.shape[2] // 2] * 4,
                    "group": conv.groups if deformable else conv._groups}
        if not deformable:
            return graph("Conv", x, weight_name, bias_name, **settings)
        offset, mask = self.conv(conv.offset, x), None
        if conv.version == 2:
            offset, mask = graph("Split", offset, [conv.num_offsets, conv.num_offsets // 2],
                                 outputs=2, axis=1)
            mask = graph("Sigmoid", mask)
        return graph("DeformConv", x, weight_name, offset, bias_name, mask, **settings)

    def conv_norm(self, layer, x):
        if isinstance(layer.norm, nn.GroupNorm):
            x = self.group_norm(layer.norm, self.conv(layer.conv, x))
        else:
            x = self.conv(layer.conv, x, layer.norm)
        return self.graph("Relu", x) if layer.relu else x

    def group_norm(self, norm, x):
        name = self.names[id(norm)]
        scale, shift = (self.graph.constant(numpy_of(tensor), f"{name}.{kind}")
                        for kind, tensor in (("weight", norm.weight), ("bias", norm.bias)))
        return self.graph.group_norm(x, scale, shift, norm._num_groups, norm._epsilon, name)

    def append_coordinates(self, x):
        graph = self.graph
        h, w = (graph("Gather", graph("Shape", x), [axis]) for axis in (2, 3))
        zeros = graph("Mul", graph("Slice", x, [0], [1], [1]), 0.0)                # [N, 1, H, W]
        rows = graph("Add", zeros, graph("Unsqueeze", self.linspace(h), [1]))
        columns = graph("Add", zeros, self.linspace(w))
        return graph("Concat", x, columns, rows, axis=1)

    def linspace(self, count):
        """-1 to 1 in int64 [1] `count` steps; -1 if it is one."""
        graph = self.graph
        index = graph("Range", 0, graph("Squeeze", count, [0]), 1)
        steps = graph("Max", graph("Sub", count, 1), 1)
        index, steps = (graph("Cast", value, to="float32") for value in (index, steps))
        return graph("Sub", graph("Div", graph("Mul", index, 2.0), steps), 1.0)

    def resize(self, x, scales=None, size=None, like=None, mode="linear"):
        """By `scales`, to `size` (height, width), or to the size of the value `like`."""
        rule = "asymmetric" if mode == "nearest" else "half_pixel"
        if like is not None:
            size = self.graph("Slice", self.graph("Shape", like), [2], [4])
        if size is not None:
            size = self.graph("Concat", self.graph("Slice", self.graph("Shape", x), [0], [2]), size,
                              axis=0)
        return self.graph("Resize", x, None, scales, size, mode=mode, nearest_mode="floor",
                          coordinate_transformation_mode=rule)

    # -- backbones ---------------------------------------------------------------------------------
    def resnet(self, backbone, x):
        for conv in backbone.stem:
            x = self.conv_norm(conv, x)
        x = self.graph("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
        features = []
        for stage in STAGES:
            for block in getattr(backbone, stage):
                x = self.resnet_block(block, x)
            features.append(x)
        return features

    def resnet_block(self, block, x):
        """BasicBlock or Bottleneck."""
        identity = x
        if block.shortcut:
            if block.shortcut.pooled:      # sides are even, as they are multiples of 32 before it
                identity = self.graph("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
            identity = self.conv_norm(block.shortcut.proj, identity)
        for conv in (block.conv1, block.conv2, getattr(block, "conv3", None)):
            x = self.conv_norm(conv, x) if conv else x
        return self.graph("Relu", self.graph("Add", x, identity))

    def mobilenet_v3(self, backbone, x):
        x, features = self.graph("HardSwish", self.conv_norm(backbone.stem[0], x)), []
        for index, block in enumerate(backbone.blocks):
            x, expanded = self.inverted_residual(block, x)
            if index in TAPPED_BLOCKS:
                features.append(expanded)
        return [*features, self.graph("HardSwish", self.conv_norm(backbone.last, x))]

    def inverted_residual(self, block, x):
        activation = "HardSwish" if block.activation is nn.functional.hardswish else "Relu"
        expanded = self.graph(activation, self.conv_norm(block.expand, x))
        y = self.graph(activation, self.conv_norm(block.depthwise, expanded))
        if block.excite:
            mean = self.graph("GlobalAveragePool", y)
            factors = self.conv(block.excite.expand,
                                self.graph("Relu", self.conv(block.excite.reduce, mean)))
            y = self.graph("Mul", y, self.graph("HardSigmoid", factors, alpha=0.2, beta=0.5))
        y = self.conv_norm(block.project, y)
        return (self.graph("Add", x, y) if block.residual else y), expanded

    # -- pyramid and heads -------------------------------------------------------------------------
    def fpn(self, fpn, features):
        levels = [self.conv(lateral, c) for lateral, c in zip(fpn.lateral, features, strict=True)]
        for i in range(len(levels) - 1, 0, -1):
            larger = self.resize(levels[i], DOUBLE, mode="nearest")
            levels[i - 1] = self.graph("Add", levels[i - 1], larger)
        levels = [self.conv(output, p) for output, p in zip(fpn.output, levels, strict=True)]
        p6 = self.graph("MaxPool", levels[-1], kernel_shape=[1, 1], strides=[2, 2], pads=[0] * 4)
        return [*levels, p6]

    def head_inputs(self, head, features):
        p2, p3, p4, p5, p6 = features
        half = self.graph("AveragePool", p2, kernel_shape=[2, 2], strides=[2, 2])
        levels = [half, p3, p4, p5, self.resize(p6, like=p5)]
        return [self.resize(self.append_coordinates(x), size=[side, side])
                for x, side in zip(levels, head.num_grids, strict=True)]

    def head_level(self, kernels):
        head = self.model.head
        logits = self.graph("Slice", kernels, [0], [-2], [1])
        for conv in head.category_tower:
            logits = self.conv_norm(conv, logits)
        for conv in head.kernel_tower:
            kernels = self.conv_norm(conv, kernels)
        return self.conv(head.category_pred, logits), self.conv(head.kernel_pred, kernels)

    def mask_feature(self, branch, features):
        """The last enlargement of all levels is one: of their sum."""
        p2, *coarser = features
        total = None
        for level, x in enumerate(coarser, start=1):
            if level == 3:
                x = self.append_coordinates(x)
            first, *others = branch.levels[level]
            x = self.conv_norm(first, x)
            for conv in others:
                x = self.conv_norm(conv, self.resize(x, DOUBLE))
            total = x if total is None else self.graph("Add", total, x)
        total = self.graph("Add", self.conv_norm(branch.levels[0][0], p2),
                           self.resize(total, DOUBLE))
        return self.conv_norm(branch.pred, total)


def named(values):
    """The dictionary of the network's outputs from a list of them."""
    levels = len(values) // 2
    return {"category_logits": values[:levels], "kernels": values[levels:-1],
            "mask_features": values[-1]}


def has_deform_conv(cfg):
    """Whether the network of a config has deformable convolutions."""
    return bool(cfg.backbone_dcn or cfg.head_dcn or cfg.mask_dcn)


def numpy_of(tensor):
    return np.asarray(tensor.numpy(), np.float32)


def folded(conv, norm=None):
    """(weight, bias or None) of a convolution followed by the BatchNorm `norm`."""
    weight, bias = numpy_of(conv.weight), None if conv.bias is None else numpy_of(conv.bias)
    if norm is None:
        return weight, bias
    scale, shift, mean, variance = map(numpy_of, (norm.weight, norm.bias, norm._mean,
                                                  norm._variance))
    scale = scale / np.sqrt(variance + norm._epsilon)
    bias = shift - mean * scale + (0 if bias is None else bias * scale)
    return weight * scale.reshape(-1, 1, 1, 1), bias
