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
        """Scores float32 [I], classes int64 [I] and SoftMasks of what is found in one image.

        Masks are drawn from the best cell on, and only until the rest cannot change the result:
        neither maskness nor NMS raises a score, and only higher scores decay one.
        """
        cells, class_indices, scores = self.candidates(category_logits)
        for rescored, masks, bound in self.draw(cells, scores, kernels, mask_features):
            order = np.argsort(-rescored, kind="stable")[:self.max_candidates]
            order = order[rescored[order] > bound]
            if len(order) < self.max_per_image and bound > 0:
                continue
            decayed = self.suppress(order, cells, class_indices, rescored, masks)
            if np.count_nonzero(decayed > bound) >= self.max_per_image:
                break
        best = np.argsort(-decayed, kind="stable")
        best = best[decayed[best] >= self.update_threshold][:self.max_per_image]
        kept = order[best]
        return decayed[best], class_indices[kept], [masks[cell] for cell in cells[kept]]

    def suppress(self, order, cells, class_indices, scores, masks):
        """Scores float32 after Matrix NMS of the candidates `order`, best first."""
        return matrix_nms([masks[cell].binary for cell in cells[order]], class_indices[order],
                          scores[order], self.nms_kernel, self.nms_sigma)

    def candidates(self, category_logits):
        """Cells int64 [K], classes int64 [K], scores float32 [K] above the score threshold."""
        scores = flatten_cells([points_nms(sigmoid(level)) for level in category_logits])  # [T, C]
        cells, class_indices = np.nonzero(scores > self.score_threshold)
        return cells, class_indices, scores[cells, class_indices]

    def draw(self, cells, scores, kernels, mask_features):
        """Yields (scores [K] times maskness, {cell: SoftMask}, bound), with more cells each time.

        Scores of cells not drawn yet, and of masks not larger than their stride, are 0; the former
        will not exceed `bound`, which is 0 at last.  Masks that fall out of the `max_candidates`
        best are dropped, which bounds the memory of crowded images.
        """
        strides = np.repeat(np.float32(self.strides), [level[0].size for level in kernels])
        kernels = flatten_cells(kernels)                                                 # [T, E]
        best, maskness = np.zeros((2, len(kernels)), np.float32)
        np.maximum.at(best, cells, scores)
        drawn = np.argsort(-best, kind="stable")[:np.count_nonzero(best)]                # [U]
        masks, count = {}, 0
        for chunk in soft_masks(kernels[drawn], mask_features, self.mask_threshold, self.pool):
            for cell, mask in zip(drawn[count:], chunk, strict=False):
                if mask.area > strides[cell]:
                    maskness[cell], masks[cell] = mask.maskness, mask
            count += len(chunk)
            rescored = scores * maskness[cells]
            lowest = nth_highest(rescored, self.max_candidates)
            masks = {cell: mask for cell, mask in masks.items()
                     if best[cell] * maskness[cell] >= lowest}
            bound = best[drawn[count]] if count < len(drawn) else 0.0
            if bound < max(lowest, self.update_threshold):       # nothing more can come in
                bound = 0.0
            yield rescored, masks, bound
            if bound == 0:
                break


def flatten_cells(levels):
    """Levels of [X, S, S] -> [T, X]."""
    return np.concatenate([level.reshape(len(level), -1) for level in levels], 1).T


def points_nms(scores):
    """[C, S, S], each score 0 that is below its left, upper or upper-left neighbour."""
    padded = np.pad(scores, ((0, 0), (1, 0), (1, 0)))
    rows = np.maximum(padded[:, 1:], padded[:, :-1])
    highest = np.maximum(rows[:, :, 1:], rows[:, :, :-1])
    return np.where(scores == highest, scores, 0)


def nth_highest(values, n):
    """The nth highest of `values`, 0 if there are fewer."""
    return np.partition(values, -n)[-n] if len(values) >= n else 0.0
