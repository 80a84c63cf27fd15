"""Feature pyramid (Lin et al. 2017): 1x1 lateral and 3x3 output convolutions.

All of them have a bias, and no norm or activation.
"""
import paddle.nn as nn
from paddle.nn.initializer import Constant, XavierUniform

from model.layers import BiasConv, upsample_nearest


class FPN(nn.Layer):
    """[c2..c5] -> [p2..p6] at strides 4, 8, 16, 32, 64, all with `channels` channels."""

    def __init__(self, in_channels, channels=256):
        super().__init__()
        self.lateral = nn.LayerList([
            BiasConv(c, channels, 1, weight_attr=XavierUniform(fan_out=c), bias_attr=Constant(0.0))
            for c in in_channels])
        self.output = nn.LayerList([
            BiasConv(channels, channels, 3, padding=1,
                     weight_attr=XavierUniform(fan_out=9 * channels), bias_attr=Constant(0.0))
            for _ in in_channels])

    def forward(self, features):
        levels = [lateral(c) for lateral, c in zip(self.lateral, features, strict=True)]
        for i in range(len(levels) - 1, 0, -1):
            levels[i - 1] = levels[i - 1] + upsample_nearest(levels[i])
        levels = [output(p) for output, p in zip(self.output, levels, strict=True)]
        return [*levels, levels[-1][:, :, ::2, ::2]]                  # p6: every second pixel of p5
