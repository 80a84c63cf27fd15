"""Test-time augmentation: one image in several views, whose masks are merged before Matrix NMS.

A view is the image at a factor of its usual size, as it is or mirrored.  What its network finds
before Matrix NMS (points NMS, maskness times category score) becomes a candidate: a soft mask at
stride 4, brought to the frame of the largest view by bilinear interpolation.  From the best
candidate down, each one gathers of every other view the free candidate of its class whose mask
overlaps its own most, by `tta_iou` at least, and they become one: its mask probability is their
mean, its score the sum of theirs over the number of views, so that what one view alone has found
counts less.  Then come Matrix NMS and up-sampling as for a single view.  (The common alternative,
NMS over the results of all views, neither averages masks nor lets views outvote one.)
V views, K candidates of all views, G of one class.
"""
from dataclasses import dataclass

import cv2
import numpy as np

from model.candidates import Candidates
from model.decode import flatten_cells, on_host_or_gpu, to_host
from model.instances import Instances, pack
from model.matrix_nms import matrix_nms, pairwise_iou
from model.paste import paste
from model.soft_masks import sigmoid, soft_masks
from tools.data.transforms import Preprocess, pad_to_divisor


@dataclass
class Frame:
    """Where a map lies: sizes (height, width) of the map and of the image in it, at stride 4."""

    map_size: tuple
    resized_size: tuple

    def to(self, other, mirrored):
        """float64 [2, 3]: pixels (x, y) of this map -> those of another view of the image."""
        scale_y, scale_x = np.divide(other.resized_size, self.resized_size)
        shift = np.array([scale_x, scale_y]) / 2 - 0.5                 # half-pixel centres
        matrix = np.array([[scale_x, 0, shift[0]], [0, scale_y, shift[1]]])
        if mirrored:
            matrix[0] = -matrix[0]
            matrix[0, 2] += other.resized_size[1] / 4 - 1
        return matrix


@dataclass
class Candidate:
    """A soft mask: probabilities float32 [h, w] at `top` and `left` of the common map."""

    score: float
    class_index: int
    view: int
    top: int
    left: int
    probs: np.ndarray

    def binary(self, threshold):
        return self.top, self.left, self.probs > threshold


def segment_augmented(predictor, pixels):
    """Instances of uint8 [H, W, 3] BGR from all views of the config."""
    views = list(each_view(predictor, pixels))
    common = max((frame for _, frame, _ in views), key=lambda frame: np.prod(frame.resized_size))
    candidates = [candidate for view, (outputs, frame, mirrored) in enumerate(views)
                  for candidate in candidates_of(predictor.decoder, outputs, frame, common,
                                                 mirrored, view)]
    merged = merge(candidates, len(views), predictor.cfg.tta_iou, predictor.decoder.mask_threshold)
    return suppressed(predictor.decoder, merged, common, pixels.shape[:2])


def each_view(predictor, pixels):
    """Yield (raw outputs, Frame, whether mirrored) of every view."""
    cfg = predictor.cfg
    for scale in cfg.tta_scales:
        preprocess = Preprocess(cfg.replace(test_short_side=round(cfg.test_short_side * scale),
                                            test_max_side=round(cfg.test_max_side * scale)))
        for mirrored in (False, True)[:1 + cfg.tta_flip]:
            image, size = preprocess(pixels[:, ::-1] if mirrored else pixels)
            outputs = predictor.network(pad_to_divisor([image], cfg.size_divisor))
            yield outputs, Frame(tuple(outputs["mask_features"].shape[2:]), size), mirrored


def candidates_of(decoder, outputs, frame, common, mirrored, view):
    """The Candidates of one view, its `max_candidates` best, in the common frame."""
    levels = [to_host(level)[0] for level in outputs["category_logits"]]
    kernels = [to_host(level)[0] for level in outputs["kernels"]]
    features = on_host_or_gpu(outputs["mask_features"])[0]
    strides = np.repeat(np.float32(decoder.strides), [level[0].size for level in kernels])
    found = Candidates(*decoder.candidates(levels), strides, decoder.max_candidates,
                       decoder.update_threshold)
    for masks in soft_masks(flatten_cells(kernels)[found.queue], features, decoder.mask_threshold,
                            decoder.pool):
        found.add(masks)
        if found.bound == 0:                           # no more can be among the best
            break
    order, matrix = found.order(), frame.to(common, mirrored)
    warped = {cell: warp(found.masks[cell], matrix, common.map_size)
              for cell in set(found.cells[order].tolist())}
    return [Candidate(float(found.rescored[i]), int(found.class_indices[i]), view,
                      *warped[found.cells[i]])
            for i in order if warped[found.cells[i]][2].size]


def warp(mask, matrix, map_size):
    """(top, left, probs float32 [h, w]): a SoftMask in another map, by `matrix` of Frame.to."""
    height, width = mask.logits.shape
    corners = np.array([[mask.left, mask.top], [mask.left + width - 1, mask.top + height - 1]])
    corners = corners @ matrix[:, :2].T + matrix[:, 2]
    left, top = np.clip(np.floor(corners.min(0)).astype(int), 0, None).tolist()
    right, bottom = np.minimum(np.ceil(corners.max(0)).astype(int) + 1, map_size[::-1]).tolist()
    if right <= left or bottom <= top:
        return 0, 0, np.zeros((0, 0), np.float32)
    inner = matrix.copy()                              # between the windows instead of the maps
    inner[:, 2] += matrix[:, :2] @ (mask.left, mask.top) - (left, top)
    probs = cv2.warpAffine(sigmoid(mask.logits), inner, (right - left, bottom - top),
                           flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return top, left, probs


def merge(candidates, views, min_iou, threshold):
    """The Candidates of all views -> merged ones, in no order."""
    merged = []
    for class_index in sorted({candidate.class_index for candidate in candidates}):
        group = sorted((candidate for candidate in candidates
                        if candidate.class_index == class_index), key=lambda entry: -entry.score)
        group = [entry for entry in group if (entry.probs > threshold).any()]
        iou = pairwise_iou([entry.binary(threshold) for entry in group]) if group else None
        free = np.ones(len(group), bool)
        origin = np.array([entry.view for entry in group])
        for first in range(len(group)):
            if free[first]:
                members = gather_votes(first, iou[first], origin, free, min_iou)
                free[members] = False
                merged.append(mean_of([group[member] for member in members], views))
    return merged


def gather_votes(first, iou, origin, free, min_iou):
    """`first` and of each other view the place of the free candidate that overlaps it most."""
    members = [first]
    for view in np.unique(origin):
        if view != origin[first]:
            usable = np.where(free & (origin == view), iou, 0)
            if usable.max() >= min_iou:
                members.append(int(usable.argmax()))
    return members


def mean_of(members, views):
    """One Candidate of those of several views."""
    top, left = (min(getattr(member, side) for member in members) for side in ("top", "left"))
    bottom = max(member.top + member.probs.shape[0] for member in members)
    right = max(member.left + member.probs.shape[1] for member in members)
    probs = np.zeros((bottom - top, right - left), np.float32)
    for member in members:
        height, width = member.probs.shape
        probs[member.top - top:, member.left - left:][:height, :width] += member.probs
    score = sum(member.score for member in members) / views
    return Candidate(score, members[0].class_index, members[0].view, top, left,
                     probs / len(members))


def suppressed(decoder, candidates, frame, original_size):
    """Matrix NMS and up-sampling: Instances of the merged candidates."""
    threshold = decoder.mask_threshold
    candidates = [entry for entry in sorted(candidates, key=lambda entry: -entry.score)
                  if (entry.probs > threshold).any()][:decoder.max_candidates]
    classes = np.array([entry.class_index for entry in candidates], np.int64)
    scores = np.array([entry.score for entry in candidates], np.float32)
    scores = matrix_nms([entry.binary(threshold) for entry in candidates], classes, scores,
                        decoder.nms_kernel, decoder.nms_sigma)
    best = np.argsort(-scores, kind="stable")
    best = best[scores[best] >= decoder.update_threshold][:decoder.max_per_image]
    packed = [pack(*paste(entry.probs, frame.map_size, frame.resized_size, original_size,
                          threshold, entry.top, entry.left))
              for entry in (candidates[place] for place in best)]
    return Instances(scores[best], classes[best], packed, original_size)
