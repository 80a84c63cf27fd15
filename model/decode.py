"""Raw outputs -> Instances: points NMS, dynamic masks, maskness, Matrix NMS, up-sampling.

SOLOv2, section 3.4, with the semantics that all the original projects share; PaddleDetection's
artificial last candidate is not reproduced.  Everything but the product of kernels and mask
features runs in numpy on the host, so that any engine's outputs will do.
C classes, E kernel channels, S grid side of a level, T cells of an image over all levels,
U cells with a candidate, K candidates (cell, class).
"""
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from model.arrays import on_host_or_gpu, to_host
from model.candidates import Candidates
from model.instances import Instances, pack
from model.matrix_nms import matrix_nms
from model.paste import paste
from model.soft_masks import sigmoid, soft_masks


class Decoder:
    """decoder(outputs, resized_sizes, original_sizes) -> [Instances], one per image of the batch.

    outputs: of the network, Tensors or numpy arrays.
    resized_sizes: (height, width) of each image in the padded input, before padding; a fractional
    size is truncated (PaddleDetection 2.2).
    original_sizes: (height, width) of the masks to return.
    The arguments of the constructor are the inference settings of config/base.py, and the number
    of threads that share the product of kernels and mask features.
    """

    def __init__(self, strides, score_threshold=0.1, mask_threshold=0.5, max_candidates=500,
                 nms_kernel="gaussian", nms_sigma=2.0, update_threshold=0.05, max_per_image=100,
                 threads=1):
        self.strides, self.max_candidates = strides, max_candidates
        self.score_threshold, self.mask_threshold = score_threshold, mask_threshold
        self.nms_kernel, self.nms_sigma = nms_kernel, nms_sigma
        self.update_threshold, self.max_per_image = update_threshold, max_per_image
        self.pool = ThreadPoolExecutor(threads)

    def __call__(self, outputs, resized_sizes, original_sizes):
        category_logits = [to_host(level) for level in outputs["category_logits"]]
        kernels = [to_host(level) for level in outputs["kernels"]]
        features = on_host_or_gpu(outputs["mask_features"])
        results = []
        sizes = zip(resized_sizes, original_sizes, strict=True)
        for image, (resized_size, original_size) in enumerate(sizes):
            scores, class_indices, masks = self.detect(
                [level[image] for level in category_logits], [level[image] for level in kernels],
                features[image])
            packed = [self.paste(mask, features.shape[2:], resized_size, original_size)
                      for mask in masks]
            results.append(Instances(scores, class_indices, packed, original_size))
        return results

    def paste(self, mask, map_size, resized_size, original_size):
        return pack(*paste(sigmoid(mask.logits), map_size, resized_size, original_size,
                           self.mask_threshold, mask.top, mask.left))

    def detect(self, category_logits, kernels, mask_features):
        """Scores float32 [I], classes int64 [I] and SoftMasks of what is found in one image."""
        strides = np.repeat(np.float32(self.strides), [level[0].size for level in kernels])
        found = Candidates(*self.candidates(category_logits), strides, self.max_candidates,
                           self.update_threshold)
        kernels = flatten_cells(kernels)[found.queue]                                    # [U, E]
        for masks in soft_masks(kernels, mask_features, self.mask_threshold, self.pool):
            found.add(masks)
            order = found.order()
            if len(order) < self.max_per_image and found.bound > 0:
                continue
            decayed = self.suppress(order, found.cells, found.class_indices, found.rescored,
                                    found.masks)
            if found.settled(decayed, self.max_per_image):
                break
        best = np.argsort(-decayed, kind="stable")
        best = best[decayed[best] >= self.update_threshold][:self.max_per_image]
        kept = order[best]
        return (decayed[best], found.class_indices[kept],
                [found.masks[cell] for cell in found.cells[kept]])

    def suppress(self, order, cells, class_indices, scores, masks):
        """Scores float32 after Matrix NMS of the candidates `order`, best first."""
        return matrix_nms([masks[cell].binary for cell in cells[order]], class_indices[order],
                          scores[order], self.nms_kernel, self.nms_sigma)

    def candidates(self, category_logits):
        """Cells int64 [K], classes int64 [K], scores float32 [K] above the score threshold."""
        scores = flatten_cells([points_nms(sigmoid(level)) for level in category_logits])  # [T, C]
        cells, class_indices = np.nonzero(scores > self.score_threshold)
        return cells, class_indices, scores[cells, class_indices]


def flatten_cells(levels):
    """Levels of [X, S, S] -> [T, X]."""
    return np.concatenate([level.reshape(len(level), -1) for level in levels], 1).T


def points_nms(scores):
    """[C, S, S], each score 0 that is below its left, upper or upper-left neighbour."""
    padded = np.pad(scores, ((0, 0), (1, 0), (1, 0)))
    rows = np.maximum(padded[:, 1:], padded[:, :-1])
    highest = np.maximum(rows[:, :, 1:], rows[:, :, :-1])
    return np.where(scores == highest, scores, 0)
