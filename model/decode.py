"""Raw outputs -> Instances: points NMS, dynamic masks, maskness, Matrix NMS, up-sampling.

SOLOv2, section 3.4, with the semantics that all the original projects share; PaddleDetection's
artificial last candidate is not reproduced.  C classes, E kernel channels, T cells of an image over
all levels, K candidates, I instances, P = h * w pixels of the map at stride 4.
"""
from functools import lru_cache

import numpy as np
import paddle
import paddle.nn.functional as F

from model.instances import Instances
from model.matrix_nms import matrix_nms

CHUNK = 512        # candidates whose masks are held at once: bounds the memory of crowded images


class Decoder:
    """decoder(outputs, resized_sizes, original_sizes) -> [Instances], one per image of the batch.

    resized_sizes: (height, width) of each image in the padded input, before padding; a fractional
    size is truncated (PaddleDetection 2.2).
    original_sizes: (height, width) of the masks to return.
    The arguments of the constructor are the inference settings of config/base.py.
    """

    def __init__(self, strides, score_threshold=0.1, mask_threshold=0.5, max_candidates=500,
                 nms_kernel="gaussian", nms_sigma=2.0, update_threshold=0.05, max_per_image=100):
        self.strides, self.max_candidates = strides, max_candidates
        self.score_threshold, self.mask_threshold = score_threshold, mask_threshold
        self.nms_kernel, self.nms_sigma = nms_kernel, nms_sigma
        self.update_threshold, self.max_per_image = update_threshold, max_per_image

    @paddle.no_grad()
    def __call__(self, outputs, resized_sizes, original_sizes):
        results = []
        sizes = zip(resized_sizes, original_sizes, strict=True)
        for image, (resized_size, original_size) in enumerate(sizes):
            scores, class_indices, mask_probs = self.masks(
                [level[image:image + 1] for level in outputs["category_logits"]],
                [level[image] for level in outputs["kernels"]], outputs["mask_features"][image])
            crops = [paste(prob, resized_size, original_size, self.mask_threshold)
                     for prob in mask_probs]
            results.append(Instances(scores, class_indices, crops, original_size))
        return results

    def masks(self, category_logits, kernels, mask_features):
        """Scores float32 [I], classes int64 [I] and soft masks float32 [I, h, w] of one image."""
        _, height, width = mask_features.shape
        mask_features = mask_features.flatten(1)                                         # [E, P]
        scores, class_indices, kernels, strides = self.candidates(category_logits, kernels)
        scores, areas = self.rescore(scores, kernels, mask_features, strides)
        order = np.argsort(-scores, kind="stable")
        order = order[:min(self.max_candidates, np.count_nonzero(scores))]
        if len(order) == 0:
            return scores[:0], class_indices[:0], np.zeros((0, height, width), np.float32)
        scores, class_indices, areas = scores[order], class_indices[order], areas[order]
        kernels = paddle.gather(kernels, paddle.to_tensor(order))                        # [K, E]
        probs = F.sigmoid(kernels @ mask_features)                                       # [K, P]
        binary = (probs > self.mask_threshold).astype("float32")
        scores = matrix_nms(binary, paddle.to_tensor(areas), paddle.to_tensor(class_indices),
                            paddle.to_tensor(scores), self.nms_kernel, self.nms_sigma).numpy()
        kept = np.argsort(-scores, kind="stable")
        kept = kept[scores[kept] >= self.update_threshold][:self.max_per_image]
        probs = paddle.gather(probs, paddle.to_tensor(kept)) if len(kept) else probs[:0]
        return scores[kept], class_indices[kept], probs.numpy().reshape(-1, height, width)

    def candidates(self, category_logits, kernels):
        """(cell, class) pairs above the score threshold.

        Scores [K], class indices [K] and strides [K] are numpy arrays, kernels [K, E] a tensor.
        """
        scores = paddle.concat([points_nms(F.sigmoid(level.astype("float32"))).flatten(2)[0]
                                for level in category_logits], axis=1).t()               # [T, C]
        kernels = paddle.concat([level.flatten(1) for level in kernels], axis=1).t()     # [T, E]
        num_cells = [level[0, 0].size for level in category_logits]
        strides = np.repeat(np.float32(self.strides), num_cells)                         # [T]
        scores = scores.numpy()
        cells, class_indices = np.nonzero(scores > self.score_threshold)
        kernels = paddle.gather(kernels, paddle.to_tensor(cells)) if len(cells) else kernels[:0]
        kernels = kernels.astype("float32")
        return scores[cells, class_indices], class_indices, kernels, strides[cells]

    def rescore(self, scores, kernels, mask_features, strides):
        """Scores times maskness, 0 for masks not larger than their stride, and areas; both [K]."""
        areas, sums = [np.zeros(0, np.float32)], [np.zeros(0, np.float32)]
        for start in range(0, len(scores), CHUNK):
            probs = F.sigmoid(kernels[start:start + CHUNK] @ mask_features)              # [.., P]
            binary = (probs > self.mask_threshold).astype("float32")
            areas.append(binary.sum(1).numpy())
            sums.append((probs * binary).sum(1).numpy())
        areas, sums = np.concatenate(areas), np.concatenate(sums)
        maskness = np.where(areas > strides, sums / np.maximum(areas, 1), 0)
        return (scores * maskness).astype(np.float32), areas


def points_nms(scores):
    """[N, C, S, S], each score 0 that is below its left, upper or upper-left neighbour."""
    highest = F.max_pool2d(scores, 2, stride=1, padding=1)[:, :, :-1, :-1]
    return scores * (highest == scores).astype(scores.dtype)


def paste(prob, resized_size, original_size, threshold):
    """One soft mask float32 [h, w] at stride 4 -> its crop (top, left, bool array) in the image.

    Bilinear x4, cut to the resized size, bilinear to the original size, > threshold.  Both steps
    are linear and separable, so together they are two small matrix products; a pixel can only
    exceed the threshold if one of the probabilities it is interpolated from does, so only those
    rows and columns are computed.
    """
    rows = upsampling(prob.shape[0], int(resized_size[0]), int(original_size[0]))
    columns = upsampling(prob.shape[1], int(resized_size[1]), int(original_size[1]))
    above = prob > threshold
    top, bottom, first_row, last_row = reach(rows, above.any(1))
    left, right, first_column, last_column = reach(columns, above.any(0))
    support = prob[first_row:last_row, first_column:last_column]
    rows = rows[top:bottom, first_row:last_row]
    columns = columns[left:right, first_column:last_column]
    return top, left, rows @ support @ columns.T > threshold


def reach(matrix, above):
    """Outputs start:stop that the inputs marked in `above` reach, and the inputs they depend on."""
    if not above.any():
        return 0, 0, 0, 0
    outputs = np.flatnonzero(matrix[:, above].any(1))
    if len(outputs) == 0:                                  # only in the padding
        return 0, 0, 0, 0
    inputs = np.flatnonzero(matrix[outputs[0]:outputs[-1] + 1].any(0))
    return outputs[0], outputs[-1] + 1, inputs[0], inputs[-1] + 1


@lru_cache(maxsize=64)
def upsampling(size, resized, original):
    """float32 [original, size]: x4 along one side, cut to `resized`, then to `original`."""
    matrix = bilinear_matrix(resized, original) @ bilinear_matrix(size, 4 * size)[:resized]
    return matrix.astype(np.float32)


def bilinear_matrix(size, new_size):
    """float64 [new_size, size]: bilinear interpolation with half-pixel centres along one side."""
    position = np.clip((np.arange(new_size) + 0.5) * size / new_size - 0.5, 0, size - 1)
    lower = np.floor(position).astype(np.int64)
    matrix = np.zeros((new_size, size))
    matrix[np.arange(new_size), lower] += 1 - (position - lower)
    matrix[np.arange(new_size), np.minimum(lower + 1, size - 1)] += position - lower
    return matrix
