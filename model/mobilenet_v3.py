"""MobileNetV3-large (Howard et al. 2019) as PaddleDetection's MobileNetV3RCNN cuts it for an FPN.

The features are not block outputs: c2, c3 and c4 are the expanded maps of the blocks that go to
strides 8, 16 and 32, before their depthwise convolution, and c5 is the last 1x1 convolution.
"""
import paddle.nn as nn
import paddle.nn.functional as F

from model.layers import ConvNorm

# Kernel, expanded channels, channels, squeeze and excite, hard swish, stride of each block.
BLOCKS = ((3, 16, 16, False, False, 1),
          (3, 64, 24, False, False, 2), (3, 72, 24, False, False, 1),
          (5, 72, 40, True, False, 2), (5, 120, 40, True, False, 1), (5, 120, 40, True, False, 1),
          (3, 240, 80, False, True, 2), (3, 200, 80, False, True, 1),
          (3, 184, 80, False, True, 1), (3, 184, 80, False, True, 1),
          (3, 480, 112, True, True, 1), (3, 672, 112, True, True, 1),
          (5, 672, 160, True, True, 2), (5, 960, 160, True, True, 1), (5, 960, 160, True, True, 1))
STEM_CHANNELS, LAST_CHANNELS = 16, 960
TAPPED_BLOCKS = (3, 6, 12)         # whose expanded maps are c2, c3, c4
REDUCTION = 4                      # of squeeze and excite
STAGE_STARTS = (0, 3, 6, 12)       # first block of the stages res2..res5


class SqueezeExcite(nn.Layer):
    """x times a factor per channel, computed from the channel means (Hu et al. 2018)."""

    def __init__(self, channels):
        super().__init__()
        self.reduce = nn.Conv2D(channels, channels // REDUCTION, 1)
        self.expand = nn.Conv2D(channels // REDUCTION, channels, 1)

    def forward(self, x):
        factors = self.expand(F.relu(self.reduce(F.adaptive_avg_pool2d(x, 1))))
        return x * F.hardsigmoid(factors, slope=0.2, offset=0.5)


class InvertedResidual(nn.Layer):
    """1x1 expansion, depthwise convolution, squeeze and excite, 1x1 projection without ReLU."""

    def __init__(self, in_channels, kernel, expanded, channels, excite, hard_swish, stride,
                 freeze_statistics):
        super().__init__()
        settings = {"freeze_statistics": freeze_statistics, "relu": False}
        self.activation = F.hardswish if hard_swish else F.relu
        self.expand = ConvNorm(in_channels, expanded, 1, **settings)
        self.depthwise = ConvNorm(expanded, expanded, kernel, stride, groups=expanded, **settings)
        self.excite = SqueezeExcite(expanded) if excite else None
        self.project = ConvNorm(expanded, channels, 1, **settings)
        self.residual = stride == 1 and in_channels == channels

    def forward(self, x):
        """x -> (output, the expanded map)."""
        expanded = self.activation(self.expand(x))
        y = self.activation(self.depthwise(expanded))
        if self.excite:
            y = self.excite(y)
        y = self.project(y)
        return (x + y if self.residual else y), expanded


class MobileNetV3(nn.Layer):
    """images [N, 3, H, W] -> [c2, c3, c4, c5] at strides 4, 8, 16, 32, with `channels` channels."""

    def __init__(self, freeze_statistics=False):
        super().__init__()
        self.stem = nn.LayerList([ConvNorm(3, STEM_CHANNELS, 3, 2, relu=False,
                                           freeze_statistics=freeze_statistics)])
        in_channels, self.blocks = STEM_CHANNELS, nn.LayerList()
        for block in BLOCKS:
            self.blocks.append(InvertedResidual(in_channels, *block, freeze_statistics))
            in_channels = block[2]
        self.last = ConvNorm(in_channels, LAST_CHANNELS, 1, freeze_statistics=freeze_statistics,
                             relu=False)
        self.channels = [*(BLOCKS[index][1] for index in TAPPED_BLOCKS), LAST_CHANNELS]

    def forward(self, x):
        x, features = F.hardswish(self.stem[0](x)), []
        for index, block in enumerate(self.blocks):
            x, expanded = block(x)
            if index in TAPPED_BLOCKS:
                features.append(expanded)
        return [*features, F.hardswish(self.last(x))]

    def stages(self):
        """[stem, res2, ..., res5] as of a ResNet: the runs of blocks between two taps."""
        blocks = [*self.blocks, self.last]
        ends = [*STAGE_STARTS[1:], len(blocks)]
        return [self.stem, *(nn.LayerList(blocks[start:end])
                             for start, end in zip(STAGE_STARTS, ends, strict=True))]
