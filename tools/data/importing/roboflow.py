"""Roboflow's COCO export: _annotations.coco.json in train, valid and test.

Its category 0 is the name of the project, the super-category of all others; where no annotation
uses it, it is no class.
"""
from tools.data.importing.coco import coco_contents, is_coco, read_contents

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
    used = {str(annotation.get("category_id")) for _, content in contents
            for annotation in content["annotations"] if isinstance(annotation, dict)}
    for _, content in contents:
        project = project_category(content["categories"], used)
        if project is not None:
            collection.note(PROJECT_CLASS, str(project.get("name")))
            content["categories"].remove(project)
    read_contents(contents, collection)


def project_category(categories, used):
    """The unused category that is the super-category of all others, or None."""
    entries = [entry for entry in categories if isinstance(entry, dict)]
    for entry in entries:
        others = [other for other in entries if other is not entry]
        if others and str(entry.get("id")) not in used and all(
                other.get("supercategory") == entry.get("name") for other in others):
            return entry
    return None
