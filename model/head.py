"""Category and kernel branches, shared over the five levels (SOLOv2, section 3.1 and figure 2).

N images, S grid side of a level, C classes, E kernel channels.
"""
import math

import paddle.nn as nn
import paddle.nn.functional as F
from paddle.nn.initializer import Constant, Normal

from model.layers import BiasConv, DropBlock, append_coordinates, head_conv, resize


class SOLOv2Head(nn.Layer):
    """[p2..p6] -> category logits 5 x [N, C, S, S] and kernels 5 x [N, E, S, S]."""

    def __init__(self, in_channels, num_classes, num_grids, channels, num_convs, kernel_channels,
                 norm_groups=32, dcn=0, dcn_convs=(), dcn_bias=False, drop_block=False):
        super().__init__()
        self.num_grids = num_grids

        def tower(first_channels):
            return nn.LayerList([
                head_conv(channels if i else first_channels, channels, 3, norm_groups,
                          dcn if i in dcn_convs else 0, dcn_bias)
                for i in range(num_convs)])

        self.category_tower = tower(in_channels)
        self.kernel_tower = tower(in_channels + 2)
        rare = -math.log((1 - 0.01) / 0.01)  # every class starts at probability 0.01 (focal loss)
        self.category_pred = BiasConv(channels, num_classes, 3, padding=1,
                                      weight_attr=Normal(0.0, 0.01), bias_attr=Constant(rare))
        self.kernel_pred = BiasConv(channels, kernel_channels, 3, padding=1,
                                    weight_attr=Normal(0.0, 0.01), bias_attr=Constant(0.0))
        self.drop_block = DropBlock() if drop_block else None

    def forward(self, features):
        p2, p3, p4, p5, p6 = features
        # p2 at half size is the mean of 2x2 pixels: bilinear with scale 0.5 and half-pixel centres.
        levels = [F.avg_pool2d(p2, 2, 2), p3, p4, p5, resize(p6, p5.shape[2:])]
        outputs = [self.level(x, side) for x, side in zip(levels, self.num_grids, strict=True)]
        return [logits for logits, _ in outputs], [kernels for _, kernels in outputs]

    def level(self, x, side):
        """One level [N, in, H, W] -> logits [N, C, S, S], kernels [N, E, S, S]."""
        kernels = resize(append_coordinates(x), [side, side])
        logits = kernels[:, :-2]             # the category branch does not see the coordinates
        for conv in self.category_tower:
            logits = conv(logits)
        for conv in self.kernel_tower:
            kernels = conv(kernels)
        if self.drop_block:
            logits, kernels = self.drop_block(logits), self.drop_block(kernels)
        return self.category_pred(logits), self.kernel_pred(kernels)
