"""How far the results of an engine are from those of dygraph, on one image."""
import numpy as np
from pycocotools import mask as coco_mask

from tools.data.transforms import pad_to_divisor
from tools.engines.check import deviation

SAME_IOU = 0.99


def report_agreement(predictor, reference, image):
    """Print the differences in raw outputs and in instances; two Predictors of the same weights."""
    tensor, resized_size = predictor.preprocess(image)
    images = pad_to_divisor([tensor], predictor.cfg.size_divisor)
    outputs = [side.network(images) for side in (predictor, reference)]
    (found,), (expected,) = (side.postprocess(raw, [resized_size], [image.shape[:2]])
                             for side, raw in zip((predictor, reference), outputs, strict=True))
    partners, ious, different = matched_pairs(found, expected)
    same = np.flatnonzero(ious >= SAME_IOU)
    print(f"agreement with dygraph: raw outputs within {deviation(*outputs):.1e} of their "
          f"deviation; {len(same)} of {len(found)} instances (dygraph: {len(expected)}) are the "
          f"same, {np.sum(partners[same] != same)} of them in another place of the order")
    if len(same):
        scores = np.abs(found.scores[same] - expected.scores[partners[same]]).max()
        pixels = different[same].sum() / (len(same) * image.shape[0] * image.shape[1])
        print(f"  of the same ones scores differ by up to {scores:.1e}, and {pixels:.1e} of the "
              "mask pixels")


def matched_pairs(found, expected):
    """For each instance of `found`, the one of `expected` with its class and the largest IoU.

    -> its index int64 [I], the IoU [I] (0: none of that class; two empty masks: 1) and the number
    of pixels that are different [I].
    """
    if not len(found) or not len(expected):
        return np.zeros(len(found), np.int64), np.zeros(len(found)), np.zeros(len(found))
    ious = coco_mask.iou(found.to_rle(), expected.to_rle(), [False] * len(expected))
    ious[np.ix_(~found.boxes.any(1), ~expected.boxes.any(1))] = 1                # both empty
    ious[found.class_indices[:, None] != expected.class_indices] = 0
    partners = ious.argmax(1)
    different = [np.count_nonzero(found.mask(own) != expected.mask(partner))
                 for own, partner in enumerate(partners)]
    return partners, ious.max(1), np.array(different)
