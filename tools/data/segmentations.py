"""Which segmentations of a COCO json are objects, and what is wrong with the others.

Sizes are (height, width), points (x, y), in pixels.
"""
import numpy as np

from tools.data.masks import rle_runs

NO_SEGMENTATION = "objects without a segmentation (skipped)"
DEGENERATE = "objects of zero area or with fewer than 3 points (skipped)"
NO_NUMBERS = "objects with coordinates that are no numbers of pixels (skipped)"
WRONG_RLE = "objects whose RLE is damaged or not of the size of their image (skipped)"
OUTSIDE = "objects outside their image (skipped)"
CLIPPED = "objects that reach beyond their image (clipped)"

BORDER = 1.0                    # pixels that coordinates may lie outside without being counted
FARTHEST = 1e5                  # pixels; filling a polygon takes memory for every one of them


def usable_segmentation(annotation, size):
    """(segmentation without degenerate polygons or None, what is wrong with it or None).

    A segmentation that only reaches beyond the image is both usable and counted.
    """
    segmentation = annotation.get("segmentation")
    if not segmentation or not isinstance(segmentation, (dict, list)):
        return None, NO_SEGMENTATION
    if isinstance(segmentation, dict):
        reason = rle_problem(segmentation, size)
    else:
        segmentation, reason = usable_polygons(segmentation, size)
    if reason is None and reaches_outside(annotation.get("bbox"), size):
        reason = CLIPPED
    return (segmentation if reason in (None, CLIPPED) else None), reason


def usable_polygons(polygons, size):
    """(the polygons of positive area, flat, and why they cannot be used as they are or None)."""
    if all(isinstance(value, (int, float)) for value in polygons):
        polygons = [polygons]                          # one polygon without the list around it
    points = [as_points(polygon) for polygon in polygons]
    good = [polygon for polygon in points if polygon is not None and polygon_area(polygon) > 0]
    if not good:
        return [], NO_NUMBERS if any(polygon is None for polygon in points) else DEGENERATE
    flat = [polygon.ravel().tolist() for polygon in good]
    corners = np.concatenate(good) if len(good) > 1 else good[0]
    (x1, y1), (x2, y2) = corners.min(0).tolist(), corners.max(0).tolist()
    if x2 <= 0 or y2 <= 0 or x1 >= size[1] or y1 >= size[0]:
        return flat, OUTSIDE
    return flat, CLIPPED if reaches_outside((x1, y1, x2 - x1, y2 - y1), size) else None


def as_points(polygon):
    """[x0, y0, x1, y1, ...] or [[x0, y0], ...] -> float64 [P, 2]; None for anything else."""
    try:
        points = np.array(polygon, np.float64).reshape(-1, 2)
    except (ValueError, TypeError, OverflowError):     # an odd count, text, mixed lists
        return None
    return points if np.abs(points).max(initial=0) <= FARTHEST else None       # NaN is not either


def polygon_area(points):
    """Area of float64 [P, 2] in pixels."""
    x, y = points.T
    if len(points) < 3:
        return 0.0
    return abs(x[:-1] @ y[1:] - y[:-1] @ x[1:] + x[-1] * y[0] - y[-1] * x[0]) / 2


def rle_problem(rle, size):
    """Why an RLE cannot be used (a reason of this file), or None."""
    if not rle.get("counts"):
        return NO_SEGMENTATION
    try:
        runs = rle_runs(rle, size)
    except (ValueError, TypeError, OverflowError):     # lists of anything
        return WRONG_RLE
    return None if runs[1::2].any() else DEGENERATE


def reaches_outside(box, size):
    """Whether a json box (x, y, width, height) leaves the image by more than a pixel."""
    if box is None:
        return False
    x, y, width, height = box
    return bool(x < -BORDER or y < -BORDER
                or x + width > size[1] + BORDER or y + height > size[0] + BORDER)
