"""ResNet 18/34/50/101 (He et al. 2015, 2018) and ResNeXt, with deformable stages, in 3 variants.

"a" strides in the first 1x1 convolution of a bottleneck (AdelaiDet, detectron2), "b" in the 3x3 one
(torch, PaddleDetection "vb"), "d" as b with a stem of three 3x3 convolutions and an average-pooled
shortcut ("vd").
"""
import paddle.nn as nn
import paddle.nn.functional as F

from model.layers import ConvNorm

# depth: blocks per stage
BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
STAGES = ("res2", "res3", "res4", "res5")


class Shortcut(nn.Layer):
    """1x1 projection with the stride of the block; variant d pools by it and then projects."""

    def __init__(self, in_channels, out_channels, stride, pooled, freeze_statistics):
        super().__init__()
        self.pooled = pooled and stride == 2
        self.proj = ConvNorm(in_channels, out_channels, 1, 1 if self.pooled else stride,
                             freeze_statistics=freeze_statistics, relu=False)

    def forward(self, x):
        return self.proj(F.avg_pool2d(x, 2, 2, ceil_mode=True) if self.pooled else x)


class BasicBlock(nn.Layer):
    """Two 3x3 convolutions (R18, R34)."""

    expansion = 1

    def __init__(self, in_channels, channels, stride, variant, freeze_statistics, dcn, groups,
                 group_width):
        super().__init__()
        self.conv1 = ConvNorm(in_channels, channels, 3, stride, freeze_statistics=freeze_statistics)
        self.conv2 = ConvNorm(channels, channels, 3, dcn=dcn, freeze_statistics=freeze_statistics,
                              relu=False)
        self.shortcut = None
        if stride != 1 or in_channels != channels:
            self.shortcut = Shortcut(in_channels, channels, stride, variant == "d",
                                     freeze_statistics)

    def forward(self, x):
        identity = self.shortcut(x) if self.shortcut else x
        return F.relu(self.conv2(self.conv1(x)) + identity)


class Bottleneck(nn.Layer):
    """1x1, 3x3, 1x1; the 3x3 one may be grouped (ResNeXt) or deformable."""

    expansion = 4

    def __init__(self, in_channels, channels, stride, variant, freeze_statistics, dcn, groups,
                 group_width):
        super().__init__()
        width, out_channels = channels * group_width // 64 * groups, channels * self.expansion
        stride1, stride2 = (stride, 1) if variant == "a" else (1, stride)
        frozen = {"freeze_statistics": freeze_statistics}
        self.conv1 = ConvNorm(in_channels, width, 1, stride1, **frozen)
        self.conv2 = ConvNorm(width, width, 3, stride2, groups, dcn=dcn, **frozen)
        self.conv3 = ConvNorm(width, out_channels, 1, relu=False, **frozen)
        self.shortcut = None
        if stride != 1 or in_channels != out_channels:
            self.shortcut = Shortcut(in_channels, out_channels, stride, variant == "d",
                                     freeze_statistics)

    def forward(self, x):
        identity = self.shortcut(x) if self.shortcut else x
        return F.relu(self.conv3(self.conv2(self.conv1(x))) + identity)


class ResNet(nn.Layer):
    """images [N, 3, H, W] -> [c2, c3, c4, c5] at strides 4, 8, 16, 32, with `channels` channels."""

    def __init__(self, depth=50, variant="b", width=64, groups=1, group_width=64, dcn=0,
                 dcn_stages=(), freeze_statistics=False):
        super().__init__()
        block = Bottleneck if depth >= 50 else BasicBlock
        frozen = {"freeze_statistics": freeze_statistics}
        if variant == "d":
            self.stem = nn.LayerList([ConvNorm(3, width // 2, 3, 2, **frozen),
                                      ConvNorm(width // 2, width // 2, 3, **frozen),
                                      ConvNorm(width // 2, width, 3, **frozen)])
        else:
            self.stem = nn.LayerList([ConvNorm(3, width, 7, 2, **frozen)])
        in_channels, self.channels = width, []
        for number, (name, num_blocks) in enumerate(zip(STAGES, BLOCKS[depth], strict=True)):
            channels = width * 2 ** number
            stage_dcn = dcn if number + 2 in dcn_stages else 0
            blocks = []
            for index in range(num_blocks):
                stride = 2 if index == 0 and number > 0 else 1
                blocks.append(block(in_channels, channels, stride, variant, freeze_statistics,
                                    stage_dcn, groups, group_width))
                in_channels = channels * block.expansion
            self.add_sublayer(name, nn.Sequential(*blocks))
            self.channels.append(in_channels)

    def forward(self, x):
        for conv in self.stem:
            x = conv(x)
        x = F.max_pool2d(x, 3, stride=2, padding=1)
        features = []
        for name in STAGES:
            x = getattr(self, name)(x)
            features.append(x)
        return features

    def stages(self):
        """[stem, res2, ..., res5]: what is frozen, or has a learning rate, of its own."""
        return [self.stem, *(getattr(self, name) for name in STAGES)]
