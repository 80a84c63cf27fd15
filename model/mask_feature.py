"""Unified mask feature branch (SOLOv2, figure 3): p2..p5 brought to stride 4 and summed."""
import paddle.nn as nn
import paddle.nn.functional as F

from model.layers import append_coordinates, head_conv


class MaskFeature(nn.Layer):
    """[p2, p3, p4, p5] -> mask features [N, E, H/4, W/4], not negative.

    Level i goes through max(i, 1) convolutions, each but that of p2 followed by a bilinear x2.
    p5 gets coordinates.
    """

    def __init__(self, in_channels, channels, out_channels, norm_groups=32, dcn=0, dcn_bias=False):
        super().__init__()
        self.levels = nn.LayerList()
        for level in range(4):
            first = in_channels + 2 if level == 3 else in_channels
            self.levels.append(nn.LayerList([
                head_conv(channels if i else first, channels, 3, norm_groups, dcn, dcn_bias)
                for i in range(max(level, 1))]))
        self.pred = head_conv(channels, out_channels, 1, norm_groups, dcn, dcn_bias)

    def forward(self, features):
        total = self.levels[0][0](features[0])
        for level, x in enumerate(features[1:], start=1):
            if level == 3:
                x = append_coordinates(x)
            for conv in self.levels[level]:
                x = F.interpolate(conv(x), scale_factor=2, mode="bilinear", align_corners=False)
            total = total + x
        return self.pred(total)
