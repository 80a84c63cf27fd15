"""VGG Image Annotator, versions 1 to 3: polygons, rectangles, circles and ellipses, json or csv.

The class is the region attribute of an obvious name, else the one that most regions have; of
several such the one with the fewest values, which a number per region is not.
"""
import csv
import json
import math
from collections import defaultdict

from tools.data.importing.collection import (
    DAMAGED_FILE,
    NO_OUTLINE,
    NOT_AREAS,
    RECTANGLES,
    as_dict,
    as_list,
    text_label,
)
from tools.data.importing.outlines import ellipse, flat_ring, number, rectangle
from tools.data.importing.tables import table_rows
from tools.errors import UserError, shown

NAME = "via"
CLASS_NAMES = ("class", "label", "name", "category", "type", "object", "class_name", "classname")
SHAPES = dict(zip("123456789", ("point", "rect", "circle", "ellipse", "line", "polyline", "polygon",
                                "extreme rectangle", "extreme circle"), strict=True))  # version 3
DEFAULT_CLASS = "object"
CLASS_FROM = "attributes that the classes are taken from"
UNLABELLED = f"regions without a class (as '{DEFAULT_CLASS}')"
SEVERAL_CLASSES = "regions with several classes ticked (the first is used)"
NO_ATTRIBUTE = "regions without a value of the class attribute"


def recognise(source):
    for name, content in source.peek():
        if isinstance(content, dict) and (entries(content) or is_version_3(content)):
            version = "version 3" if is_version_3(content) else "\"filename\" and \"regions\""
            return f"{name} with {version}"
    for name in source.ending(".csv"):
        if "region_shape_attributes" in source.text(name)[:2000]:
            return f"{name} with a column region_shape_attributes"
    return None


def is_version_3(content):
    return all(isinstance(content.get(key), dict) for key in ("file", "metadata", "attribute"))


def entries(content):
    """The entries per image of versions 1 and 2, or []."""
    found = content.get("_via_img_metadata", content)
    values = list(found.values()) if isinstance(found, dict) else []
    good = [value for value in values if isinstance(value, dict) and "filename" in value
            and "regions" in value]
    return good if good and len(good) == len(values) else []


def read(source, collection):
    regions = []                                       # (image, file, region) of all files
    for name in source.ending(".json"):
        content = collection.json(name)
        if isinstance(content, dict):
            regions += read_version_3(content) if is_version_3(content) else read_json(content)
            regions = [(image, file or name, region) for image, file, region in regions]
    for name in source.ending(".csv"):
        try:
            regions += [(image, name, region) for image, region in read_csv(source.text(name))]
        except (UserError, csv.Error, KeyError) as error:
            collection.leave_out(DAMAGED_FILE, f"{name}: {shown(str(error))}")
    attribute = class_attribute([region for _, _, region in regions if region])
    if attribute:
        collection.note(CLASS_FROM, attribute)
    by_image = {}
    for image, file, region in regions:
        by_image.setdefault((image, file), []).append(region)
    for (image, file), own in by_image.items():
        picture = collection.add_picture(image, None, file, viewed=True)
        for region in filter(None, own if picture else []):
            read_region(region, attribute, picture, collection, f"{image}: {shown(region['name'])}")


def read_json(content):
    """[(image, "", region or None)]: None stands for an image without regions."""
    found = []
    for entry in entries(content):
        regions = entry["regions"]
        regions = list(regions.values()) if isinstance(regions, dict) else as_list(regions)
        shapes = [{**as_dict(region.get("shape_attributes")),
                   "attributes": as_dict(region.get("region_attributes"))}
                  for region in filter(as_dict, regions)]
        found += [(str(entry["filename"]), "", {"name": "", **shape}) for shape in shapes]
        found += [] if shapes else [(str(entry["filename"]), "", None)]
    return found


def read_csv(text):
    """[(image, region or None)] of the rows."""
    found = []
    for row in table_rows(text):
        image = row.get("filename") or row.get("#filename")
        try:
            shape = json.loads(row.get("region_shape_attributes") or "{}")
            attributes = json.loads(row.get("region_attributes") or "{}")
        except (ValueError, RecursionError):
            shape, attributes = {"name": "damaged row"}, {}
        if image:
            region = {"name": "", **as_dict(shape), "attributes": as_dict(attributes)} \
                if shape else None
            found.append((image, region))
    return found


def read_version_3(content):
    """As `read_json`, with names for the numbers of shapes, attributes and options."""
    files = {str(key): value for key, value in content["file"].items() if isinstance(value, dict)}
    views = as_dict(content.get("view"))
    found, used = [], set()
    for entry in map(as_dict, content["metadata"].values()):
        view = as_dict(views.get(str(entry.get("vid"))))
        for image in as_list(view.get("fid_list")) or [entry.get("vid")]:
            file = files.get(str(image))
            if file is None or not as_list(entry.get("xy")):
                continue
            used.add(str(image))
            name = str(file.get("src") or file.get("fname"))
            attributes = named_attributes(as_dict(entry.get("av")), content["attribute"])
            kind, *values = entry["xy"]
            found.append((name, "", {"name": SHAPES.get(str(kind), "unknown"), "xy": values,
                                     "attributes": attributes}))
    return found + [(str(file.get("src") or file.get("fname")), "", None)
                    for key, file in files.items() if key not in used]


def named_attributes(values, attributes):
    """{name: text} of one region: numbers of options become the options."""
    named = {}
    for key, value in values.items():
        attribute = attributes.get(str(key))
        if isinstance(attribute, dict):
            options = as_dict(attribute.get("options"))
            chosen = [text_label(options[key]) for key in str(value).split(",") if key in options]
            named[str(attribute.get("aname"))] = dict.fromkeys(chosen, True) if chosen else value
    return named


def class_attribute(regions):
    """The name of the region attribute that holds the class; "" where there is none."""
    labels = defaultdict(list)
    for region in regions:
        for key, value in region["attributes"].items():
            labels[key] += [label_of(value)] if label_of(value) else []
    labels = {key: values for key, values in labels.items() if values}
    for name in CLASS_NAMES:
        for key in labels:
            if key.lower() == name:
                return key
    return max(labels, key=lambda key: (len(labels[key]), -len(set(labels[key]))), default="")


def label_of(value):
    """A text, or the one that is ticked among check boxes."""
    if isinstance(value, dict):
        value = next((key for key, ticked in value.items() if ticked), "")
    return text_label(value)


def read_region(region, attribute, picture, collection, where):
    value = region["attributes"].get(attribute)
    label = label_of(value) if attribute else DEFAULT_CLASS
    if not label:
        return collection.leave_out(NO_ATTRIBUTE, where)
    if not attribute:
        collection.note(UNLABELLED, where)
    if sum(map(bool, as_dict(value).values())) > 1:
        collection.note(SEVERAL_CLASSES, f"{where}: {shown(label)}")
    try:
        ring = outline(region, collection, where)
    except (ValueError, TypeError, KeyError):
        return collection.leave_out(NO_OUTLINE, where)
    if ring is None:
        return collection.leave_out(NOT_AREAS, where)
    return collection.add_polygons(picture, label, [ring])


def outline(region, collection, where):
    """A flat ring; None for shapes without an area."""
    kind, values = region["name"], region.get("xy")
    if kind == "polygon":
        return flat_ring(values if values is not None else
                         list(zip(region["all_points_x"], region["all_points_y"], strict=True)))
    if kind in ("rect", "extreme rectangle"):
        collection.note(RECTANGLES, where)
        if kind == "extreme rectangle":
            return rectangle(min(values[::2]), min(values[1::2]),
                             max(values[::2]), max(values[1::2]))
        x, y, width, height = map(number, values or [region[key] for key in
                                                     ("x", "y", "width", "height")])
        return flat_ring(rectangle(x, y, x + width, y + height))
    if kind == "circle":
        x, y, radius = values or [region[key] for key in ("cx", "cy", "r")]
        return ellipse(x, y, radius, radius)
    if kind == "ellipse":
        x, y, radius_x, radius_y = values or [region[key] for key in ("cx", "cy", "rx", "ry")]
        return ellipse(x, y, radius_x, radius_y, math.degrees(number(region.get("theta") or 0)))
    if kind == "extreme circle":
        return circle_through(values)
    return None


def circle_through(values):
    """The circle through three points."""
    (ax, ay), (bx, by), (cx, cy) = zip(values[::2], values[1::2], strict=True)
    double = 2 * (ax * (by - cy) + bx * (cy - ay) + cx * (ay - by))
    if not double:
        raise ValueError("three points on a line")
    squares = ax**2 + ay**2, bx**2 + by**2, cx**2 + cy**2
    x = (squares[0] * (by - cy) + squares[1] * (cy - ay) + squares[2] * (ay - by)) / double
    y = (squares[0] * (cx - bx) + squares[1] * (ax - cx) + squares[2] * (bx - ax)) / double
    radius = ((ax - x) ** 2 + (ay - y) ** 2) ** 0.5
    return ellipse(x, y, radius, radius)
