"""Soft masks at stride 4, kept only where they matter.

U cells, E kernel channels, P = h * w pixels of the mask features.
"""
import itertools

import numpy as np
import paddle

from model.instances import extent

CHUNK = 128        # cells whose whole masks are held at once
STRIPS = 8         # parts of the map that the threads share: the product packs a strip only once
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
        top, left, bottom, right = extent(above)
        self.top, self.left = max(0, top - MARGIN), max(0, left - MARGIN)
        window = np.s_[self.top:bottom + MARGIN, self.left:right + MARGIN]
        self.logits, self.above = logits[window].copy(), above[window].copy()
        inside = self.logits[self.above]
        self.area = len(inside)
        self.maskness = np.float32(sigmoid(inside).mean()) if self.area else np.float32(0)

    @property
    def binary(self):
        """(top, left, bool [h, w])"""
        return self.top, self.left, self.above


def soft_masks(kernels, mask_features, threshold, pool):
    """Yields the SoftMasks of the kernels, a list for every CHUNK of them; an empty one for none.

    For the arguments see `mask_logits`.
    """
    if len(kernels) == 0:                # an empty product is an error in some versions of Paddle
        yield []
        return
    threshold_logit = logit(threshold)
    for logits in mask_logits(kernels, mask_features, pool):
        yield [SoftMask(row, threshold_logit) for row in logits]


def mask_logits(kernels, mask_features, pool):
    """Yields whole masks before the sigmoid, float32 [CHUNK or fewer, h, w], of all the kernels.

    kernels float32 [U, E], a numpy array; mask_features float32 [E, h, w], a numpy array or a
    Tensor on any device, where the product is then computed.  pool: of threads that compute the
    next product meanwhile (the masks themselves are too short a work to gain from threads).
    """
    flat = mask_features.reshape([len(mask_features), -1])                               # [E, P]
    chunks = [kernels[start:start + CHUNK] for start in range(0, len(kernels), CHUNK)]
    finish = start_product(chunks[0], flat, pool)
    for following in [*chunks[1:], None]:
        logits = finish()
        if following is not None:
            finish = start_product(following, flat, pool)
        yield logits.reshape([len(logits), *mask_features.shape[1:]])


def start_product(kernels, flat, pool):
    """A function that returns kernels [U, E] @ flat [E, P], float32 on the host, when it is there.

    flat: a numpy array, or a Tensor on the device that shall compute it.
    """
    if isinstance(flat, paddle.Tensor):
        return (paddle.to_tensor(kernels, place=flat.place) @ flat).numpy
    result = np.empty((len(kernels), flat.shape[1]), np.float32)
    edges = np.linspace(0, flat.shape[1], STRIPS + 1, dtype=int)
    strips = [np.s_[:, start:stop] for start, stop in itertools.pairwise(edges)]
    parts = [pool.submit(np.matmul, kernels, flat[strip], out=result[strip]) for strip in strips]

    def finish():
        for part in parts:
            part.result()
        return result
    return finish


def sigmoid(logits):
    """float32 -> float32; logits far below zero give 0 without a warning."""
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-logits))


def logit(probability):
    """The inverse of `sigmoid`."""
    return np.log(probability / (1 - probability))
