"""Supervisely: meta.json, and in each data set img/photo.jpg with ann/photo.jpg.json.

Polygons without holes are copied; one with holes becomes a mask, since a list of polygons means
their union.  A bitmap is a zlib-packed PNG in base64 with the corner where it lies.
"""
from tools.data.importing.bitmaps import placed, png_mask, unpacked_base64, unpacked_zlib
from tools.data.importing.collection import (
    DAMAGED,
    NO_CLASS,
    NO_OUTLINE,
    NOT_AREAS,
    RECTANGLES,
    as_dict,
    as_list,
    text_label,
    whole_size,
)
from tools.data.importing.outlines import flat_ring, number, rectangle, without_holes
from tools.data.importing.source import SPLIT_NAMES, split_of
from tools.errors import shown

NAME = "supervisely"
HOLES = "polygons with holes (as masks)"


def recognise(source):
    for name, content in source.peek():
        if name.rpartition("/")[2] == "meta.json" and isinstance(content, dict) and any(
                isinstance(entry, dict) and "title" in entry
                for entry in as_list(content.get("classes"))):
            return f"{name} with classes, and ann/ beside img/"
    for name, content in source.peek():
        if is_annotation(content):
            return f"{name} with \"objects\" that have a classTitle"
    return None


def is_annotation(content):
    return isinstance(content, dict) and isinstance(content.get("size"), dict) \
        and isinstance(content.get("objects"), list)


def read(source, collection):
    for name in source.ending("meta.json"):
        meta = collection.json(name)
        classes = meta.get("classes") if isinstance(meta, dict) else None
        collection.declare(text_label(entry["title"]) for entry in as_list(classes)
                           if isinstance(entry, dict) and text_label(entry.get("title")))
    for name in source.ending(".json"):
        content = collection.json(name)
        if isinstance(content, dict) and isinstance(content.get("objects"), list):
            read_file(name, content, collection)


def read_file(name, content, collection):
    stated = as_dict(content.get("size"))
    size = whole_size(stated.get("height"), stated.get("width"))
    folder, _, file = name.rpartition("/")
    image = file.removesuffix(".json")
    parts = folder.split("/")
    if parts[-1] == "ann":
        image = "/".join([*parts[:-1], "img", image])
    if not collection.source.find_images(image):       # photo.json, as older versions wrote
        image = (collection.source.of_stem(f"{image}.", name) or [image])[0]
    picture = collection.add_picture(image, size, split=own_split(content) or split_of(name))
    for position, entry in enumerate(content["objects"] if picture else []):
        if isinstance(entry, dict):
            read_object(entry, picture, collection, f"{name}: object {position}")


def own_split(content):
    """Of a tag "train" or "val" of the image."""
    tags = [str(tag.get("name", "")).lower() for tag in as_list(content.get("tags"))
            if isinstance(tag, dict)]
    return next((SPLIT_NAMES[tag] for tag in tags if tag in SPLIT_NAMES), "")


def read_object(entry, picture, collection, where):
    label, kind = text_label(entry.get("classTitle")), entry.get("geometryType")
    if not label:
        return collection.leave_out(NO_CLASS, where)
    if kind is None:                                   # older files
        kind = "bitmap" if entry.get("bitmap") else "polygon"
    try:
        if kind == "polygon":
            return add_polygon(entry["points"], label, picture, collection, where)
        if kind == "rectangle":
            (x1, y1), (x2, y2) = entry["points"]["exterior"]
            collection.note(RECTANGLES, where)
            return collection.add_polygons(picture, label, [rectangle(x1, y1, x2, y2)])
    except (ValueError, TypeError, KeyError):
        return collection.leave_out(NO_OUTLINE, where)
    if kind not in ("bitmap", "alpha_mask"):
        return collection.leave_out(NOT_AREAS, f"{where}: {shown(kind)}")
    try:
        mask = bitmap(entry[kind], picture.size)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        return collection.leave_out(DAMAGED, f"{where}: {shown(str(error))}")
    return collection.add_mask(picture, label, mask)


def add_polygon(points, label, picture, collection, where):
    outer, holes = flat_ring(points["exterior"]), points.get("interior") or []
    if not holes:
        return collection.add_polygons(picture, label, [outer])
    collection.note(HOLES, where)
    return collection.add_mask(picture, label, without_holes(outer, holes, picture.size))


def bitmap(entry, size):
    """bool [H, W] of {"data", "origin": [x, y]}."""
    data = unpacked_base64(entry["data"])
    mask = png_mask(data if data.startswith(b"\x89PNG") else unpacked_zlib(data))
    left, top = (int(number(value)) for value in entry["origin"])
    return placed(mask, left, top, size)
