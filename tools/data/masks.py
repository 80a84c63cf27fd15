"""Masks, polygons, run-length codes and boxes, and the ways from one to another.

H, W: height and width of the image; I: instances.  Points are (x, y) in pixels, sizes (height,
width).  Boxes are (x1, y1, x2, y2), with x2 and y2 exclusive: one pixel has width 1.
"""
import numpy as np
from pycocotools import mask as coco_mask


def polygons_to_mask(polygons, size):
    """Union of polygons -> bool [H, W], filled as COCO's own tools fill them.

    `polygons`: flat [x0, y0, x1, y1, ...] lists of at least 3 points each; an empty list gives
    an empty mask.
    """
    if not polygons:
        return np.zeros(size, bool)
    flat = [np.asarray(polygon, np.float64).ravel().tolist() for polygon in polygons]
    rles = coco_mask.frPyObjects(flat, *map(int, size))
    return coco_mask.decode(coco_mask.merge(rles)).astype(bool)


def rle_to_mask(rle, size):
    """COCO run-length code -> bool [H, W].

    `rle`: {"size": [h, w], "counts": str or bytes (compressed), list of int (uncompressed)}.
    Raises ValueError where its size is not `size`, or its runs do not add up to h * w.
    """
    height, width = map(int, size)
    if list(rle["size"]) != [height, width]:
        raise ValueError(f"an RLE of size {list(rle['size'])} for an image of {[height, width]}")
    counts = rle["counts"]
    if isinstance(counts, list):
        if min(counts, default=0) < 0 or sum(counts) != height * width:
            raise ValueError(f"RLE runs that add up to {sum(counts)}, expected {height * width}")
        rle = coco_mask.frPyObjects({"size": [height, width], "counts": counts}, height, width)
    return coco_mask.decode(rle).astype(bool)


def segmentation_to_mask(segmentation, size):
    """The "segmentation" of a COCO annotation, polygons or either RLE -> bool [H, W]."""
    if isinstance(segmentation, dict):
        return rle_to_mask(segmentation, size)
    return polygons_to_mask(segmentation, size)


def mask_to_rle(mask):
    """[H, W] of bool or 0/1 -> {"size": [h, w], "counts": str}, fit for json and pycocotools."""
    rle = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    return {"size": [int(side) for side in rle["size"]], "counts": rle["counts"].decode("ascii")}


def mask_to_box(mask):
    """[H, W] -> float32 [4], the tight box; zeros for an empty mask."""
    return masks_to_boxes(np.asarray(mask)[None])[0]


def masks_to_boxes(masks):
    """[I, H, W] -> float32 [I, 4], the tight boxes; zeros for empty masks."""
    masks = np.asarray(masks)
    boxes = np.zeros((len(masks), 4), np.float32)
    if masks.size == 0:
        return boxes
    for column, axis in ((0, 1), (1, 2)):                  # x from columns hit, y from rows hit
        hits = masks.any(axis)                             # [I, W], [I, H]
        boxes[:, column] = hits.argmax(1)
        boxes[:, column + 2] = hits.shape[1] - hits[:, ::-1].argmax(1)
    boxes[~hits.any(1)] = 0
    return boxes
