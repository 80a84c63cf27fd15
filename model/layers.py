"""The layers that the branches share: convolutions with norm, coordinates, resizing, DropBlock.

Shapes: N images, C channels, H x W pixels of a feature map.
"""
import paddle
import paddle.nn as nn
import paddle.nn.functional as F
from paddle.nn.initializer import Constant, KaimingNormal, Normal
from paddle.vision.ops import deform_conv2d


class BiasConv(nn.Conv2D):
    """nn.Conv2D that expands its bias before adding it: the same numbers, sooner on a CPU.

    Paddle's CPU kernel adds [1, C, 1, 1] element by element: 180 ms instead of 30, forward and
    backward, for two maps of 256 x 128 x 128.
    """

    def forward(self, x):
        return add_bias(F.conv2d(x, self.weight, None, self._stride, self._padding), self.bias)


def add_bias(x, bias):
    """x [N, C, H, W] + bias [C]."""
    return x + bias.reshape([1, -1, 1, 1]).expand_as(x)


class DeformConv(nn.Layer):
    """Deformable convolution v1 (offsets) or v2 (offsets and sigmoid masks); Zhu et al. 2019.

    `offset` predicts 2*k*k offsets, (dy, dx) per tap, and in v2 k*k mask logits behind them.
    It starts at zero.
    """

    def __init__(self, in_channels, out_channels, kernel, stride, groups, version, bias,
                 weight_init):
        super().__init__()
        self.version, self.stride, self.padding, self.groups = version, stride, kernel // 2, groups
        self.num_offsets = 2 * kernel * kernel
        offset_channels = self.num_offsets if version == 1 else 3 * kernel * kernel
        self.offset = nn.Conv2D(in_channels, offset_channels, kernel, stride, self.padding,
                                weight_attr=Constant(0.0), bias_attr=Constant(0.0))
        shape = [out_channels, in_channels // groups, kernel, kernel]
        self.weight = self.create_parameter(shape, attr=weight_init)
        self.bias = self.create_parameter([out_channels], is_bias=True) if bias else None

    def forward(self, x):
        offset, mask = self.offset(x), None
        if self.version == 2:
            offset, mask = offset[:, :self.num_offsets], F.sigmoid(offset[:, self.num_offsets:])
        return deform_conv2d(x, offset, self.weight, self.bias, self.stride, self.padding,
                             groups=self.groups, mask=mask)


class ConvNorm(nn.Layer):
    """Convolution (plain or deformable), BatchNorm or GroupNorm, and ReLU unless `relu=False`."""

    def __init__(self, in_channels, out_channels, kernel, stride=1, groups=1, norm_groups=0,
                 freeze_statistics=False, dcn=0, dcn_bias=False, relu=True, weight_init=None):
        super().__init__()
        fan_out = out_channels * kernel * kernel // groups
        weight_init = weight_init or KaimingNormal(fan_in=fan_out)
        if dcn:
            self.conv = DeformConv(in_channels, out_channels, kernel, stride, groups, dcn,
                                   dcn_bias, weight_init)
        else:
            self.conv = nn.Conv2D(in_channels, out_channels, kernel, stride, kernel // 2,
                                  groups=groups, weight_attr=weight_init, bias_attr=False)
        if norm_groups:
            self.norm = nn.GroupNorm(norm_groups, out_channels)
        else:
            self.norm = nn.BatchNorm2D(out_channels, use_global_stats=freeze_statistics or None)
        self.relu = relu

    def forward(self, x):
        x = self.norm(self.conv(x))
        return F.relu(x) if self.relu else x


def head_conv(in_channels, out_channels, kernel, norm_groups, dcn=0, dcn_bias=False):
    """ConvNorm as the heads use it: GroupNorm, ReLU, weights from N(0, 0.01)."""
    return ConvNorm(in_channels, out_channels, kernel, norm_groups=norm_groups, dcn=dcn,
                    dcn_bias=dcn_bias, weight_init=Normal(0.0, 0.01))


def freeze_layers(backbone, num_stages, norm_affine):
    """No gradient for the first `num_stages` of backbone.stages(), nor, on request, for norms.

    `norm_affine`: scale and shift of every BatchNorm of the backbone are frozen too.
    """
    frozen = [*backbone.stages()[:num_stages]]
    if norm_affine:
        frozen += [layer for layer in backbone.sublayers() if isinstance(layer, nn.BatchNorm2D)]
    for parameter in (p for layer in frozen for p in layer.parameters()):
        parameter.stop_gradient = True


def append_coordinates(x):
    """[N, C, H, W] -> [N, C + 2, H, W]: two more channels, x then y, from -1 to 1 over the map."""
    n, _, h, w = x.shape
    rows = paddle.linspace(-1, 1, h, dtype=x.dtype).reshape([1, 1, h, 1]).expand([n, 1, h, w])
    columns = paddle.linspace(-1, 1, w, dtype=x.dtype).reshape([1, 1, 1, w]).expand([n, 1, h, w])
    return paddle.concat([x, columns, rows], axis=1)


def resize(x, size):
    """Bilinear with half-pixel centres (align_corners=False), SOLOv2's only bilinear filter."""
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def upsample_nearest(x):
    """[N, C, H, W] -> [N, C, 2H, 2W], every pixel four times.

    F.interpolate(mode="nearest") takes three times as long on a CPU.
    """
    n, c, h, w = x.shape
    return x.reshape([n, c, h, 1, w, 1]).expand([n, c, h, 2, w, 2]).reshape([n, c, 2 * h, 2 * w])


class DropBlock(nn.Layer):
    """Drops 3x3 blocks of single channels in training (Ghiasi et al. 2018).

    PaddleDetection's rule: element-wise seeds with probability (1 - keep) / 9 * prod(s / (s - 2))
    over the sides s, and normalisation over the whole tensor.
    """

    def __init__(self, block=3, keep=0.9):
        super().__init__()
        self.block, self.keep = block, keep

    def forward(self, x):
        if not self.training:
            return x
        return self.drop(x, paddle.rand(x.shape, dtype=x.dtype))

    def drop(self, x, uniform):
        """x with 0 in the blocks around the elements whose `uniform` is below gamma.

        uniform: numbers in 0..1, of the shape of x.
        """
        gamma = (1 - self.keep) / self.block ** 2
        for side in x.shape[2:]:
            gamma *= side / (side - self.block + 1)
        seeds = (uniform < gamma).astype(x.dtype)
        kept = 1 - F.max_pool2d(seeds, self.block, stride=1, padding=self.block // 2)
        scale = 1 / kept.astype("float32").mean()                # float16 could not count them
        return x * kept * scale.astype(x.dtype)
