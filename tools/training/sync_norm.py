"""Batch norm whose statistics are taken over all processes.

GPUs have nn.SyncBatchNorm, which has no CPU kernel; `SyncBatchNorm` is its definition, for CPUs.
"""
import paddle
import paddle.nn as nn
import paddle.nn.functional as F
from paddle.autograd import PyLayer

from tools.distributed import all_reduce, get_rank, get_world_size


class SyncBatchNorm(nn.BatchNorm2D):
    """`norm` with the mean and (biased) variance of the batches of all processes in training."""

    def __init__(self, norm):
        super().__init__(norm._num_features, norm._momentum, norm._epsilon)
        self.weight, self.bias = norm.weight, norm.bias
        self._mean, self._variance = norm._mean, norm._variance

    def forward(self, x):
        if not self.training:
            return super().forward(x)
        y, mean, variance = NormalizeTogether.apply(x, self.weight, self.bias, self._epsilon)
        for running, value in ((self._mean, mean), (self._variance, variance)):
            running.scale_(self._momentum).add_(value * (1 - self._momentum))
        return y


class NormalizeTogether(PyLayer):
    """x [N, C, H, W] -> (y, mean [C], variance [C]), with one sum over all processes each way.

    The processes' losses are added up, so the gradient of the statistics is the sum of theirs;
    that of weight and bias [C] is this process's share, to be added up with the other gradients.
    """

    @staticmethod
    def forward(ctx, x, weight, bias, epsilon):
        ctx.learning = [not tensor.stop_gradient for tensor in (x, weight, bias)]
        count = x.size // x.shape[1]
        mean = channel_sums(x) / count
        squares = channel_sums(affine(x, paddle.ones_like(mean), -mean).square())
        own = paddle.concat([paddle.to_tensor([float(count)]), mean, squares])
        slots = F.one_hot(paddle.to_tensor([get_rank()]), get_world_size()).t()         # [R, 1]
        sums = all_reduce(slots * own)                                            # [R, 1 + 2 C]
        counts, means, squares = sums.split([1, *mean.shape, *mean.shape], axis=1)
        count = counts.sum()
        mean = (counts * means).sum(0) / count
        variance = (squares + counts * (means - mean).square()).sum(0) / count
        inverse = paddle.rsqrt(variance + epsilon)
        ctx.save_for_backward(x, weight, mean, inverse, count)
        ctx.mark_non_differentiable(mean, variance)
        return affine(x, weight * inverse, bias - mean * weight * inverse), mean, variance

    @staticmethod
    def backward(ctx, gradient, *_):
        x, weight, mean, inverse, count = ctx.saved_tensor()

        def to_parameters(sums):
            return (sums[1] - mean * sums[0]) * inverse, sums[0]

        sums = paddle.stack([channel_sums(gradient), channel_sums(gradient * x)])
        weight_gradient, bias_gradient = to_parameters(sums)
        all_weight, all_bias = to_parameters(all_reduce(sums.clone()))
        scale = weight * inverse
        slope = -scale * inverse * all_weight / count
        x_gradient = affine(gradient, scale, -scale * all_bias / count - slope * mean)
        x_gradient += affine(x, slope, paddle.zeros_like(slope))
        gradients = x_gradient, weight_gradient, bias_gradient
        return tuple(one if learns else None
                     for one, learns in zip(gradients, ctx.learning, strict=True))


def affine(x, scale, shift):
    """x * scale + shift per channel; as a BatchNorm, since Paddle broadcasts slowly on a CPU."""
    return F.batch_norm(x, paddle.zeros_like(scale), paddle.ones_like(scale), scale, shift,
                        training=False, epsilon=0.0)


def channel_sums(x):
    """[N, C, H, W] -> [C]"""
    return x.flatten(2).sum(2).sum(0)


def synchronize_norms(model):
    """Let the BatchNorms that learn statistics take them over all processes; in place.

    Parameters and names stay what they were.
    """
    if get_world_size() == 1:
        return
    on_gpu = paddle.get_device().startswith("gpu")
    replacement = nn.SyncBatchNorm.convert_sync_batchnorm if on_gpu else SyncBatchNorm
    for parent in model.sublayers(include_self=True):
        for name, layer in list(parent.named_children()):
            if type(layer) is nn.BatchNorm2D and not layer._use_global_stats:
                parent.add_sublayer(name, replacement(layer))
