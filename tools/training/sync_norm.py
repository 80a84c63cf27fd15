"""Batch norm whose statistics are taken over all processes.

GPUs have nn.SyncBatchNorm, which has no CPU kernel; `SyncBatchNorm` is its definition, for CPUs.
"""
import paddle
import paddle.nn as nn
from paddle.autograd import PyLayer

from tools.training.distributed import get_world_size, total


class Total(PyLayer):
    """The sum over all processes.

    Their losses are added up, so the gradient of an addend is the sum of the processes' gradients.
    """

    @staticmethod
    def forward(ctx, x):
        return total(x.clone())

    @staticmethod
    def backward(ctx, gradient):
        return total(gradient.clone())


class SyncBatchNorm(nn.BatchNorm2D):
    """`norm` with the mean and (biased) variance of the batches of all processes in training."""

    def __init__(self, norm):
        super().__init__(norm._num_features, norm._momentum, norm._epsilon)
        self.weight, self.bias = norm.weight, norm.bias
        self._mean, self._variance = norm._mean, norm._variance

    def forward(self, x):
        if not self.training:
            return super().forward(x)
        count = total(paddle.to_tensor([float(x.size // x.shape[1])]))    # sizes differ by process
        mean = Total.apply(x.sum([0, 2, 3])) / count                                        # [C]
        centered = x - mean.reshape([1, -1, 1, 1])
        variance = Total.apply((centered * centered).sum([0, 2, 3])) / count
        self.move_statistics(mean, variance)
        scale = self.weight * paddle.rsqrt(variance + self._epsilon)
        return centered * scale.reshape([1, -1, 1, 1]) + self.bias.reshape([1, -1, 1, 1])

    @paddle.no_grad()
    def move_statistics(self, mean, variance):
        for running, value in ((self._mean, mean), (self._variance, variance)):
            running.scale_(self._momentum).add_(value * (1 - self._momentum))


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
