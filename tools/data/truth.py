"""The ground truth of a data set as columns: all that an evaluation knows of it.

G: objects and crowds of all images.  Boxes are (x, y, width, height) in pixels.
"""
from dataclasses import dataclass

import numpy as np
from pycocotools import mask as coco_mask

from tools.data.masks import segmentation_to_rle
from tools.data.segmentations import part_measures

OWN_MEASURES = "annotations whose area or bbox contradicts their mask (the mask's own is used)"
OUTLINE = 0.5                      # pixels between a drawn outline and that of its pixels
SHAPE = 0.01                       # an area by the corners is exact to this share
MOST_OVERLAP = 2.0                 # area by the corners against that of the mask, where it crosses
EDGE, EDGE_SHARE = 1.5, 0.01       # of a box: pixels, share of its side
MAJORITY = 0.5                     # where more boxes are wrong than this, all are taken for wrong


@dataclass
class GroundTruth:
    """Objects and crowds, sorted by image; the images are those of the data set, in its order."""

    path: str                      # of the annotation file, for messages
    category_ids: tuple            # [C], as in the json
    class_names: tuple             # [C]
    image_ids: list                # [N], as in the json
    sizes: np.ndarray              # int64 [N, 2] (height, width)
    images: np.ndarray             # int64 [G], index of the image
    classes: np.ndarray            # int64 [G], class index
    crowd: np.ndarray              # bool [G]
    areas: np.ndarray              # float64 [G]
    boxes: np.ndarray              # float64 [G, 4]
    rles: list                     # [G], compressed


def measure(truth, segmentations, name, problems):
    """Fill in the masks of a GroundTruth, and the measures that its json lacks or has wrong.

    segmentations: iterable of G; name: function(position) -> the name of an annotation in
    `problems`.
    COCO itself measures areas and boxes by the corners of the polygons: values that are such, or
    those of the mask but for the outline's pixels, are kept as they are.
    """
    segmentations = list(segmentations)
    truth.rles = [segmentation_to_rle(segmentation, truth.sizes[image].tolist())
                  for segmentation, image in zip(segmentations, truth.images.tolist(), strict=True)]
    if not truth.rles:
        return truth
    pixels = np.array([coco_mask.area(rle) for rle in truth.rles], np.float64)
    tight = np.array([coco_mask.toBbox(rle) for rle in truth.rles], np.float64)
    corners, shape, outline = polygon_measures(segmentations, tight, pixels)
    given_area, given_box = ~np.isnan(truth.areas), ~np.isnan(truth.boxes).any(1)
    good_area = given_area & area_fits(np.nan_to_num(truth.areas), pixels, shape, outline)
    good_box = given_box & (box_fits(truth.boxes, tight) | box_fits(truth.boxes, corners))
    if np.mean(given_box & ~good_box) > MAJORITY * max(np.mean(given_box), 1e-9):
        good_box[:] = False                            # a part of them may fit by chance
    wrong = (given_area & ~good_area) | (given_box & ~good_box)
    if wrong.any():
        problems[OWN_MEASURES] = [name(position) for position in np.flatnonzero(wrong).tolist()]
    truth.areas = np.where(good_area, truth.areas, pixels)
    truth.boxes = np.where(good_box[:, None], truth.boxes, tight)
    return truth


def polygon_measures(segmentations, tight, pixels):
    """(box [G, 4], area [G], outline [G]) by the corners; of an RLE those of its mask."""
    boxes, areas, outlines = tight.copy(), pixels.copy(), 2 * tight[:, 2:].sum(1)
    owner = [position for position, segmentation in enumerate(segmentations)
             if isinstance(segmentation, list) for _ in segmentation]
    parts = [part for segmentation in segmentations if isinstance(segmentation, list)
             for part in segmentation]
    if not parts:
        return boxes, areas, outlines
    owner = np.array(owner)
    bounds, area, outline, _ = part_measures(np.concatenate(parts), np.array([*map(len, parts)]))
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    own = owner[starts]
    low = np.minimum.reduceat(bounds[:, :2], starts)
    boxes[own] = np.hstack([low, np.maximum.reduceat(bounds[:, 2:], starts) - low])
    areas[own], outlines[own] = np.add.reduceat(area, starts), np.add.reduceat(outline, starts)
    return boxes, areas, outlines


def area_fits(area, pixels, shape, outline):
    """bool [G]: whether the json's area is that of the mask, or that of the corners."""
    by_mask = np.abs(area - pixels) <= OUTLINE * outline + 1
    by_corners = ((np.abs(area - shape) <= SHAPE * shape + 0.5) & (area <= MOST_OVERLAP * pixels)
                  & (area >= pixels / MOST_OVERLAP))
    return (area > 0) & (by_mask | by_corners)


def box_fits(box, other):
    """bool [G]: whether no edge of one box is farther from the other's than EDGE."""
    with np.errstate(invalid="ignore"):
        ends = np.abs(box[:, :2] + box[:, 2:] - other[:, :2] - other[:, 2:])
        apart = np.maximum(np.abs(box[:, :2] - other[:, :2]), ends)
        return (apart <= EDGE + EDGE_SHARE * other[:, 2:]).all(1)
