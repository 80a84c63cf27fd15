"""Matrix NMS (SOLOv2, section 3.4): scores decay by the overlap with better masks of the class.

I masks of all classes, G of one class.
"""
import numpy as np


def matrix_nms(masks, class_indices, scores, kernel="gaussian", sigma=2.0):
    """Decayed scores float32 [I].

    masks: per instance (top, left, bool [h, w]), not empty, as in Instances; class_indices int64
    [I]; scores float32 [I] in descending order.  `kernel` "gaussian" (with sigma) or "linear".
    """
    if kernel not in ("gaussian", "linear"):
        raise ValueError(f"nms_kernel is '{kernel}', expected 'gaussian' or 'linear'")
    decayed = np.array(scores, np.float32)
    for class_index in np.unique(class_indices):
        group = np.flatnonzero(class_indices == class_index)
        if len(group) > 1:
            decayed[group] *= decay(pairwise_iou([masks[i] for i in group]), kernel, sigma)
    return decayed


def decay(iou, kernel, sigma):
    """float32 [G] factors from the IoU [G, G] of the masks of one class."""
    # row i scored higher than column j; the compensation is how much i itself is covered
    iou = np.triu(iou, 1)
    compensation = iou.max(0)[:, None]                                              # [G, 1]
    if kernel == "gaussian":
        return np.exp(sigma * (compensation ** 2 - iou ** 2)).min(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.fmin.reduce((1 - iou) / (1 - compensation))      # 0 / 0: copies of a copy


def pairwise_iou(masks):
    """float32 [G, G] of masks (top, left, bool [h, w])."""
    first = np.min([mask[:2] for mask in masks], 0)
    last = np.max([(top + crop.shape[0], left + crop.shape[1]) for top, left, crop in masks], 0)
    canvas = np.zeros((len(masks), *(last - first)), np.float32)    # the part that any mask covers
    for target, (top, left, crop) in zip(canvas, masks, strict=True):
        top, left = top - first[0], left - first[1]
        target[top:top + crop.shape[0], left:left + crop.shape[1]] = crop
    flat = canvas.reshape(len(masks), -1)
    intersection = flat @ flat.T
    areas = np.diagonal(intersection)
    return intersection / (areas[:, None] + areas - intersection)
