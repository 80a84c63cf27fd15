"""Cityscapes: gtFine/.../*_instanceIds.png, else *_polygons.json, beside leftImg8bit/.

An instance id is 1000 * class + number; one below 1000 is a group or background.  Polygons are in
the order in which they cover each other: one that no later one reaches is copied, of another the
visible part becomes a mask.  A label such as "cargroup" is a crowd.
"""
import re

import numpy as np

from tools.data.importing.bitmaps import png_values, values_in
from tools.data.importing.collection import (
    DAMAGED,
    DAMAGED_FILE,
    NO_OUTLINE,
    text_label,
    whole_size,
)
from tools.data.importing.outlines import flat_ring
from tools.data.importing.source import split_of
from tools.data.masks import polygons_to_mask
from tools.errors import shown

NAME = "cityscapes"
THINGS = {24: "person", 25: "rider", 26: "car", 27: "truck", 28: "bus", 29: "caravan",
          30: "trailer", 31: "train", 32: "motorcycle", 33: "bicycle"}
STUFF = ("unlabeled", "ego vehicle", "rectification border", "out of roi", "static", "dynamic",
         "ground", "road", "sidewalk", "parking", "rail track", "building", "wall", "fence",
         "guard rail", "bridge", "tunnel", "pole", "polegroup", "traffic light", "traffic sign",
         "vegetation", "terrain", "sky", "license plate")
STUFF_NUMBERS = (*range(24), 65)     # 65535 is the license plate's -1
UNKNOWN_ID = "regions of a class number that has no name"
MASKS, POLYGONS = "_instanceids.png", "_polygons.json"
HIDDEN = "objects that later ones partly cover (their visible part as a mask)"
COVERED = "objects that later ones cover completely"
STUFF_REGIONS = "regions of classes without single objects (road, sky and so on)"
COLOR = re.compile(r"^\s*\d+\s+\d+\s+\d+\s")
BACKGROUND = ("background", "unlabeled")
COARSE = re.compile(r"_(gtFine|gtCoarse)$")


def recognise(source):
    for name in source.ending(MASKS):
        return f"masks *_instanceIds.png, such as {name}"
    for name in source.ending(POLYGONS):
        return f"*_polygons.json, such as {name}"
    return None


def read(source, collection):
    colors = label_colors(source)
    masks = {name.lower().removesuffix(MASKS): name for name in source.ending(MASKS)}
    jsons = {name.lower().removesuffix(POLYGONS): name for name in source.ending(POLYGONS)}
    for key in sorted(masks | jsons):
        if key in masks:
            read_masks(masks[key], key, colors, collection)
        else:
            read_polygons(jsons[key], key, collection)


def label_colors(source):
    """{class number: name} of label_colors.txt, which CVAT and datumaro write; else Cityscapes'."""
    for name in source.ending("label_colors.txt"):
        rows = [COLOR.sub("", line).strip() for line in source.text(name).splitlines()]
        rows = [row for row in rows if row and not row.startswith("#")]
        rows = rows if "background" in rows or "unlabeled" in rows else ["background", *rows]
        return {number: row for number, row in enumerate(rows) if row not in BACKGROUND}
    return THINGS


def find_picture(name, key, size, collection):
    """aachen_000000_000019_gtFine... belongs to aachen_000000_000019_leftImg8bit.png."""
    stem = COARSE.sub("", name.rpartition("/")[2][:len(key.rpartition("/")[2])])
    source = collection.source
    found = [image for end in ("", "_leftimg8bit")
             for image in source.images_by_stem.get(stem.lower() + end, [])]
    same = [image for image in found if split_of(image) == split_of(name)]
    if same or found:
        return collection.add_file((same or found)[0], size, split_of(name))
    return collection.add_picture(f"{stem}_leftImg8bit.png", size, split=split_of(name))


def read_masks(name, key, names, collection):
    try:
        values = png_values(collection.source.files[name])
    except ValueError as error:
        collection.leave_out(DAMAGED, f"{name}: {shown(str(error))}")
        return
    picture = find_picture(name, key, values.shape, collection)
    if picture is None:
        return
    for value in values_in(values):
        number = value // 1000 if value >= 1000 else value
        if number not in names and names is THINGS and number in STUFF_NUMBERS:
            collection.note(STUFF_REGIONS, f"{name}: {value}")
        elif number not in names:
            collection.leave_out(UNKNOWN_ID, f"{name}: {value}")
        else:
            collection.add_mask(picture, names[number], values == value, crowd=value < 1000)


def read_polygons(name, key, collection):
    content = collection.json(name)
    if not isinstance(content, dict) or not isinstance(content.get("objects"), list):
        if content is not None:
            collection.leave_out(DAMAGED_FILE, f"{name}: no list \"objects\"")
        return
    size = whole_size(content.get("imgHeight"), content.get("imgWidth"))
    picture = find_picture(name, key, size, collection)
    if picture is None:
        return
    covered = np.zeros(picture.size, bool)
    objects = []
    for entry in reversed(content["objects"]):         # what is drawn last lies on top
        ring = ring_of(entry, collection, name)
        if ring is None:
            continue
        mask = polygons_to_mask([ring], picture.size)
        objects.append((entry, ring, mask & ~covered, (mask & covered).any()))
        covered |= mask
    for entry, ring, mask, hidden in reversed(objects):
        add_object(picture, text_label(entry.get("label")), ring, (mask, hidden), collection)


def ring_of(entry, collection, name):
    if not isinstance(entry, dict) or entry.get("deleted"):
        return None
    try:
        return flat_ring(entry["polygon"])
    except (ValueError, TypeError, KeyError):
        return collection.leave_out(NO_OUTLINE, f"{name}: {shown(entry.get('label'))}")


def add_object(picture, label, ring, visible, collection):
    mask, hidden = visible
    base = label.removesuffix("group")
    crowd = base != label and base in THINGS.values()
    where = f"{picture.name}: {label}"
    if label in STUFF:
        collection.note(STUFF_REGIONS, where)
    elif not hidden:
        collection.add_polygons(picture, base if crowd else label, [ring], crowd)
    elif not mask.any():
        collection.leave_out(COVERED, where)
    else:
        collection.note(HIDDEN, where)
        collection.add_mask(picture, base if crowd else label, mask, crowd)
