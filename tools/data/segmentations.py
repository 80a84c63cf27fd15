"""What the "segmentation" of a COCO annotation holds, in any nesting that is met, and its measures.

P: parts, polygons of one column of coordinates; R: run-length codes.  Points are (x, y) in pixels.
"""
import numpy as np
from pycocotools import mask as coco_mask

from tools.data.masks import rle_runs, runs_of_codes

POLYGONS, RLE = 1, 2            # kinds of segmentation; 0: none
FARTHEST = 1e5                  # pixels; filling a polygon takes memory for every one of them
FEWEST = 6                      # numbers of a polygon
UNIT = 1.02                     # coordinates in 0..1, rounded a little beyond
MAY_VANISH = 0.75               # area per length of outline below which a part may miss all pixels


def parts_of(segmentation):
    """A "segmentation" -> list of polygons, flat [x0, y0, x1, y1, ...] of floats, or of RLE dicts.

    None stands for a part that is no list of numbers.  Read at any depth: flat lists, lists of
    pairs, of {"x", "y"}, numbers written as texts, one polygon without the list around it.
    """
    parts, stack = [], [segmentation]
    while stack:
        node = stack.pop()
        if type(node) is dict and "counts" in node:
            parts.append(node)
        elif type(node) is not list:
            parts.append(None)
        elif node and all(type(item) is list and not is_pair(item) or is_rle(item)
                          for item in node):
            stack.extend(reversed(node))
        else:
            parts.append(flat_polygon(node))
    return parts


def is_rle(item):
    return type(item) is dict and "counts" in item


def is_pair(item):
    """Whether an item is a point: two numbers, not two lists."""
    return type(item) is list and len(item) == 2 and not any(type(x) in (list, dict) for x in item)


def flat_polygon(node):
    """[x0, y0, x1, ...] or a list of points -> list of floats; None for anything else."""
    try:
        if node and type(node[0]) is dict:
            node = [point[axis] for point in node for axis in "xy"]
        elif node and type(node[0]) is list:
            if not all(map(is_pair, node)):
                return None
            node = [value for point in node for value in point]
        numbers = [float(value) for value in node]
    except (TypeError, ValueError, KeyError, OverflowError):
        return None
    return None if len(numbers) % 2 else numbers


def part_measures(coordinates, lengths):
    """(bounds float64 [P, 4] x1 y1 x2 y2, area [P], outline [P], finite bool [P]) of polygons.

    coordinates: float64, those of all parts one after the other; lengths: numbers of each, even and
    not 0.  area: by the corners, 0 for a bow-tie; outline: its length in pixels.
    """
    if not len(lengths):
        return np.zeros((0, 4)), np.zeros(0), np.zeros(0), np.zeros(0, bool)
    ends = np.cumsum(lengths) // 2
    starts = ends - np.asarray(lengths) // 2
    with np.errstate(invalid="ignore", over="ignore"):
        x, y = coordinates[0::2], coordinates[1::2]
        bounds = np.stack([np.minimum.reduceat(x, starts), np.minimum.reduceat(y, starts),
                           np.maximum.reduceat(x, starts), np.maximum.reduceat(y, starts)], 1)
        finite = np.abs(bounds).max(1) <= FARTHEST     # NaN is not either
        next_x, next_y = np.append(x[1:], 0), np.append(y[1:], 0)
        next_x[ends - 1], next_y[ends - 1] = x[starts], y[starts]
        area = np.abs(np.add.reduceat(x * next_y - next_x * y, starts)) / 2
        outline = np.add.reduceat(np.hypot(next_x - x, next_y - y), starts)
    return bounds, area, outline, finite


def in_shares(bounds):
    """bool [P]: whether bounds x1 y1 x2 y2 lie in 0..1 and are no corners of the first pixel."""
    with np.errstate(invalid="ignore"):                # NaN: no bounds
        inside = (bounds[:, :2].min(1) >= 1 - UNIT) & (bounds[:, 2:].max(1) <= UNIT)
    near = np.flatnonzero(inside)
    inside[near] = (bounds[near] % 1 != 0).any(1)
    return inside


def vanishing(coordinates, lengths, bounds, area, outline):
    """bool [P]: parts that COCO's way of filling gives no pixel, whatever their area.

    Only those are filled that may be such: where the area is more than the outline's surroundings
    there is a pixel inside, unless the outline runs round it twice.
    """
    ends = np.cumsum(lengths)
    starts, middle = ends - lengths, lengths // 4 * 2
    twice = ((coordinates[starts] == coordinates[starts + middle])
             & (coordinates[starts + 1] == coordinates[starts + middle + 1]))
    box = (bounds[:, 2] - bounds[:, 0]) * (bounds[:, 3] - bounds[:, 1])
    doubtful = np.flatnonzero((area < MAY_VANISH * outline + 2) | twice | (area > box + 1))
    lost = np.zeros(len(lengths), bool)
    if len(doubtful):
        polygons = [coordinates[starts[part]:ends[part]].tolist() for part in doubtful]
        frame = np.ceil(np.maximum(bounds[doubtful, 2:].max(0), 1)).astype(int) + 2
        codes = coco_mask.frPyObjects(polygons, int(frame[1]), int(frame[0]))
        # One by one: with numpy 2, pycocotools measures no list of more than 255.
        lost[doubtful] = [coco_mask.area(code) == 0 for code in codes]
    return lost


def covering_parts(coordinates, lengths, owner):
    """(coordinates, lengths, owner, bounds) of the polygons that cover a pixel; then the owners of
    those whose coordinates are no numbers of pixels.

    coordinates, lengths: see `part_measures`; owner: int64 [P], the number of the
    annotation that each belongs to.
    """
    bounds, area, outline, finite = part_measures(coordinates, lengths)
    no_numbers = owner[~finite]
    coordinates, lengths, owner, bounds, area, outline = keep_parts(
        finite, coordinates, lengths, owner, bounds, area, outline)
    if len(lengths):
        lost = vanishing(coordinates, lengths, bounds, area, outline) & ~in_shares(bounds)
        coordinates, lengths, owner, bounds = keep_parts(~lost, coordinates, lengths, owner, bounds)
    return coordinates, lengths, owner, bounds, no_numbers


def keep_parts(kept, coordinates, lengths, *columns):
    """The arguments without the parts that are not `kept`."""
    if kept.all():
        return coordinates, lengths, *columns
    return (coordinates[np.repeat(kept, lengths)], lengths[kept],
            *(column[kept] for column in columns))


def owner_bounds(bounds, owner, num_owners):
    """float64 [num_owners, 4]: the bounds of all parts of each; NaN without a part.

    bounds: float64 [P, 4]; owner: int64 [P], ascending.
    """
    found = np.full((num_owners, 4), np.nan)
    if len(owner):
        starts = np.flatnonzero(np.diff(owner, prepend=-1))
        found[owner[starts], :2] = np.minimum.reduceat(bounds[:, :2], starts)
        found[owner[starts], 2:] = np.maximum.reduceat(bounds[:, 2:], starts)
    return found


def union_of_codes(codes):
    """(bytes of one compressed RLE, its size [h, w]) of RLE dicts of one size, nearly always one.

    ValueError, TypeError, KeyError or OverflowError where they are damaged; what is compressed
    already and alone is not looked into, see `code_measures`.
    """
    size = [int(side) for side in codes[0]["size"]]
    if len(size) != 2 or not 0 < size[0] * size[1] < 1 << 40:
        raise ValueError
    found = [compressed(code, size) for code in codes]
    if len(found) == 1:
        return found[0], size
    for code in codes:
        rle_runs(code, size)
    return coco_mask.merge([{"size": size, "counts": code} for code in found])["counts"], size


def compressed(code, size):
    """The bytes of a run-length code, which may be a list of numbers, checked."""
    counts = code["counts"]
    if type(counts) is str:
        if [*map(int, code["size"])] != size:
            raise ValueError
        return counts.encode()
    runs = rle_runs({**code, "size": [*map(int, code["size"])]}, size)
    return coco_mask.frPyObjects({"size": size, "counts": runs.tolist()}, *size)["counts"]


def code_measures(codes, lengths, sizes):
    """(sound bool [R], pixels int64 [R]) of compressed RLEs.

    codes: uint8, all counts one after the other; lengths: bytes of each; sizes: int64 [R, 2].
    sound: the runs are those of an image of its size.
    """
    runs, numbers, sound = runs_of_codes(codes, lengths)
    pixels, total = np.zeros(len(lengths), np.int64), np.zeros(len(lengths), np.int64)
    if len(runs):
        starts = np.cumsum(numbers) - numbers
        places = np.arange(len(runs)) - np.repeat(starts, numbers)
        filled = numbers > 0
        total[filled] = np.add.reduceat(runs, starts[filled])
        pixels[filled] = np.add.reduceat(runs * (places % 2), starts[filled])
        lowest = np.minimum.reduceat(runs, starts[filled])
        sound[filled] &= lowest >= 0
    return sound & (total == sizes.prod(1)), pixels
