"""Results of a network as columns, whoever wrote them, matched with the ids of a ground truth.

D: results.  Boxes are (x, y, width, height) in pixels.
"""
import math
from dataclasses import dataclass

import numpy as np
from pycocotools import mask as coco_mask

from tools.data.ids import id_key, other_kind
from tools.data.image_columns import LARGEST_SIDE
from tools.data.masks import rle_runs, segmentation_to_rle
from tools.data.segmentations import FARTHEST, FEWEST, code_measures, parts_of
from tools.errors import UserError, shown

AT_ONCE = 1 << 14                  # results whose codes are looked at together


@dataclass
class Results:
    """All results in the order in which they came."""

    images: np.ndarray             # int64 [D], index of the image in the GroundTruth
    classes: np.ndarray            # int64 [D], class index
    scores: np.ndarray             # float64 [D]
    rles: list                     # [D], compressed
    boxes: np.ndarray              # float64 [D, 4]
    other_classes: int = 0         # results of categories that are no classes, left out

    def __len__(self):
        return len(self.scores)


def results_columns(results, truth):
    """The Results of COCO result dicts: image_id, category_id, score, segmentation and/or bbox.

    Segmentations may be RLEs or polygons; a missing box is that of the mask.  UserError for what
    is no result, or belongs to another data set.  What are Results already stays as it is.
    """
    if isinstance(results, Results):
        return results
    images, classes = Numbers(truth.image_ids), Numbers(truth.category_ids)
    columns = Results([], [], [], [], [])
    for number, result in enumerate(results):
        try:
            image, kind = images[result["image_id"]], classes[result["category_id"]]
            score = float(result["score"])
        except (TypeError, KeyError, ValueError, OverflowError):
            raise UserError(f"result {number} is no COCO result: expected an object with image_id, "
                            "category_id, score, segmentation and bbox") from None
        if image is None:
            raise UserError(f"results for image id {shown(result['image_id'])}, which is not in "
                            f"'{truth.path}'; they belong to another data set")
        if not math.isfinite(score):
            raise UserError(f"result {number} has score {score}, expected a finite number")
        if kind is None:
            columns.other_classes += 1
            continue
        columns.images.append(image)
        columns.classes.append(kind)
        columns.scores.append(score)
        columns.rles.append(result.get("segmentation"))
        columns.boxes.append(result.get("bbox"))
    if columns.other_classes and not columns.scores:
        raise UserError(f"none of the {columns.other_classes} results has a category of "
                        f"'{truth.path}'; they belong to another data set")
    finish(columns, truth)
    return columns


class Numbers:
    """Positions of ids; a text of digits is the number where only that is there."""

    def __init__(self, ids):
        self.positions = {id_key(value): position for position, value in enumerate(ids)}

    def __getitem__(self, value):
        key = id_key(value)
        found = self.positions.get(key)
        return self.positions.get(other_kind(key)) if found is None and key is not None else found


def finish(columns, truth):
    """Arrays instead of lists; segmentations as compressed RLEs, boxes where there are none."""
    sizes = truth.sizes.tolist()
    for number, (rle, image) in enumerate(zip(columns.rles, columns.images, strict=True)):
        if rle is not None and not is_compressed(rle, sizes[image]):
            columns.rles[number] = readable(rle, sizes[image], truth.image_ids[image])
    for number, box in enumerate(columns.boxes):
        if box is None and columns.rles[number] is not None:
            columns.boxes[number] = coco_mask.toBbox(columns.rles[number]).tolist()
    columns.boxes = as_boxes(columns.boxes)
    columns.images = np.array(columns.images, np.int64)
    columns.classes = np.array(columns.classes, np.int64)
    columns.scores = np.array(columns.scores, np.float64)


def as_boxes(boxes):
    """float64 [D, 4], NaN where there is no box."""
    try:
        found = np.array([[math.nan] * 4 if box is None else box for box in boxes], np.float64)
        found = found.reshape(len(boxes), 4)
        given = np.array([box is not None for box in boxes], bool)
        if not np.isfinite(found[given]).all():
            raise ValueError
        return found
    except (TypeError, ValueError, OverflowError):
        raise UserError("results with a bbox that is not four numbers (x, y, width, height)"
                        ) from None


def is_compressed(rle, size):
    """Whether a segmentation is what this project writes, which needs no look at its runs."""
    return type(rle) is dict and type(rle.get("counts")) in (str, bytes) \
        and rle.get("size") == size and len(rle["counts"]) > 0 \
        and type(rle["size"][0]) is type(rle["size"][1]) is int


def refuse_damaged(results):
    """UserError where a compressed RLE among somebody else's result dicts holds no runs of its
    size: the evaluators count what the memory held, or end in an error of their own."""
    coded = [(number, result["segmentation"]) for number, result in enumerate(results)
             if type(result) is dict and is_coded(result.get("segmentation"))]
    for start in range(0, len(coded), AT_ONCE):
        numbers, rles = zip(*coded[start:start + AT_ONCE], strict=True)
        codes = [rle["counts"].encode(errors="surrogatepass") for rle in rles]
        sound, _ = code_measures(np.frombuffer(b"".join(codes), np.uint8),
                                 np.array([*map(len, codes)]),
                                 np.array([rle["size"] for rle in rles]))
        if not sound.all():
            first = int(np.argmin(sound))
            raise UserError(f"the segmentation of result {numbers[first]} is a damaged RLE: its "
                            f"counts are not runs of {shown(rles[first]['size'])} pixels")


def is_coded(rle):
    """Whether a segmentation is a compressed RLE with a size that can be."""
    return type(rle) is dict and type(rle.get("counts")) is str and is_size(rle.get("size"))


def is_size(size):
    return type(size) is list and len(size) == 2 \
        and all(type(side) is int and 0 < side < LARGEST_SIDE for side in size)


def readable(segmentation, size, image_id):
    """A polygon or RLE of somebody else's as a compressed RLE; UserError where it is none."""
    try:
        if isinstance(segmentation, dict):
            rle_runs(segmentation, size)
            segmentation = {**segmentation, "size": size}
        else:
            segmentation = [part for part in parts_of(segmentation) if type(part) is list
                            and len(part) >= FEWEST]
            if not segmentation:
                raise ValueError("no polygon with three corners")
            if not all(abs(value) <= FARTHEST for part in segmentation for value in part):
                raise ValueError("coordinates that are no numbers of pixels")      # NaN too
        return segmentation_to_rle(segmentation, size)
    except (ValueError, TypeError, OverflowError) as error:
        raise UserError(f"a result of image id {shown(image_id)} has a segmentation that is no "
                        f"mask of {size} pixels: {shown(str(error))}") from None
