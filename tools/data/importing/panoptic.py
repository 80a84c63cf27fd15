"""COCO panoptic: a json with segments_info, and a PNG per image whose colours are segment ids.

Segments of "things" (isthing 1) are objects; "stuff" such as sky has no single objects.
"""
import numpy as np

from tools.data.importing.bitmaps import png_values
from tools.data.importing.coco import add_image, category_keys, is_coco, is_entry, named
from tools.data.importing.collection import DAMAGED, DAMAGED_FILE, NO_CLASS, as_list, text_label
from tools.data.importing.source import common_tail
from tools.errors import shown

NAME = "panoptic"
STUFF = "segments of stuff, which has no single objects"
NO_THINGS = "files in which no category is a thing (all are taken as things)"
ABSENT = "segments that are not in their PNG"


def is_panoptic(content):
    return is_coco(content) and any("segments_info" in entry for entry in
                                    filter(is_entry, content["annotations"][:1]))


def recognise(source):
    for name, content in source.peek():
        if is_panoptic(content):
            return f"{name}, whose annotations have segments_info"
    return None


def read(source, collection):
    contents = [(name, content) for name in source.ending(".json")
                if is_panoptic(content := collection.json(name))]
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
    folder = name.rpartition(".")[0]
    for annotation in filter(is_entry, content["annotations"]):
        image = images.get(str(annotation.get("image_id")))
        where = f"{name}: image {shown(annotation.get('image_id'))}"
        picture = add_image(image, image.get("file_name"), name, collection) if image else None
        if picture is None:
            if image is None:
                collection.leave_out(DAMAGED_FILE, f"{where} is not listed")
            continue
        png = find_png(str(annotation.get("file_name")), folder, collection.source)
        try:
            ids = png_values(collection.source.files[png])
        except (KeyError, ValueError) as error:
            collection.leave_out(DAMAGED, f"{where}: its PNG {shown(str(error))}")
            continue
        for segment in filter(is_entry, as_list(annotation.get("segments_info"))):
            add_segment(segment, ids, meaning, picture, collection)


def find_png(file_name, folder, source):
    """The PNG of an annotation: below the folder named like the json, else of the nearest path."""
    wanted = f"{folder}/{file_name}".split("/")
    found = source.by_file_name.get(file_name.rpartition("/")[2].lower(), [])
    return max(found, key=lambda name: common_tail(wanted, name.split("/")), default=None)


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
