"""A Collection as COCO json files, one per split, and the folder that their file names start from.

Images stay where they are, unless they were asked to be copied or linked; those that came within
their annotations are written to <output>/images.
"""
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from pycocotools import mask as coco_mask

from tools.data.importing.collection import DAMAGED, NO_IMAGE
from tools.data.importing.outlines import flat_ring
from tools.data.masks import rle_runs, segmentation_to_rle
from tools.data.segmentations import parts_of
from tools.errors import UserError
from tools.files import atomic_file, write_json
from tools.progress import progress

SPLITS = ("train", "val", "test")
NOT_FOUND = "images that were not found (kept as stated; give their folder with --images)"
NO_PIXEL = "objects that cover no pixel (kept; training skips them)"
RENUMBERED = "annotation files whose ids were given twice (all are numbered anew)"


@dataclass
class Written:
    """A json file: its split, the folder for its file names, its images, objects per class."""
    split: str
    path: Path
    images: str
    num_images: int
    num_empty: int
    counts: dict


def write(collection, folder, transfer=None):
    """[Written] for a Collection.  transfer: None, "copy" or "link" the images to <folder>/images.

    UserError where nothing is left to write, or where an input would be replaced.
    """
    settle_missing(collection)
    if not collection.pictures:
        raise UserError("no image could be used: " + ("; ".join(
            f"{len(names)} {reason}, the first: {names[0]}"
            for reason, names in collection.left_out.items()) or "there is none in the source"))
    folder = Path(folder)
    place_images(collection, folder / "images", transfer)
    categories, numbers = numbered(collection)
    written, first = [], [1, 1]                        # the next image and annotation ids
    for split in SPLITS:
        pictures = [picture for picture in collection.pictures
                    if (picture.split or "train") == split]
        if not pictures:
            continue
        path = folder / f"{split}.json"
        refuse_input(path, collection.source)
        root, names = file_names(pictures)
        content = {**collection.headers.get(split, {}), "images": [], "annotations": [],
                   "categories": categories}
        add_entries(content, list(zip(pictures, names, strict=True)), numbers, first, collection)
        write_json(path, content)
        written.append(summary(split, path, root, content))
    return written


def settle_missing(collection):
    """Leave out pictures without a file; where not one has a file, keep them all as stated."""
    missing = [picture for picture in collection.pictures if not (picture.path or picture.data)]
    if len(missing) == len(collection.pictures):
        for picture in missing:
            collection.leave_out(NOT_FOUND, picture.name)
        return
    for picture in missing:
        collection.leave_out(NO_IMAGE, f"{picture.name} ({len(picture.things)} objects)")
    collection.pictures = [picture for picture in collection.pictures
                           if picture.path or picture.data]


def place_images(collection, folder, transfer):
    """Write embedded images, copy or link the others if asked; afterwards all have a path."""
    taken = {}
    for picture in collection.pictures:
        if picture.data is None and (transfer is None or picture.path is None):
            continue
        target = folder / picture.split / picture.name
        while taken.setdefault(target, picture.path or picture.name) != (picture.path
                                                                       or picture.name):
            target = target.with_name("_" + target.name)
        refuse_input(target, collection.source)
        refuse_other(target, picture)
        if picture.data is not None:
            with atomic_file(target) as file:
                file.write(picture.data)
        else:
            put(picture.path, target, transfer)
        picture.path, picture.stated = target, ""


def put(path, target, transfer):
    """Copy an image, or link to it.  UserError where that cannot be done."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if transfer == "link":
            target.unlink(missing_ok=True)
            target.symlink_to(os.path.abspath(path))
        else:
            shutil.copyfile(path, target)
    except OSError as error:
        raise UserError(f"cannot {transfer} '{path}' to '{target}': "
                        f"{error.strerror or error}") from None


def refuse_other(path, picture):
    """UserError where a file of another content would be replaced; links are ours."""
    if not path.is_file() or path.is_symlink():
        return
    data = picture.path.read_bytes() if picture.data is None else picture.data
    if path.read_bytes() != data:
        raise UserError(f"'{path}' is there already and is another picture: choose another output "
                        "folder")


def refuse_input(path, source):
    """UserError where a file of the source would be replaced."""
    if os.path.realpath(path) in source.real_paths:
        raise UserError(f"'{path}' is a file of the input: choose another output folder")


def numbered(collection):
    """([COCO categories], {label: id}): ids that the source has stay, else they count from 1."""
    labels = list(collection.classes)
    if collection.sort_classes:
        labels.sort(key=lambda label: str(label))
    has_ids = all("id" in collection.classes[label] for label in labels)
    categories = [collection.classes[label] if has_ids else
                  {"id": number, **collection.classes[label]}
                  for number, label in enumerate(labels, 1)]
    return categories, {label: entry["id"] for label, entry in zip(labels, categories, strict=True)}


def file_names(pictures):
    """(root, [name below it]): names of a COCO json stay where one folder fits all of them."""
    found = [picture for picture in pictures if picture.path]
    if not found:
        return "", [picture.stated or picture.name for picture in pictures]
    roots = {stated_root(picture) for picture in found}
    if len(roots) == 1 and None not in roots:
        return roots.pop(), [picture.stated for picture in pictures]
    try:
        root = os.path.commonpath([os.path.abspath(picture.path.parent) for picture in found])
    except ValueError:
        raise UserError("the images lie on several drives: add --copy-images") from None
    shown_root = os.path.relpath(root) if is_below(root, os.getcwd()) else root
    return shown_root, [Path(os.path.relpath(os.path.abspath(picture.path), root)).as_posix()
                        for picture in found]


def is_below(path, folder):
    return os.path.commonprefix([path + os.sep, folder + os.sep]) == folder + os.sep


def stated_root(picture):
    """The folder from which the name of a COCO json leads to the image, or None."""
    path, name = picture.path.as_posix(), picture.stated
    return (path[:-len(name) - 1] or ".") if name and path.endswith("/" + name) else None


def add_entries(content, pictures, numbers, first, collection):
    """Fill "images" and "annotations"; ids of the source stay where none comes twice."""
    image_ids = [picture.fields.get("id") for picture, _ in pictures]
    own_images = None not in image_ids and len(set(map(str, image_ids))) == len(image_ids)
    thing_ids = [str(thing.fields.get("id")) for picture, _ in pictures for thing in picture.things]
    own_things = len(set(thing_ids)) == len(thing_ids) and "None" not in thing_ids
    if not own_images and image_ids[0] is not None or not own_things and set(thing_ids) > {"None"}:
        collection.note(RENUMBERED, ", ".join(sorted({picture.split for picture, _ in pictures})))
    for picture, name in progress(pictures, label="writing", unit="image"):
        number = picture.fields["id"] if own_images else first[0]
        first[0] += 1
        content["images"].append({**picture.fields, "id": number, "file_name": name,
                                  "height": picture.size[0], "width": picture.size[1]})
        for position, thing in enumerate(picture.things):
            entry = annotation(thing, picture.size, f"{picture.name}: {position}", collection)
            if entry is not None:
                own = thing.fields["id"] if own_things else first[1]
                first[1] += 1
                content["annotations"].append({**entry, "id": own, "image_id": number,
                                               "category_id": numbers[thing.label]})


def annotation(thing, size, where, collection):
    """The COCO annotation without ids; None and counted where its mask is damaged."""
    fields = {key: value for key, value in thing.fields.items()
              if value is not None or key not in ("area", "bbox")}
    entry = {**fields, "segmentation": thing.segmentation, "iscrowd": int(thing.crowd)}
    if "area" in entry and "bbox" in entry:
        return entry
    try:
        rle = checked_rle(thing.segmentation, size)
    except (ValueError, TypeError, OverflowError):
        return collection.leave_out(DAMAGED, where)
    area = int(coco_mask.area(rle))
    if not area:
        collection.note(NO_PIXEL, where)
    return {"area": area, "bbox": coco_mask.toBbox(rle).tolist(), **entry}


def checked_rle(segmentation, size):
    """The mask as an RLE, of any nesting.  Raises ValueError for what is none."""
    if isinstance(segmentation, dict):
        rle_runs(segmentation, size)
        return segmentation_to_rle(segmentation, size)
    rings = [flat_ring(part or []) for part in parts_of(segmentation)]
    return segmentation_to_rle(rings, size)


def summary(split, path, root, content):
    names = {category["id"]: str(category["name"]) for category in content["categories"]}
    counts = dict.fromkeys(names.values(), 0)
    for entry in content["annotations"]:
        counts[names[entry["category_id"]]] += not entry["iscrowd"]
    with_objects = {entry["image_id"] for entry in content["annotations"]}
    return Written(split, path, root, len(content["images"]),
                   len(content["images"]) - len(with_objects), counts)
