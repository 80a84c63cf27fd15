"""Where objects lie after the training resize, from their run-length codes alone.

Nearest-neighbour resizing takes a row and a column of the image for each of the result, some twice,
some never: sums over the resized mask are sums over the runs of the mask itself, weighted.
I: objects; runs go down the columns, as in COCO's codes.
"""
import cv2
import numpy as np

from tools.data.masks import runs_of_codes
from tools.data.transforms import resized_size


class ResizePlan:
    """What Resize (transforms.py) does to images of one size: `size` (height, width), `factors`."""

    def __init__(self, original, short_side, max_side, library, rule, exact=False):
        rule = "two_steps" if library == "pil" else rule
        self.size = resized_size(original, short_side, max_side, rule)
        whole = all(isinstance(side, int) for side in self.size) or min(self.size) <= 1
        factor = None if whole else self.size[0] / original[0]
        nearest = cv2.INTER_NEAREST_EXACT if exact else cv2.INTER_NEAREST
        rows, columns = (source_of(side, new, factor, nearest)
                         for side, new in zip(original, self.size, strict=True))
        self.shape = len(rows), len(columns)           # of the resized image, in whole pixels
        self.rows, self.columns = (weights(source, side) for source, side
                                   in zip((rows, columns), original, strict=True))
        self.scale = np.float32([self.size[1] / original[1], self.size[0] / original[0]] * 2)


def source_of(side, new, factor, nearest=cv2.INTER_NEAREST):
    """int64, the place that each place of the resized side is taken from, by OpenCV itself."""
    places = np.arange(side, dtype=np.float32)[None]
    if factor is None:
        return cv2.resize(places, (round(new), 1), interpolation=nearest)[0].astype(int)
    found = cv2.resize(places, None, fx=factor, fy=1, interpolation=nearest)
    return found[0].astype(int)


def weights(source, side):
    """float64 [2, side + 1]: how often each place is taken, and the sum of where to; summed up."""
    counts = np.bincount(source, minlength=side)
    sums = np.bincount(source, weights=np.arange(len(source)), minlength=side)
    return np.concatenate([np.zeros((2, 1)), np.cumsum([counts, sums], 1)], 1)


def extents(rles, size, plan):
    """(boxes float32 [I, 4] before the resize, centers y, x and areas float64 [I] after it).

    Boxes are zeros for objects without a pixel, areas 0 for those that lose their last one;
    centers as `mass_centers` of model/targets.py.
    """
    boxes, sums = np.zeros((len(rles), 4), np.float32), np.zeros((3, len(rles)))
    if not rles:
        return boxes, *sums
    height = size[0]
    owner, start, end = column_runs(rles, size)
    if len(owner):
        column, top, bottom = start // height, start % height, (end - 1) % height + 1
        first = np.flatnonzero(np.diff(owner, prepend=-1))
        there = owner[first]
        boxes[there] = np.stack([column[first], np.minimum.reduceat(top, first),
                                 column[np.append(first[1:], len(owner)) - 1] + 1,
                                 np.maximum.reduceat(bottom, first)], 1)
        rows, row_sums = plan.rows[:, bottom] - plan.rows[:, top]
        columns, column_sums = plan.columns[:, column + 1] - plan.columns[:, column]
        for place, value in enumerate((row_sums * columns, rows * column_sums, rows * columns)):
            sums[place, there] = np.add.reduceat(value, first)
    divisor = np.maximum(sums[2], 1)
    return boxes, sums[0] / divisor, sums[1] / divisor, sums[2]


def column_runs(rles, size):
    """(object, start, end) of every run of object pixels within one column, in order."""
    height, width = size
    counts = [rle["counts"] for rle in rles]
    counts = [text.encode() if isinstance(text, str) else text for text in counts]
    runs, numbers, _ = runs_of_codes(np.frombuffer(b"".join(counts), np.uint8),
                                     np.array([*map(len, counts)]))
    owner = np.repeat(np.arange(len(rles)), numbers)
    ends = np.cumsum(runs)                             # over all objects, height * width each
    place = np.arange(len(runs)) - np.repeat(np.cumsum(numbers) - numbers, numbers)
    inside = np.flatnonzero((place % 2 == 1) & (runs > 0))
    owner, end = owner[inside], ends[inside] - owner[inside] * (height * width)
    start = end - runs[inside]
    pieces = (end - 1) // height - start // height + 1               # columns of each run
    which = np.repeat(np.arange(len(start)), pieces)
    column = start[which] // height + np.arange(len(which)) - np.repeat(
        np.cumsum(pieces) - pieces, pieces)
    return (owner[which], np.maximum(start[which], column * height),
            np.minimum(end[which], (column + 1) * height))
