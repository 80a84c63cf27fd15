"""Pascal VOC: SegmentationObject numbers the objects of an image, SegmentationClass their classes.

255 is the border between objects and belongs to none.  Both may be palette pictures (VOC itself) or
coloured ones with a labelmap.txt (CVAT's export).  A txt file in ImageSets/Segmentation is a split.
"""
import re

import numpy as np

from tools.data.importing.bitmaps import png_values, values_in
from tools.data.importing.collection import DAMAGED, NO_CLASS
from tools.data.importing.source import SPLIT_NAMES
from tools.errors import shown

NAME = "voc"
VOID = 255
CLASS_NAMES = ("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat",
               "chair", "cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant",
               "sheep", "sofa", "train", "tvmonitor")
NO_CLASSES = "masks in SegmentationObject without their twin in SegmentationClass"
BOXES_ONLY = "images with boxes but without a mask in SegmentationObject"


def recognise(source):
    found = mask_files(source)
    return f"masks in a folder SegmentationObject, such as {found[0]}" if found else None


def mask_files(source):
    return [name for name in source.ending(".png", ".bmp", ".tif", ".tiff")
            if "segmentationobject" in name.lower().split("/")]


def read(source, collection):
    masks, splits = mask_files(source), listed_splits(source)
    colors, own_names = label_map(source)
    used = set()
    for name in masks:
        stem = name.rpartition("/")[2].rpartition(".")[0]
        used.add(stem)
        wanted = class_file(name, source)
        if wanted is None:
            collection.leave_out(NO_CLASSES, name)
            continue
        try:
            objects, classes = (png_values(source.around[file]) for file in (name, wanted))
        except ValueError as error:
            collection.leave_out(DAMAGED, f"{name}: {shown(str(error))}")
            continue
        image = image_of(stem, name, source)
        picture = collection.add_file(image, objects.shape, splits.get(stem, "")) if image else \
            collection.add_picture(f"JPEGImages/{stem}.jpg", objects.shape,
                                   split=splits.get(stem, ""))
        if picture is None or classes.shape != objects.shape:
            if picture is not None:
                collection.leave_out(DAMAGED, f"{name}: not of the size of its SegmentationClass")
            continue
        read_objects(name, objects, (classes, colors, own_names), picture, collection)
    for name in source.ending(".xml"):
        parts, stem = name.split("/"), name.rpartition("/")[2].rpartition(".")[0]
        if "Annotations" in parts and stem not in used:
            collection.leave_out(BOXES_ONLY, name)


def class_file(name, source):
    wanted = name.lower().replace("segmentationobject", "segmentationclass")
    found = source.by_file_name.get(wanted.rpartition("/")[2], [])
    return next((file for file in found if file.lower() == wanted), None)


def image_of(stem, mask, source):
    """The image of a mask: the one of its name that is not among the masks itself."""
    found = [name for name in source.images_by_stem.get(stem.lower(), [])
             if not any(part.lower().startswith("segmentation") for part in name.split("/"))]
    base = mask.lower().partition("segmentationobject")[0]
    near = [name for name in found if name.lower().startswith(base)]
    return (near or found or [None])[0]


def listed_splits(source):
    """{stem: "train", "val" or "test"} of ImageSets."""
    splits = {}
    for name in source.ending(".txt"):
        folder, _, file = name.rpartition("/")
        split = SPLIT_NAMES.get(file.rpartition(".")[0].lower())
        if split and "ImageSets" in folder and not folder.endswith("Main"):
            lines = source.text(name).splitlines()
            splits.update({line.split()[0].rpartition("/")[2]: split for line in lines
                           if line.strip()})
    return splits


def label_map(source):
    """({value of a pixel: name}, names by index) of labelmap.txt or class_names.txt, if any."""
    for name in source.ending("labelmap.txt"):
        rows = [line.split(":") for line in source.text(name).splitlines()
                if line.strip() and not line.startswith("#")]
        colors = [re.fullmatch(r"(\d+),(\d+),(\d+)", (row + [""])[1].strip()) for row in rows]
        return {int(color[1]) + 256 * int(color[2]) + 65536 * int(color[3]): row[0]
                for row, color in zip(rows, colors, strict=True) if color}, \
            [row[0] for row in rows]
    for name in source.ending("class_names.txt"):
        return {}, [line.strip() for line in source.text(name).splitlines()]
    return {}, None


def voc_color(index):
    """The colour of an index in VOC's palette, as `png_values` gives colours."""
    color = 0
    for bit in range(8):
        for channel in range(3):
            color |= (index >> (3 * bit + channel) & 1) << (7 - bit + 8 * channel)
    return color


def read_objects(name, objects, meaning, picture, collection):
    classes, colors, own_names = meaning
    void = {0, VOID} if objects.max() <= 255 else {0, voc_color(VOID)}
    for value in values_in(objects, void):
        mask = objects == value
        found, counts = np.unique(classes[mask], return_counts=True)
        label = class_name(int(found[counts.argmax()]), colors, own_names)
        if label is None:
            collection.leave_out(NO_CLASS, f"{name}: object {value}")
        else:
            collection.add_mask(picture, label, mask)


def class_name(value, colors, own_names):
    """The class of a pixel of SegmentationClass, None for background, void and unknown ones."""
    if value > 255 and value in colors:
        label = colors[value]
    else:
        names = own_names or CLASS_NAMES
        by_color = {voc_color(index): index for index in range(256)}
        index = value if value < len(names) else by_color.get(value, -1)     # 128: dark red
        if value in colors and value:
            return colors[value]
        label = names[index] if 0 <= index < len(names) else None
    return None if label in ("background", "_background_", "__background__", "") else label
