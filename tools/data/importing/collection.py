"""What a reader gathers: pictures, their objects, classes, and by name what it could not take.

Sizes are (height, width), points (x, y) in pixels.
"""
import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tools.data.images import exif_orientation, image_size
from tools.data.importing.outlines import flat_ring, turned_back, turned_mask_back
from tools.data.importing.source import nearest_to, parts_of, split_of
from tools.data.masks import mask_to_rle, polygons_to_mask
from tools.errors import UserError, shown
from tools.progress import Progress

NO_CLASS = "objects without a class"
NO_OUTLINE = "objects whose coordinates are no numbers or fewer than three points"
DAMAGED = "objects whose mask is damaged"
OTHER_SIZE = "images of another size than their annotations say"
OTHER_ENDING = "images that were found with another ending than stated"
UNREADABLE = "images whose file cannot be read"
AMBIGUOUS = "images whose name fits several files"
NEAREST = "images whose name fits several files (the one nearest to its annotations is used)"
NO_IMAGE = "images that were not found"
DAMAGED_FILE = "files that cannot be read"
BOXES = "boxes without an outline"
NOT_AREAS = "points, lines and other shapes without an area"

MIXED_PARTS = "objects joined from polygons and masks (as one mask)"
RECTANGLES = "rectangles: the whole of each counts as its object"
TWICE = "objects listed twice (used once)"
NOT_MENTIONED = "images beside the others for which nothing was read (not taken)"
SEVERAL_PLACES = "images annotated in several places (their objects are joined)"
TURNED = "images that EXIF turns: coordinates were turned back to the stored pixels"


@dataclass
class Thing:
    """An object: `label` is a key of Collection.classes, `segmentation` what COCO calls so.

    fields: further keys for its COCO annotation.
    """
    label: object
    segmentation: list | dict
    crowd: bool = False
    fields: dict = field(default_factory=dict)


@dataclass
class Picture:
    """An image: its file (None: not found), or its bytes where they came within the annotations.

    name: its path below the folder of images; stated: its name in a COCO json, which it keeps
    where it can; turn: the EXIF orientation from which coordinates must be turned back, 1 for none.
    """
    name: str
    path: Path | None
    size: tuple
    split: str = ""
    things: list = field(default_factory=list)
    fields: dict = field(default_factory=dict)
    data: bytes | None = None
    turn: int = 1
    stated: str = ""


class Collection:
    """Everything that was read from a source.

    classes: {label: COCO category without "id" or with it}; sort_classes: whether their order
    means nothing, so that they are sorted by name.
    headers: {split: further keys of a COCO json, such as info and licenses}.
    left_out, notes: {what: [names]} of what could not be taken, and of what one should know.
    """

    def __init__(self, source):
        self.source = source
        self.pictures, self.classes, self.sort_classes = [], {}, True
        self.left_out, self.notes, self.headers = {}, {}, {}
        self.progress = Progress(None, "reading", "image")
        self._known, self._seen, self._mentioned = {}, set(), set()

    def declare(self, labels):
        """Classes that the source itself lists, in its order; they stay without objects too."""
        for label in labels:
            self.classes.setdefault(label, {"name": label})
        self.sort_classes = False

    def leave_out(self, reason, name):
        self.left_out.setdefault(reason, []).append(name)

    def note(self, what, name):
        self.notes.setdefault(what, []).append(name)

    def mention(self, images):
        """These images need no note: they were read, or what is wrong with them was said."""
        self._mentioned.update(images)

    def note_unmentioned(self):
        """Note the images that lie beside those of the annotations but are not mentioned."""
        folders = {name.rpartition("/")[0] for name in self._mentioned}
        for name in self.source.images:
            if name not in self._mentioned and name.rpartition("/")[0] in folders:
                self.note(NOT_MENTIONED, name)

    def json(self, name):
        """The content of a json file, None and counted where it is damaged."""
        try:
            return self.source.json(name)
        except UserError as error:
            self.leave_out(DAMAGED_FILE, f"{name}: {error}")
            return None

    def add_picture(self, name, size=None, beside="", split=None, viewed=False):
        """The Picture that a source calls `name`, or None and counted where it cannot be used.

        size: as the source states it; None: that of the file.  beside: the annotation file.
        split: None: as the folders say.  viewed: the tool shows images turned by EXIF.
        """
        found = self.source.find_images(name, beside)
        if not found and len(other := self.source.of_stem(name, beside, split)) == 1:
            self.note(OTHER_ENDING, f"{name}: {other[0]}")
            found = other
        if len(found) > 1 and len(near := nearest_to(beside, found, split)) == 1:
            self.note(NEAREST, f"{name}: {near[0]}")
            found = near
        elif len(found) > 1:
            self.mention(found)
            return self.leave_out(AMBIGUOUS, f"{name}: {', '.join(found[:3])}")
        split = split_of(found[0] if found else name) if split is None else split
        if found:
            return self.add_file(found[0], size, split, viewed)
        if size is None:
            return self.leave_out(NO_IMAGE, name)
        plain = "/".join(part for part in parts_of(name) if part != "..")
        return self._unique(Picture(plain, None, size, split))

    def add_file(self, file, size=None, split="", viewed=False):
        """As `add_picture`, of an image whose path below the folder of images is known."""
        path = self.source.images[file]
        self.mention([file])
        stored = image_size(path)
        if stored is None:
            return self.leave_out(UNREADABLE, file)
        turn = exif_orientation(path) if viewed or size not in (None, stored) else 1
        upright = stored[::-1] if turn >= 5 else stored
        size = size or (upright if viewed else stored)
        if size not in (stored, upright):
            return self.leave_out(OTHER_SIZE, f"{file}: the file is {stored}, stated is {size} "
                                              "(height, width)")
        ambiguous = viewed and turn > 1 and stored == upright
        if ambiguous:                                  # the size cannot tell, as it does otherwise
            self.note(TURNED, file)
        return self._unique(Picture(file, path, size, split, turn=turn if ambiguous else 1))

    def add_embedded(self, name, data, size, split=""):
        """A Picture whose file came within the annotations."""
        return self._unique(Picture(name, None, size, split, data=data))

    def _unique(self, picture):
        """The picture itself, or the one of the same file and split that is there already."""
        key = (picture.path or picture.name, picture.split)
        known = self._known.setdefault(key, picture)
        if known is picture:
            self.pictures.append(picture)
            self.progress.advance()
        else:
            self.note(SEVERAL_PLACES, picture.name)
        return known

    def add_polygons(self, picture, label, polygons, crowd=False, **fields):
        """An object that is the union of polygons, each [[x, y], ...] or flat; they are copied."""
        where = f"{picture.name}: {shown(label)}"
        try:
            rings = [turned_back(flat_ring(polygon), picture.turn, picture.size)
                     for polygon in polygons]
        except (ValueError, TypeError, OverflowError):
            return self.leave_out(NO_OUTLINE, where)
        if not rings:
            return self.leave_out(NO_OUTLINE, where)
        return self._add(picture, Thing(label, rings, crowd, fields), where)

    def add_mask(self, picture, label, mask, crowd=False, **fields):
        """An object given by its pixels: bool [H, W] of the whole picture."""
        where = f"{picture.name}: {shown(label)}"
        if mask.shape != tuple(picture.size) or not mask.any():
            return self.leave_out(DAMAGED, where)
        rle = mask_to_rle(turned_mask_back(mask, picture.turn))
        return self._add(picture, Thing(label, rle, crowd, fields), where)

    def add_parts(self, picture, label, parts):
        """An object of several parts, flat rings and bool [H, W]: rings alone stay polygons."""
        rings = [part for part in parts if isinstance(part, list)]
        masks = [part for part in parts if not isinstance(part, list)]
        if not masks:
            return self.add_polygons(picture, label, rings) if rings else None
        if rings:
            self.note(MIXED_PARTS, f"{picture.name}: {shown(label)}")
            masks.append(polygons_to_mask(rings, picture.size))
        return self.add_mask(picture, label, np.logical_or.reduce(masks))

    def add_raw(self, picture, label, segmentation, crowd=False, **fields):
        """An object whose segmentation is COCO's already."""
        where = f"{picture.name}: annotation {shown(fields.get('id'))}"
        return self._add(picture, Thing(label, segmentation, crowd, fields), where)

    def _add(self, picture, thing, where):
        if thing.label in ("", None):
            return self.leave_out(NO_CLASS, where)
        if self._is_repeated(picture, thing):
            return self.leave_out(TWICE, where)
        self.classes.setdefault(thing.label, {"name": thing.label})
        picture.things.append(thing)
        return thing


    def _is_repeated(self, picture, thing):
        """Whether the picture has the same object already; those with fields are told by them."""
        key = hash((id(picture), thing.label, str(thing.segmentation), str(thing.fields)))
        repeated = key in self._seen
        self._seen.add(key)
        return repeated


def as_dict(value):
    """The value if it is a dict, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value):
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def whole_size(height, width):
    """(height, width) as ints, None unless both are positive whole numbers."""
    try:
        size = int(float(height)), int(float(width))
    except (TypeError, ValueError, OverflowError):
        return None
    return size if min(size) > 0 and max(size) < 2**31 else None


def text_label(value):
    """A class name as text, "" for none."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return ""
    if isinstance(value, float) and (not math.isfinite(value)):
        return ""
    return str(value).strip()
