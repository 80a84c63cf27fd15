"""Roboflow's COCO export: _annotations.coco.json in train, valid and test.

Its category 0 is the name of the project, the super-category of all others; where no annotation
uses it, it is no class.
"""
from tools.data.importing.coco import coco_contents, is_coco, is_entry, read_contents

NAME = "roboflow"
FILE = "_annotations.coco.json"
PROJECT_CLASS = "categories that only name the project (no class)"


def recognise(source):
    for name, content in source.peek():
        if name.lower().endswith(FILE) and is_coco(content):
            return f"{FILE} in {name.rpartition('/')[0] or 'the folder'}"
    return None


def read(source, collection):
    contents = coco_contents(source, collection)
    used = {name for _, content in contents for name in used_names(content)}
    for _, content in contents:
        project = project_category(content["categories"], used)
        if project is not None:
            collection.note(PROJECT_CLASS, str(project.get("name")))
            content["categories"].remove(project)
    read_contents(contents, collection)


def used_names(content):
    """The names of the categories that annotations of a json have."""
    names = {str(entry.get("id")): entry.get("name") for entry in filter(is_entry,
                                                                         content["categories"])}
    return {str(names.get(str(annotation.get("category_id"))))
            for annotation in filter(is_entry, content["annotations"])}


def project_category(categories, used):
    """The unused category that is the super-category of all others, or None."""
    entries = list(filter(is_entry, categories))
    for entry in entries:
        others = [other for other in entries if other is not entry]
        if others and str(entry.get("name")) not in used and all(
                other.get("supercategory") == entry.get("name") for other in others):
            return entry
    return None
