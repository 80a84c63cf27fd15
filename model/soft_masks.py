"""Soft masks at stride 4, kept only where they matter.

U cells, E kernel channels, P = h * w pixels of the mask features.
"""
import itertools

import numpy as np
import paddle

PART = 32          # cells that a thread draws at a time: their masks fit into a cache
MARGIN = 2         # pixels kept around a mask: more than bilinear up-sampling reaches


class SoftMask:
    """One mask where it exceeds the threshold, and MARGIN pixels around.

      top, left  of `logits` in the map
      logits     float32 [h, w]
      above      bool [h, w], where they exceed the threshold
      area       pixels above it
      maskness   their mean probability, 0 for an empty mask
    """

    __slots__ = ("top", "left", "logits", "above", "area", "maskness")

    def __init__(self, logits, threshold_logit):
        above = logits > threshold_logit
        rows, columns = np.flatnonzero(above.any(1)), np.flatnonzero(above.any(0))
        if len(rows) == 0:
            rows = columns = np.zeros(1, np.int64)
        inside = logits[above]
        self.area = len(inside)
        self.maskness = np.float32(sigmoid(inside).mean()) if self.area else np.float32(0)
        self.top, self.left = max(0, rows[0] - MARGIN), max(0, columns[0] - MARGIN)
        window = np.s_[self.top:rows[-1] + 1 + MARGIN, self.left:columns[-1] + 1 + MARGIN]
        self.logits, self.above = logits[window].copy(), above[window].copy()

    @property
    def binary(self):
        """(top, left, bool [h, w])"""
        return self.top, self.left, self.above


def soft_masks(kernels, mask_features, threshold, pool):
    """The SoftMask of each kernel.

    kernels float32 [U, E], a numpy array; mask_features float32 [E, h, w], a numpy array or a
    Tensor on any device, where the product is then computed.  pool: of threads to share the work.
    """
    if len(kernels) == 0:
        return []
    size = mask_features.shape[1:]
    flat = mask_features.reshape([len(mask_features), -1])                               # [E, P]
    on_device = isinstance(flat, paddle.Tensor)
    if on_device:
        kernels = (paddle.to_tensor(kernels, place=flat.place) @ flat).numpy()           # [U, P]
    threshold_logit = np.log(threshold / (1 - threshold))

    def draw(part):
        logits = part if on_device else part @ flat
        return [SoftMask(row.reshape(size), threshold_logit) for row in logits]

    parts = np.array_split(kernels, -(-len(kernels) // PART))
    return list(itertools.chain.from_iterable(pool.map(draw, parts)))


def sigmoid(logits):
    """float32 -> float32; logits far below zero give 0 without a warning."""
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-logits))
