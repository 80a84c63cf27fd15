"""Masks, polygons, run-length codes and boxes, and the ways from one to another.

H, W: height and width of the image; I: instances.  Points are (x, y) in pixels, sizes (height,
width).  Boxes are (x1, y1, x2, y2), with x2 and y2 exclusive: one pixel has width 1.
"""
import cv2
import numpy as np
import shapely
from pycocotools import mask as coco_mask


def polygons_to_mask(polygons, size):
    """Union of polygons -> bool [H, W], filled as COCO's own tools fill them.

    `polygons`: flat [x0, y0, x1, y1, ...] lists of at least 3 points each; an empty list gives
    an empty mask.
    """
    if not polygons:
        return np.zeros(size, bool)
    return coco_mask.decode(polygons_to_rle(polygons, size)).astype(bool)


def polygons_to_rle(polygons, size):
    """Union of at least one polygon, as for `polygons_to_mask` -> compressed COCO RLE."""
    flat = [np.asarray(polygon, np.float64).ravel().tolist() for polygon in polygons]
    return coco_mask.merge(coco_mask.frPyObjects(flat, *map(int, size)))


def mask_to_polygons(mask, tolerance=0.0):
    """bool [H, W] -> list of int [P, 2], one closed outline along the pixel edges per part.

    Holes are joined to the outline around them by a cut of no width, since COCO and labelme know no
    holes.  tolerance: pixels by which an outline may deviate to get fewer corners; with 0.0
    `polygons_to_mask` gives back exactly the mask.
    """
    if not np.any(mask):
        return []
    # In a mask of twice the size the outline of pixel i runs from 2i to 2i + 1: its edges i, i + 1.
    doubled = np.repeat(np.repeat(np.asarray(mask, np.uint8), 2, 0), 2, 1)
    rings, tree = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    rings = [simplified((ring + 1) // 2, tolerance) for ring in rings]
    parents = tree[0, :, 3]                            # -1: not a hole
    return [with_holes(ring, [rings[hole] for hole in np.flatnonzero(parents == number)])
            for number, ring in enumerate(rings) if parents[number] < 0]


def simplified(ring, tolerance):
    """int32 [P, 1, 2] as cv2 gives it -> int [Q, 2], with fewer corners.

    With a tolerance about one outline in eighty would cross itself: then shapely, which keeps it
    simple, takes the corners away; an outline of which too little would be left stays as it is.
    """
    exact = cv2.approxPolyDP(ring, 0.0, True)[:, 0]
    fewer = cv2.approxPolyDP(ring, tolerance, True)[:, 0]
    if len(fewer) < 3 or cv2.contourArea(fewer) == 0:
        return exact
    if shapely.Polygon(fewer).is_valid or not shapely.Polygon(exact).is_valid:
        return fewer
    kept = shapely.Polygon(exact).simplify(tolerance, preserve_topology=True)
    return np.rint(shapely.get_coordinates(kept)[:-1]).astype(np.int32)


def with_holes(ring, holes):
    """One ring that goes to each hole, round it and back, at the corners nearest to each other."""
    for hole in holes:
        distances = ((ring[:, None] - hole) ** 2).sum(-1)
        here, there = np.unravel_index(distances.argmin(), distances.shape)
        ring = np.concatenate([ring[:here + 1], hole[there:], hole[:there + 1], ring[here:]])
    return ring


def rle_to_mask(rle, size):
    """COCO run-length code, compressed or not (see `rle_runs`) -> bool [H, W]."""
    runs = rle_runs(rle, size)
    inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(inside, runs).reshape(int(size[1]), int(size[0])).T


def rle_runs(rle, size):
    """The runs of a COCO run-length code: int64 [R], background and object in turn.

    `rle`: {"size": [h, w], "counts": str or bytes (compressed), list of int (uncompressed)}.
    Raises ValueError where its size is not `size`, or its runs are not runs of h * w pixels:
    pycocotools does not look, and for damaged counts returns whatever the memory held.
    """
    height, width = map(int, size)
    if rle.get("size") not in ([height, width], (height, width)):
        raise ValueError(f"an RLE of size {rle.get('size')} for an image of {[height, width]}")
    counts = rle.get("counts")
    if isinstance(counts, list):
        runs = np.array(counts, np.float64)
        whole = runs.ndim == 1 and np.array_equal(runs, np.floor(runs))
    elif isinstance(counts, (str, bytes)):
        runs = decompressed(counts.encode() if isinstance(counts, str) else counts)
        whole = True
    else:
        raise ValueError(f"RLE counts of type {type(counts).__name__}, expected text or a list")
    if not whole or runs.sum() != height * width or runs.min() < 0:
        raise ValueError(f"RLE counts that are not runs of {height * width} pixels in all")
    return runs.astype(np.int64)


def decompressed(counts):
    """The bytes of a compressed RLE -> int64 [R].  Raises ValueError for damaged ones."""
    codes = np.frombuffer(counts, np.uint8)
    runs, _, sound = runs_of_codes(codes, np.array([len(codes)]))
    if not sound[0]:
        raise ValueError("damaged RLE counts")
    return runs


def runs_of_codes(codes, lengths):
    """Many compressed RLEs -> (their runs, int64, one after the other; how many of each; sound).

    codes: uint8, the counts of all; lengths: int64, bytes of each.  Those that are not sound (bool)
    have no runs.
    Each number is written in groups of 5 bits, the lowest first, with bit 6 on all groups but the
    last and the sign in the last; from the fourth on they are differences to the last but one.
    """
    ends = np.cumsum(lengths)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    groups = codes - np.uint8(48)                      # below 48: wraps to above 63
    is_last = groups < 32
    sound = np.asarray(lengths) > 0
    sound[sound] = is_last[ends[sound] - 1]
    sound[owner[groups > 63]] = False
    if not sound.all():                                # the damaged ones would shift the others
        kept = sound[owner]
        groups, owner, is_last = groups[kept], owner[kept], is_last[kept]
    last = np.flatnonzero(is_last)
    first = np.zeros_like(last)
    first[1:] = last[:-1] + 1
    sizes = last - first + 1
    owner = owner[last]
    if len(sizes) and sizes.max() > 7:                 # 7 groups hold 32 bits
        sound[owner[sizes > 7]] = False
        kept = sound[owner]
        last, first, sizes, owner = last[kept], first[kept], sizes[kept], owner[kept]
    runs = (groups[first] & 31).astype(np.int64)
    for place in range(1, sizes.max(initial=0)):
        longer = np.flatnonzero(sizes > place)
        runs[longer] |= (groups[first[longer] + place].astype(np.int64) & 31) << 5 * place
    runs -= (groups[last].astype(np.int64) & 16) >> 4 << 5 * sizes
    numbers = np.bincount(owner, minlength=len(lengths))
    places = np.arange(len(runs)) - np.repeat(np.cumsum(numbers) - numbers, numbers)
    for chain in ((places % 2 == 1), (places % 2 == 0) & (places > 0)):
        chain = np.flatnonzero(chain)
        sums = np.cumsum(runs[chain])
        begins = np.flatnonzero(np.diff(owner[chain], prepend=-1))
        before = np.append(0, sums)[begins]
        runs[chain] = sums - np.repeat(before, np.diff(np.append(begins, len(chain))))
    return runs, numbers, sound


def segmentation_to_mask(segmentation, size):
    """The "segmentation" of a COCO annotation, polygons or either RLE -> bool [H, W]."""
    if isinstance(segmentation, dict):
        return rle_to_mask(segmentation, size)
    return polygons_to_mask(segmentation, size)


def segmentation_to_rle(segmentation, size):
    """The "segmentation" of a COCO annotation, polygons or either RLE -> compressed COCO RLE."""
    if not isinstance(segmentation, dict):
        return polygons_to_rle(segmentation, size)
    if isinstance(segmentation["counts"], list):
        return coco_mask.frPyObjects(segmentation, *map(int, size))
    return segmentation


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
