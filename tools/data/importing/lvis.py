"""LVIS: a COCO json whose images have a coco_url instead of a name: train2017/000000391895.jpg.

neg_category_ids and not_exhaustive_category_ids stay in the json.  Training and evaluation here
take every class as annotated in every image, which LVIS does not promise; this is said.
"""
from tools.data.importing.coco import coco_contents, is_coco, read_contents
from tools.data.importing.source import parts_of

NAME = "lvis"
KEYS = ("neg_category_ids", "not_exhaustive_category_ids")
FEDERATED = "images whose classes are not all annotated (kept in the json, not used by eval.py)"


def recognise(source):
    for name, content in source.peek():
        if is_coco(content) and content["images"] and isinstance(content["images"][0], dict):
            found = [key for key in KEYS if key in content["images"][0]]
            if found:
                return f"{name}, whose images have {found[0]}"
    return None


def read(source, collection):
    contents = coco_contents(source, collection)
    read_contents(contents, collection, image_name)
    for name, content in contents:
        count = sum(bool(image.get("not_exhaustive_category_ids")) for image in content["images"]
                    if isinstance(image, dict))
        if count:
            collection.note(FEDERATED, f"{name}: {count} of {len(content['images'])}")


def image_name(image):
    """The file name, else the last two parts of the address: the folder tells train from val."""
    if image.get("file_name"):
        return image["file_name"]
    return "/".join(parts_of(image.get("coco_url") or image.get("flickr_url") or "")[-2:])
