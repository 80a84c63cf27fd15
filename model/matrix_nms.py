"""Matrix NMS (SOLOv2, section 3.4): scores decay by the overlap with better masks of the class.

I masks of all classes, G of one class.
"""
import numpy as np

WORD = 64                                                  # bits
BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(1).astype(np.uint8)


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
    return np.fmin.reduce(decays(iou, kernel, sigma))                # not min: 0 / 0 is no factor


def decays(iou, kernel, sigma):
    """float32 [G, G]: the factor that mask i would give mask j; a linear one of copies is nan."""
    # row i scored higher than column j; the compensation is how much i itself is covered
    iou = np.triu(iou, 1)
    compensation = iou.max(0)[:, None]                                              # [G, 1]
    if kernel == "gaussian":
        return np.exp(sigma * (compensation ** 2 - iou ** 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        return (1 - iou) / (1 - compensation)                        # 0 / 0: copies of a copy


def pairwise_iou(masks):
    """float32 [G, G] of masks (top, left, bool [h, w]); below the diagonal it is zero.

    Counted in bits: a product of float masks takes twice (many) to eight times (few) as long.
    """
    top, left = np.min([mask[:2] for mask in masks], 0)
    bottom, right = np.max([np.add(mask[:2], mask[2].shape) for mask in masks], 0)
    height, width = bottom - top, right - left             # the part that any mask covers
    bits = np.empty((len(masks), -(-height * width // WORD)), np.uint64)
    for row, mask in zip(bits, masks, strict=True):
        canvas = np.zeros(len(row) * WORD, bool)
        area = canvas[:height * width].reshape(height, width)
        rows, columns = mask[2].shape
        area[mask[0] - top:, mask[1] - left:][:rows, :columns] = mask[2]
        row[:] = np.packbits(canvas).view(np.uint64)
    intersection = np.zeros((len(masks), len(masks)), np.float32)
    for index, row in enumerate(bits):
        intersection[index, index:] = count_bits(row & bits[index:])
    areas = np.diagonal(intersection)
    return intersection / (areas[:, None] + areas - intersection)


def count_bits(words):
    """uint64 [..., n] -> the number of bits that are 1, [...]."""
    if hasattr(np, "bitwise_count"):                       # numpy 2
        return np.bitwise_count(words).sum(-1, dtype=np.int64)
    return BITS[words.view(np.uint8)].sum(-1, dtype=np.int64)
