"""How far the results of an engine are from those of dygraph, on one image."""
import numpy as np

from tools.data.transforms import pad_to_divisor
from tools.inference.engine import deviation

SAME_IOU = 0.99


def report_agreement(predictor, reference, image):
    """Print the differences in raw outputs and in instances; two Predictors of the same weights."""
    tensor, _ = predictor.preprocess(image)
    images = pad_to_divisor([tensor], predictor.cfg.size_divisor)
    raw = deviation(predictor.network(images), reference.network(images))
    found, expected = predictor(image), reference(image)
    partners, ious, different = match(found, expected)
    same = np.flatnonzero(ious >= SAME_IOU)
    print(f"agreement with dygraph: raw outputs within {raw:.1e} of their deviation; "
          f"{len(same)} of {len(found)} instances (dygraph: {len(expected)}) are the same, "
          f"{np.sum(partners[same] != same)} of them in another place of the order")
    if len(same):
        scores = np.abs(found.scores[same] - expected.scores[partners[same]]).max()
        pixels = different[same].sum() / (len(same) * image.shape[0] * image.shape[1])
        print(f"  of the same ones scores differ by up to {scores:.1e}, and {pixels:.1e} of the "
              "mask pixels")


def match(found, expected):
    """For each instance of `found`, the one of `expected` with its class and the largest IoU.

    -> its index int64 [I], the IoU [I] (0: none of that class; two empty masks: 1) and the number
    of pixels that are different [I].
    """
    if not len(found) or not len(expected):
        return np.zeros(len(found), np.int64), np.zeros(len(found)), np.zeros(len(found))
    ours, theirs = (instances.masks.reshape(len(instances), -1).astype(np.float32)
                    for instances in (found, expected))
    common = ours @ theirs.T                                                # exact up to 2**24
    union = ours.sum(1)[:, None] + theirs.sum(1) - common
    ious = np.where(union > 0, common / np.maximum(union, 1), 1.0)
    ious[found.class_indices[:, None] != expected.class_indices] = 0
    partners, rows = ious.argmax(1), np.arange(len(found))
    return partners, ious[rows, partners], (union - common)[rows, partners]
