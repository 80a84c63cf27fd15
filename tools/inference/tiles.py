"""Tiles: small objects of a large image, seen at full size one square after another.

Neighbouring tiles overlap.  Two results of one class, from two tiles, are one object if their masks
agree in the band that both tiles see (IoU there of `tile_merge` or more).  Of such a group the best
result that no inner edge of its tile has cut is taken as it is; where all are cut, they are joined
and have the highest of their scores.  What is about as large as a tile or larger comes from the
whole image at its usual, small size, and replaces its pieces.
Only one tile is before the network at a time, and masks are kept as bits: the memory does not grow
with the number of tiles.  Sizes are (height, width), windows (top, left, bottom, right) in pixels.
"""
from dataclasses import dataclass, field

import numpy as np

from model.instances import Instances, Packed, pack
from tools.progress import progress

EDGE = 2                           # pixels: a mask that comes so near to an edge is cut by it


@dataclass
class Part:
    """What a tile shows of an object: `mask` Packed in the whole image, `box` as a window."""

    score: float
    class_index: int
    mask: Packed
    tile: tuple
    cut: bool
    group: list = field(default_factory=list)          # shared by the parts of an object

    @property
    def box(self):
        top, left, (height, width), _ = self.mask
        return top, left, top + height, left + width


def tile_side(cfg, size):
    """The side of the tiles of an image of this size in pixels, 0 for none."""
    side = cfg.tile_size
    if side < 0:
        large = max(size) > cfg.tile_auto * cfg.test_max_side
        side = cfg.test_short_side if large else 0
    return side if 0 < side < max(size) else 0


def windows(size, side, overlap):
    """Tiles in rows, evenly spread, neighbours sharing at least this part of a side."""
    tops, lefts = (starts(length, side, overlap) for length in size)
    return [(top, left, min(top + side, size[0]), min(left + side, size[1]))
            for top in tops for left in lefts]


def starts(length, side, overlap):
    if length <= side:
        return [0]
    count = 1 + int(np.ceil((length - side) / max(1, side * (1 - overlap))))
    return np.rint(np.linspace(0, length - side, count)).astype(int).tolist()


def segment_tiles(predictor, pixels, side, segment):
    """Instances of uint8 [H, W, 3] BGR, by segment(predictor, pixels) for each tile and the whole.

    They may be more than `max_per_image`, which holds for each tile.
    """
    cfg, size = predictor.cfg, pixels.shape[:2]
    whole = large_ones(segment(predictor, pixels), cfg.tile_large * side)
    tiles, parts = windows(size, side, cfg.tile_overlap), {}
    for tile in progress(tiles, len(tiles), "tiles", "tile"):
        top, left, bottom, right = tile
        found = segment(predictor, pixels[top:bottom, left:right])
        parts[tile] = [part_of(found, index, tile, size)
                       for index in np.flatnonzero(found.boxes.any(1))]
        for other in neighbours(tile, parts):
            connect(parts[tile], parts[other], intersection(tile, other), cfg.tile_merge)
    objects = [joined(group) for group in groups(parts)]
    objects = [entry for entry in objects if not is_piece(entry, whole, cfg.tile_merge)]
    return sorted_instances(objects + whole, size)


def large_ones(found, side):
    """Parts of the whole image that are at least `side` pixels long."""
    tile = (0, 0, *found.size)
    parts = [part_of(found, index, tile, found.size)
             for index in np.flatnonzero(found.boxes.any(1))]
    return [part for part in parts if max(part.mask.shape) >= side]


def part_of(found, index, tile, size):
    """A Part of one of the Instances of a tile, moved into the image of `size`."""
    top, left, shape, bits = found.packed[index]
    mask = Packed(top + tile[0], left + tile[1], shape, bits)
    box = mask.top, mask.left, size[0] - mask.top - shape[0], size[1] - mask.left - shape[1]
    edges = tile[0], tile[1], size[0] - tile[2], size[1] - tile[3]     # 0 where the image ends
    cut = any(edge > 0 and distance - edge < EDGE
              for distance, edge in zip(box, edges, strict=True))
    part = Part(float(found.scores[index]), int(found.class_indices[index]), mask, tile, cut)
    part.group.append(part)
    return part


def neighbours(tile, parts):
    """The tiles seen before that overlap this one."""
    return [other for other in parts if other != tile and not is_empty(intersection(tile, other))]


def connect(parts, others, band, min_iou):
    """Put those of two tiles into one group that agree in the `band` that both see."""
    for part in parts:
        for other in others:
            if part.class_index == other.class_index and part.group is not other.group \
                    and not is_empty(intersection(part.box, other.box)) \
                    and band_iou(part, other, band) >= min_iou:
                part.group.extend(other.group)
                for member in other.group:
                    member.group = part.group


def band_iou(part, other, band):
    """IoU of two parts inside a window."""
    common = intersection(part.box, other.box)
    both = np.count_nonzero(inside(part, common) & inside(other, common))
    areas = (np.count_nonzero(inside(entry, intersection(entry.box, band)))
             for entry in (part, other))
    return both / max(sum(areas) - both, 1)


def inside(part, window):
    """bool: the mask of a part in a window, which lies in its box."""
    top, left, bottom, right = window
    return unpacked(part.mask)[top - part.mask.top:bottom - part.mask.top,
                               left - part.mask.left:right - part.mask.left]


def unpacked(packed):
    """bool [h, w] of a Packed."""
    height, width = packed.shape
    return np.unpackbits(packed.bits, count=height * width).view(bool).reshape(height, width)


def groups(parts):
    """The groups of all parts, each once."""
    every = (part for found in parts.values() for part in found)
    return list({id(part.group): part.group for part in every}.values())


def joined(group):
    """One Part of a group: its best whole one, else all of them together."""
    complete = [part for part in group if not part.cut]
    best = max(complete or group, key=lambda part: part.score)
    if complete or len(group) == 1:
        return best
    boxes = np.array([part.box for part in group])
    top, left = boxes[:, :2].min(0).tolist()
    bottom, right = boxes[:, 2:].max(0).tolist()
    mask = np.zeros((bottom - top, right - left), bool)
    for part in group:
        y1, x1, y2, x2 = part.box
        mask[y1 - top:y2 - top, x1 - left:x2 - left] |= unpacked(part.mask)
    return Part(best.score, best.class_index, pack(top, left, mask), best.tile, True)


def is_piece(part, whole, min_share):
    """Whether a large object of the whole image shows the same, or the whole of a cut part."""
    area = None
    for large in whole:
        common = intersection(part.box, large.box)
        if is_empty(common) or not (part.cut or part.class_index == large.class_index):
            continue
        area = np.count_nonzero(unpacked(part.mask)) if area is None else area
        both = np.count_nonzero(inside(part, common) & inside(large, common))
        rest = 0 if part.cut else np.count_nonzero(unpacked(large.mask)) - both
        if both >= min_share * (area + rest):
            return True
    return False


def sorted_instances(parts, size):
    parts = sorted(parts, key=lambda part: -part.score)
    return Instances([part.score for part in parts], [part.class_index for part in parts],
                     [part.mask for part in parts], size)


def intersection(window, other):
    return (*(max(pair) for pair in zip(window[:2], other[:2], strict=True)),
            *(min(pair) for pair in zip(window[2:], other[2:], strict=True)))


def is_empty(window):
    return window[2] <= window[0] or window[3] <= window[1]
