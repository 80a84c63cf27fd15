"""COCO panoptic: a json with segments_info, and a PNG per image whose colours are segment ids.

Segments of "things" (isthing 1) are objects; "stuff" such as sky has no single objects.
"""
import numpy as np

from tools.data.importing.bitmaps import png_values, values_in
from tools.data.importing.coco import add_image, category_keys, is_coco, is_entry, named
from tools.data.importing.collection import DAMAGED, DAMAGED_FILE, NO_CLASS, as_list, text_label
from tools.data.importing.source import common_tail
from tools.errors import shown

NAME = "panoptic"
STUFF = "segments of stuff, which has no single objects"
NO_THINGS = "files in which no category is a thing (all are taken as things)"
ABSENT = "segments that are not in their PNG"
UNLISTED = "segments of a PNG that its json does not list"
NO_PNG = "images whose PNG of segments was not found"
NO_SEGMENTS = "images without an annotation (taken as images without objects)"
OTHER_JSON = "json files that are not panoptic (import them by themselves)"


def is_panoptic(content):
    return is_coco(content) and any("segments_info" in entry for entry in
                                    filter(is_entry, content["annotations"][:1]))


def recognise(source):
    for name, content in source.peek():
        if is_panoptic(content):
            return f"{name}, whose annotations have segments_info"
    return None


def read(source, collection):
    contents = []
    for name in source.ending(".json"):
        content = collection.json(name)
        if is_panoptic(content):
            contents.append((name, content))
        elif content is not None:
            collection.leave_out(OTHER_JSON, name)
    for name, content in contents:
        make_things(name, content, collection)
    things = [[entry for entry in named(content["categories"])
               if entry.get("isthing", 1)] for _, content in contents]
    keys = category_keys(things, collection)
    for (name, content), own in zip(contents, things, strict=True):
        labels = {str(entry["id"]): keys[str(entry["id"])] if keys else text_label(entry["name"])
                  for entry in own}
        stuff = {str(entry.get("id")) for entry in filter(is_entry, content["categories"])
                 if not entry.get("isthing", 1)}
        read_file(name, content, (labels, stuff), collection)


def make_things(name, content, collection):
    """Some tools write isthing 0 for everything: then everything is taken."""
    categories = list(filter(is_entry, content["categories"]))
    if not any(entry.get("isthing", 1) for entry in categories):
        collection.note(NO_THINGS, name)
        for entry in categories:
            entry["isthing"] = 1


def read_file(name, content, meaning, collection):
    images = {str(image.get("id")): image for image in filter(is_entry, content["images"])}
    annotations = list(filter(is_entry, content["annotations"]))
    for annotation in annotations:
        where = f"{name}: image {shown(annotation.get('image_id'))}"
        image = images.get(str(annotation.get("image_id")))
        if image is None:
            collection.leave_out(DAMAGED_FILE, f"{where} is not listed")
        elif (ids := segment_ids(annotation, name, where, collection)) is not None:
            picture = add_image(image, image.get("file_name"), name, collection)
            if picture is not None:
                add_segments(annotation, ids, meaning, picture, collection)
    annotated = {str(annotation.get("image_id")) for annotation in annotations}
    for number, image in images.items():
        if number not in annotated and add_image(image, image.get("file_name"), name, collection):
            collection.note(NO_SEGMENTS, f"{name}: image {number}")


def segment_ids(annotation, json, where, collection):
    """[H, W] of the PNG of an annotation; None and counted where there is none."""
    stated = str(annotation.get("file_name"))
    png = find_png(stated, json.rpartition(".")[0], collection.source)
    if png is None:
        return collection.leave_out(NO_PNG, f"{where}: {shown(stated)}")
    try:
        return png_values(collection.source.around[png])
    except ValueError as error:
        return collection.leave_out(DAMAGED, f"{where}: its PNG {shown(str(error))}")


def find_png(file_name, folder, source):
    """The PNG of an annotation: below the folder named like the json, else of the nearest path."""
    wanted = f"{folder}/{file_name}".split("/")
    found = source.by_file_name.get(file_name.rpartition("/")[2].lower(), [])
    return max(found, key=lambda name: common_tail(wanted, name.split("/")), default=None)


def add_segments(annotation, ids, meaning, picture, collection):
    segments = list(filter(is_entry, as_list(annotation.get("segments_info"))))
    for segment in segments:
        add_segment(segment, ids, meaning, picture, collection)
    listed = [segment.get("id") for segment in segments]
    for value in values_in(ids):
        if value not in listed:
            collection.leave_out(UNLISTED, f"{picture.name}: segment {value}")


def add_segment(segment, ids, meaning, picture, collection):
    labels, stuff = meaning
    where = f"{picture.name}: segment {shown(segment.get('id'))}"
    category = str(segment.get("category_id"))
    if category in stuff:
        return collection.note(STUFF, where)
    if category not in labels:
        return collection.leave_out(NO_CLASS, where)
    mask = ids == (segment["id"] if isinstance(segment.get("id"), int) else -1)
    if ids.shape != tuple(picture.size):
        return collection.leave_out(DAMAGED, f"{where}: a PNG of another size")
    if not np.any(mask):
        return collection.leave_out(ABSENT, where)
    return collection.add_mask(picture, labels[category], mask, bool(segment.get("iscrowd")))
