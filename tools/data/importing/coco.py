"""COCO json files: every annotation and every further key passes through as it is.

Ids stay; where two files disagree about a category id, classes are told apart by name and numbered
anew.  instances_train*.json and instances_val*.json become train and val.
"""
from tools.data.importing.collection import (
    BOXES,
    DAMAGED_FILE,
    NO_CLASS,
    SEVERAL_PLACES,
    text_label,
    whole_size,
)
from tools.data.importing.source import parts_of, split_of_file
from tools.errors import shown

NAME = "coco"
UNLISTED = "annotations of images that are not listed"
NO_NAME = "images without a file name"


def is_coco(content):
    return isinstance(content, dict) and all(isinstance(content.get(key), list)
                                             for key in ("images", "annotations", "categories"))


def recognise(source):
    for name, content in source.peek():
        if is_coco(content):
            return f"{name} with images, annotations and categories"
    return None


def read(source, collection):
    read_contents(coco_contents(source, collection), collection)


def coco_contents(source, collection):
    """[(name, content)] of the json files that are COCO's; the others are named."""
    found = []
    for name in source.ending(".json"):
        content = collection.json(name)
        if is_coco(content):
            found.append((name, content))
        elif content is not None:
            collection.leave_out(DAMAGED_FILE, f"{name}: no COCO json")
    return found


def read_contents(contents, collection, file_name=lambda image: image.get("file_name")):
    """Add the images and annotations of COCO jsons; file_name: image entry -> its name."""
    keys = category_keys([content["categories"] for _, content in contents], collection)
    for name, content in contents:
        header = collection.headers.setdefault(split_of_file(name) or "train", {})
        for key, value in content.items():
            if key not in ("images", "annotations", "categories"):
                header.setdefault(key, value)
        pictures = {}
        for image in filter(is_entry, content["images"]):
            key = str(image.get("id"))
            pictures[key] = add_image(image, file_name(image), name, collection)
        for annotation in content["annotations"]:
            add_annotation(annotation, pictures, keys, name, collection)


def is_entry(entry):
    return isinstance(entry, dict)


def named(categories):
    """The categories with an id and a name, both plain values."""
    return [entry for entry in filter(is_entry, categories)
            if isinstance(entry.get("id"), (int, str)) and text_label(entry.get("name"))]


def category_keys(lists, collection):
    """{category id: label}: the id itself, or the name where files disagree about ids."""
    by_id, by_name, clash = {}, {}, False
    for entries in lists:
        own = {}                                       # {name: ids}, several where it comes twice
        for category in named(entries):
            own.setdefault(category["name"], set()).add(str(category["id"]))
            known = by_id.setdefault(str(category["id"]), category)
            clash = clash or known["name"] != category["name"]
        clash = clash or any(by_name.get(name, ids) != ids for name, ids in own.items())
        by_name.update(own)
    collection.sort_classes = False
    if clash:
        collection.declare(text_label(category["name"]) for entries in lists
                           for category in named(entries))
        return None
    for category in by_id.values():
        collection.classes[category["id"]] = dict(category)
    return {number: category["id"] for number, category in by_id.items()}


def add_image(image, file_name, file, collection):
    if not isinstance(file_name, str) or not file_name:
        return collection.leave_out(NO_NAME, f"{file}: image {shown(image.get('id'))}")
    size = whole_size(image.get("height"), image.get("width"))
    picture = collection.add_picture(file_name, size, file, split=split_of_file(file))
    if picture is not None and picture.fields:
        collection.note(SEVERAL_PLACES, file_name)
    elif picture is not None:
        parts = parts_of(file_name)
        picture.stated = file_name if "/".join(parts) == file_name and ".." not in parts else ""
        picture.fields = {key: value for key, value in image.items()
                          if key not in ("file_name", "height", "width")}
    return picture


def add_annotation(annotation, pictures, keys, file, collection):
    if not is_entry(annotation):
        return collection.leave_out(NO_CLASS, f"{file}: {shown(annotation)}")
    where = f"{file}: annotation {shown(annotation.get('id'))}"
    image, category = str(annotation.get("image_id")), annotation.get("category_id")
    if image not in pictures:
        return collection.leave_out(UNLISTED, where)
    label = label_of(category, keys, file, collection)
    if label is None:
        return collection.leave_out(NO_CLASS, where)
    if not annotation.get("segmentation"):
        return collection.leave_out(BOXES, where)
    if pictures[image] is None:
        return None                                    # its image is named already
    fields = {key: value for key, value in annotation.items()
              if key not in ("image_id", "category_id", "segmentation", "iscrowd")}
    crowd = str(annotation.get("iscrowd")).lower() in ("1", "1.0", "true")
    return collection.add_raw(pictures[image], label, annotation["segmentation"], crowd, **fields)


def label_of(category, keys, file, collection):
    """The key of Collection.classes for a category id, None for an unknown one."""
    if keys is not None:
        return keys.get(str(category))
    for entry in named(collection.source.json(file)["categories"]):
        if str(entry["id"]) == str(category):
            return text_label(entry["name"])
    return None
