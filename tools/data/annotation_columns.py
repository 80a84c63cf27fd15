"""Annotations of a COCO json as columns: a few arrays instead of millions of Python objects.

A: annotations.  What does not depend on the sizes of the images is judged here, once, for many
thousand annotations at a time.
"""
from array import array

import numpy as np

from tools.data.ids import Keys, id_key, is_int64
from tools.data.reasons import reasons_of_codes, reasons_of_parts
from tools.data.segmentations import (
    FEWEST,
    POLYGONS,
    RLE,
    code_measures,
    covering_parts,
    owner_bounds,
    parts_of,
    union_of_codes,
)

BATCH_ROWS, BATCH_NUMBERS = 1 << 16, 1 << 21
LARGEST = 1e9                      # of a box or area that can be meant; NaN and infinity are not
NO_BOX = (float("nan"),) * 4
COLUMNS = {"image": np.int32, "category": np.int32, "crowd": np.bool_, "area": np.float64,
           "box": np.float64, "own_id": np.int64, "kind": np.uint8, "reason": np.uint8,
           "lost_part": np.bool_, "bounds": np.float64, "part_end": np.int64,
           "number_end": np.int64, "coordinates": np.float64, "code_end": np.int64,
           "code_size": np.int64, "codes": np.uint8}
WIDTHS = {"box": 4, "bounds": 4, "code_size": 2}    # columns of rows


class AnnotationColumns:
    """`add` every entry, then `end`; chunks: {column: arrays whose concatenation it is}.

    malformed: numbers of the entries that are no annotations; odd_ids: {row: id} of those ids that
    are not in the column "own_id".  "image" and "category" hold numbers of the `Keys`.
    """

    def __init__(self):
        self.images, self.categories = Keys(), Keys()
        self.malformed, self.odd_ids, self.rows = [], {}, 0
        self.chunks = {name: [] for name in COLUMNS}
        self.begin()

    def end(self):
        """Judge the rest, and turn counts into ends: what begins where the one before ends."""
        self.finish()
        for name in ("part_end", "number_end", "code_end"):
            total, chunks = 0, self.chunks[name]
            for place, counts in enumerate(chunks):
                chunks[place] = total + np.cumsum(counts)
                total = chunks[place][-1] if len(counts) else total
            chunks.insert(0, np.zeros(1, np.int64))

    def begin(self):
        """Empty buffers for the next rows."""
        self.ids = array("q")                          # image, category and own id of each row
        self.odd_images, self.odd_categories = {}, {}  # {row: key} of those that are no int64
        self.measures = array("d")                     # area and box of each row
        self.kinds = array("i")                        # the numbers of `add_kind`
        self.crowd, self.code_size = array("b"), array("q")
        self.numbers, self.part_length, self.codes = array("d"), array("i"), bytearray()
        self.batch_rows = 0

    def add(self, number, entry):
        try:
            self.ids.extend((entry["image_id"], entry["category_id"], entry["id"]))
        except (TypeError, KeyError, OverflowError):
            del self.ids[3 * self.batch_rows:]
            if not self.add_ids(number, entry):
                self.malformed.append(number)
                return
        try:
            x, y, width, height = entry["bbox"]
            self.measures.extend((entry["area"], x, y, width, height))
        except (TypeError, KeyError, ValueError, OverflowError):
            del self.measures[5 * self.batch_rows:]
            self.measures.extend(measures_of(entry))
        crowd = entry.get("iscrowd", 0)
        self.crowd.append(1 if crowd == 1 else is_crowd(crowd) if crowd else 0)
        self.add_segmentation(entry.get("segmentation"))
        self.rows += 1
        self.batch_rows += 1
        if self.batch_rows >= BATCH_ROWS or len(self.numbers) >= BATCH_NUMBERS \
                or len(self.codes) >= BATCH_NUMBERS:
            self.finish()

    def add_ids(self, number, entry):
        """Ids that are not all int64; whether the entry is an annotation at all."""
        if type(entry) is not dict:
            return False
        image, category = id_key(entry.get("image_id")), id_key(entry.get("category_id"))
        if image is None or category is None:
            return False
        if not is_int64(image):
            self.odd_images[self.batch_rows], image = image, 0
        if not is_int64(category):
            self.odd_categories[self.batch_rows], category = category, 0
        own_id = entry.get("id", f"at entry {number}")
        if not is_int64(own_id):
            self.odd_ids[self.rows], own_id = own_id, 0
        self.ids.extend((image, category, own_id))
        return True

    def add_segmentation(self, segmentation):
        """The quick way for lists of flat lists of numbers; all else by `add_parts`."""
        if type(segmentation) is not list or not segmentation:
            self.add_parts(segmentation)
            return
        size, numbers = len(self.numbers), self.numbers
        try:
            for part in segmentation:
                count = len(part)
                if type(part) is not list or count < FEWEST or count & 1:
                    raise TypeError
                numbers.extend(part)
        except (TypeError, OverflowError):
            del numbers[size:]
            self.add_parts(segmentation)
            return
        self.part_length.extend(map(len, segmentation))
        self.kinds.extend((POLYGONS, len(segmentation), 0, 0, 0))

    def add_parts(self, segmentation):
        """Whatever a segmentation may be."""
        if not segmentation or type(segmentation) not in (list, dict):
            self.add_kind(0)
            return
        parts = parts_of(segmentation)
        if all(part == [] for part in parts):          # [[]]: a box without a mask, mostly
            self.add_kind(0)
            return
        codes = [part for part in parts if type(part) is dict]
        if codes or type(segmentation) is dict:
            self.add_codes(codes if len(codes) == len(parts) else [{"counts": None}])
            return
        good = [part for part in parts if part is not None and len(part) >= FEWEST]
        for part in good:
            self.numbers.extend(part)
        self.part_length.extend(map(len, good))
        self.add_kind(POLYGONS, len(good), parts.count(None),
                      len(parts) - len(good) - parts.count(None))

    def add_kind(self, kind, num_parts=0, unreadable=0, short=0, code=b"", size=(0, 0)):
        self.kinds.extend((kind, num_parts, unreadable, short, len(code)))
        if kind == RLE:
            self.codes += code
            self.code_size.extend(size)

    def add_codes(self, codes):
        """Run-length codes, nearly always one: their union."""
        if len(codes) == 1 and not codes[0].get("counts"):
            self.add_kind(0)
            return
        try:
            code, size = union_of_codes(codes)
        except (ValueError, TypeError, KeyError, OverflowError):
            self.add_kind(RLE)
            return
        self.add_kind(RLE, code=code, size=size)

    def finish(self):
        """Judge what came since the last time, and put it to the chunks."""
        if not self.batch_rows:
            return
        ids = np.array(self.ids).reshape(-1, 3)
        kinds = np.array(self.kinds, np.int64).reshape(-1, 5)
        kind, code_length = kinds[:, 0].astype(np.uint8), kinds[:, 4]
        measures = np.array(self.measures).reshape(-1, 5)
        areas, boxes = measures[:, 0], measures[:, 1:]
        areas[~(np.abs(areas) < LARGEST)] = np.nan
        boxes[~(np.abs(boxes).max(1) < LARGEST)] = np.nan
        numbers, lengths, owner, bounds, unreadable = self.kept_parts(kinds)
        left = np.bincount(owner, minlength=len(kinds))
        reason = reasons_of_parts(kind, left, unreadable, ~np.isnan(boxes[:, 0]))
        coded, codes = np.flatnonzero(kind == RLE), np.frombuffer(bytes(self.codes), np.uint8)
        code_size = np.zeros((len(kinds), 2), np.int64)
        if len(coded):
            code_size[coded] = np.array(self.code_size).reshape(-1, 2)
            sound, pixels = code_measures(codes, code_length[coded], code_size[coded])
            reason[coded] = reasons_of_codes(sound, pixels)
        lost = (left > 0) & (unreadable | (kinds[:, 3] + kinds[:, 1] > left))
        values = (self.images.of_column(ids[:, 0], self.odd_images),
                  self.categories.of_column(ids[:, 1], self.odd_categories),
                  np.array(self.crowd, bool), areas, boxes, ids[:, 2], kind, reason, lost,
                  owner_bounds(bounds, owner, len(kind)), left, lengths, numbers, code_length,
                  code_size, codes)
        for (name, dtype), value in zip(COLUMNS.items(), values, strict=True):
            self.chunks[name].append(np.array(value, dtype))
        self.begin()

    def kept_parts(self, kinds):
        """(numbers, lengths, owner, bounds of the parts that cover a pixel, unreadable [A])."""
        owner = np.repeat(np.arange(len(kinds)), kinds[:, 1])
        *parts, no_numbers = covering_parts(np.array(self.numbers),
                                            np.array(self.part_length, np.int64), owner)
        unreadable = kinds[:, 2] > 0
        unreadable[no_numbers] = True
        return *parts, unreadable


def measures_of(entry):
    """(area, *box) of an annotation; NaN for each that is no number, or no box of four."""
    area, box = entry.get("area"), entry.get("bbox")
    good_box = type(box) is list and len(box) == 4 and all(map(is_number, box))
    return (area if is_number(area) else np.nan, *(box if good_box else NO_BOX))


def is_number(value):
    return type(value) in (int, float) and abs(value) < LARGEST


def is_crowd(value):
    """1 or 0, as iscrowd says, whatever the segmentation is; numbers as pycocotools takes them."""
    if type(value) is list and len(value) == 1:
        value, = value
    if type(value) in (int, float):
        return int(value != 0 and value == value)      # NaN: not given
    return int(str(value).lower() in ("1", "1.0", "true"))
