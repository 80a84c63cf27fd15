"""labelme and X-AnyLabeling: a json per image with "shapes" and "imagePath".

polygon, rectangle, circle, mask (a PNG of the box between its two points, both inclusive),
rotation, oriented_rectangle and quadrilateral become objects.  Shapes of one label and one group_id
are the parts of one object.  The image is the one beside the json, else the one within it
("imageData"); labelme shows images turned by EXIF.
"""
import io

from PIL import Image

from tools.data.importing.bitmaps import placed, png_mask, unpacked_base64
from tools.data.importing.collection import (
    DAMAGED,
    DAMAGED_FILE,
    NO_CLASS,
    NO_IMAGE,
    NO_OUTLINE,
    NOT_AREAS,
    RECTANGLES,
    text_label,
    whole_size,
)
from tools.data.importing.outlines import ellipse, flat_ring, number, rectangle
from tools.data.importing.source import parts_of, split_of
from tools.errors import shown

NAME = "labelme"
IGNORED_LABELS = ("__ignore__", "_background_")
CORNERED = ("polygon", "rotation", "oriented_rectangle", "quadrilateral", None, "")
OTHER_JSON = "json files that are not labelme's"
IN_JSON = "images that are only within their json (written to the output folder)"


def is_labelme(content):
    return isinstance(content, dict) and isinstance(content.get("shapes"), list) and (
        "imagePath" in content or "imageData" in content)


def recognise(source):
    names = [name for name, content in source.peek() if is_labelme(content)]
    return f"json files with \"shapes\" and \"imagePath\", such as {names[0]}" if names else None


def read(source, collection):
    for name in source.ending(".json"):
        content = collection.json(name)
        if is_labelme(content):
            read_file(name, content, collection)
        elif content is not None:
            collection.leave_out(OTHER_JSON, name)


def read_file(name, content, collection):
    picture = find_picture(name, content, collection)
    if picture is None:
        return
    groups = {}                                        # parts of one object, in order
    for position, shape in enumerate(content["shapes"]):
        if not isinstance(shape, dict) or not (label := text_label(shape.get("label"))):
            collection.leave_out(NO_CLASS, f"{name}: shape {position}")
        elif label in IGNORED_LABELS:
            collection.leave_out("shapes labelled as ignored or background", f"{name}: {position}")
        else:
            part = read_shape(shape, picture, collection, f"{name}: shape {position}")
            group = shape.get("group_id")
            key = (label, position) if group is None else (label, str(group), "group")
            groups.setdefault(key, []).extend([] if part is None else [part])
    for (label, *_), parts in groups.items():
        collection.add_parts(picture, label, parts)


def find_picture(name, content, collection):
    """The Picture of a json file: the image it names, the one of its own name, or the one in it."""
    size = whole_size(content.get("imageHeight"), content.get("imageWidth"))
    stem = name.rpartition(".")[0]
    named = str(content.get("imagePath") or "")
    for candidate in filter(None, (named, *same_stem(stem, collection.source))):
        found = collection.source.find_images(candidate, name)
        if found and not (content.get("imageData") and other_size(found, size, collection)):
            return collection.add_picture(candidate, size, beside=name, viewed=True)
    if content.get("imageData"):
        return embedded_picture(name, named, content["imageData"], size, collection)
    if not named and not collection.source.of_stem(name, name):
        return collection.leave_out(NO_IMAGE, name)
    named = named or name                              # the image of the json's own name
    return collection.add_picture(named, size, beside=name, split=split_of(name), viewed=True)


def same_stem(stem, source):
    found = source.images_by_stem.get(stem.rpartition("/")[2].lower(), [])
    return [file for file in found if file.rpartition(".")[0] == stem]


def other_size(found, size, collection):
    """Whether the only file found is clearly not the image that was annotated."""
    from_file = Image.open(collection.source.images[found[0]]).size if len(found) == 1 else None
    return None not in (from_file, size) and size not in (from_file, from_file[::-1])


def embedded_picture(name, named, text, size, collection):
    try:
        data = unpacked_base64(text)
        width, height = Image.open(io.BytesIO(data)).size
    except (ValueError, OSError, Image.DecompressionBombError):
        return collection.leave_out(DAMAGED_FILE, f"{name}: its imageData is no picture")
    if size not in (None, (height, width)):
        size = (height, width)
    folder = name.rpartition("/")[0]
    file = "/".join(filter(None, (folder, (parts_of(named) or [name + ".png"])[-1])))
    collection.note(IN_JSON, name)
    return collection.add_embedded(file, data, (height, width), split_of(name))


def read_shape(shape, picture, collection, where):
    """A flat ring, a bool mask, or None and counted."""
    kind, points = shape.get("shape_type", "polygon"), shape.get("points")
    try:
        if kind in CORNERED:
            return flat_ring(points)
        if kind == "rectangle":
            collection.note(RECTANGLES, where)
            return corners(points)
        if kind == "circle":
            (x, y), (edge_x, edge_y) = [[number(value) for value in point] for point in points]
            radius = ((x - edge_x) ** 2 + (y - edge_y) ** 2) ** 0.5
            return ellipse(x, y, radius, radius)
    except (ValueError, TypeError, IndexError):
        return collection.leave_out(NO_OUTLINE, where)
    if kind != "mask":
        return collection.leave_out(NOT_AREAS, f"{where} ({shown(kind)})")
    try:
        return mask_of(shape, picture.size)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        return collection.leave_out(DAMAGED, f"{where}: {shown(str(error))}")


def corners(points):
    """The outline of two opposite corners, or of four corners as they are."""
    if len(points) == 4:
        return flat_ring(points)
    (x1, y1), (x2, y2) = points
    return flat_ring(rectangle(x1, y1, x2, y2))


def mask_of(shape, size):
    """bool [H, W] of a shape whose PNG fills the box between its points."""
    (x1, y1), (x2, y2) = [[int(number(value)) for value in point] for point in shape["points"]]
    mask = png_mask(unpacked_base64(shape.get("mask")))
    if mask.shape != (y2 - y1 + 1, x2 - x1 + 1):
        raise ValueError(f"a mask of {mask.shape} in a box of {(y2 - y1 + 1, x2 - x1 + 1)}")
    return placed(mask, x1, y1, size)
