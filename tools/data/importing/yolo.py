"""YOLO segmentation: images, a txt of the same name each, and data.yaml with the class names.

A line is "class x1 y1 x2 y2 ..." in shares of the image's width and height.  The txt lies where
".../images/..." becomes ".../labels/...", else beside the image; an image without one has no
objects.  Lines of four numbers are boxes: they have no outline, so they are named and left out.
"""
import re

from tools.data.importing.collection import BOXES, DAMAGED_FILE, NO_OUTLINE
from tools.data.importing.flat_yaml import read_yaml
from tools.data.importing.source import SPLIT_NAMES, parts_of, resolved
from tools.errors import UserError, shown

NAME = "yolo"
NAME_LISTS = ("classes.txt", "obj.names", "_darknet.labels", "labels.txt")
LARGEST_SHARE = 1.5                # beyond it, numbers are pixels
LINE = re.compile(r"^\s*\d+(\.0+)?(\s+[-+.\deEnaif]+){4,}\s*$")
CONFIDENCES = "lines that end in a confidence (left off)"
NOT_SHARES = "lines whose numbers are no shares of the image (0 to 1)"
UNKNOWN_CLASS = "lines of a class that has no name in data.yaml (named by its number)"
NOT_IN_SPLIT = "labelled images that data.yaml does not list"


def recognise(source):
    yaml = find_yaml(source)
    if yaml:
        return f"{yaml} with \"names\", and a txt file per image"
    for name in source.ending(".txt"):
        if is_label_file(source, name):
            return f"txt files of \"class x y x y ...\", such as {name}"
    return None


def find_yaml(source):
    """The yaml with the class names, data.yaml first; None without one."""
    names = sorted(source.ending(".yaml", ".yml"),
                   key=lambda name: (not name.lower().endswith("data.yaml"), name.count("/")))
    return next((name for name in names if "names" in safe_yaml(source, name)), None)


def safe_yaml(source, name):
    try:
        return read_yaml(source.text(name)[:1_000_000])
    except UserError:
        return {}


def is_label_file(source, name):
    try:
        lines = source.text(name)[:100_000].split("\n")
    except UserError:
        return False
    return bool(label_images(source, name)) and any(map(LINE.match, lines[:1]))


def label_images(source, name):
    return source.images_by_stem.get(name.rpartition("/")[2].rpartition(".")[0].lower(), [])


def read(source, collection):
    yaml = find_yaml(source)
    content = safe_yaml(source, yaml) if yaml else {}
    names = class_names(content.get("names"), source)
    collection.declare(name for _, name in sorted(names.items()))
    labels = {name.lower(): name for name in source.ending(".txt")}
    listed = listed_images(content, yaml or "", source)
    used = set()
    for split, images in listed.items():
        for image in images:
            picture = collection.add_file(image, split=split, viewed=True)
            label = label_file(image, labels)
            if picture is not None and label:
                used.add(label)
                read_labels(label, picture, names, collection)
    for name in sorted(set(labels.values()) - used):
        if label_images(source, name) and is_label_file(source, name):
            collection.leave_out(NOT_IN_SPLIT, name)


def class_names(names, source):
    """{number: name} of data.yaml, else of a file with a name per line, else nothing."""
    if isinstance(names, dict):
        return {int(key): value for key, value in names.items() if key.isdigit()}
    if isinstance(names, list):
        return dict(enumerate(names))
    for name in source.ending(*NAME_LISTS):
        return dict(enumerate(line.strip() for line in source.text(name).splitlines()
                              if line.strip()))
    return {}


def listed_images(content, yaml, source):
    """{split: sorted images}: what data.yaml says, else all images by the folders they are in."""
    images = {}
    for key, split in SPLIT_NAMES.items():
        places = content.get(key) or []
        for place in [places] if isinstance(places, str) else places:
            found = images_of(place, str(content.get("path", "")), yaml, source)
            images.setdefault(split, []).extend(found)
    if not any(images.values()):
        images = {}
        for name in source.images:
            words = [SPLIT_NAMES.get(part.lower(), "") for part in name.split("/")[:-1]]
            images.setdefault(next(filter(None, words), ""), []).append(name)
    return {split: sorted(set(found)) for split, found in images.items()}


def images_of(place, base, yaml, source):
    """The images of a folder or of a txt list, given relative to "path" or to the yaml itself."""
    folder = parts_of(yaml)[:-1]
    for start in (folder + parts_of(base), folder, parts_of(base), []):
        parts = resolved(start + parts_of(place))
        while parts and parts[0] == "..":              # as Roboflow writes: ../train/images
            parts = parts[1:]
        for end in range(len(parts)):                  # a path of another machine: its end
            path = "/".join(parts[end:])
            below = [name for name in source.images if name.startswith(path + "/")]
            if below:
                return below
            if path in source.files and path.lower().endswith(".txt"):
                lines = source.text(path).split("\n")
                found = [source.find_images(line.strip(), path) for line in lines if line.strip()]
                return [names[0] for names in found if len(names) == 1]
    return []


def label_file(image, labels):
    """The txt of an image, or None."""
    stem = image.rpartition(".")[0]
    parts = stem.split("/")
    candidates = [stem]
    if "images" in (folders := [part.lower() for part in parts[:-1]]):
        last = len(folders) - 1 - folders[::-1].index("images")
        candidates.insert(0, "/".join([*parts[:last], "labels", *parts[last + 1:]]))
    else:
        candidates.append("/".join(["labels", *parts]))
        candidates.append("/".join([*parts[:-1], "labels", parts[-1]]))
    return next((labels[f"{name}.txt".lower()] for name in candidates
                 if f"{name}.txt".lower() in labels), None)


def read_labels(label, picture, names, collection):
    try:
        lines = collection.source.text(label).splitlines()
    except UserError as error:
        collection.leave_out(DAMAGED_FILE, str(error))
        return
    for number, line in enumerate(lines, 1):
        if line.strip():
            read_line(line.split(), picture, names, collection, f"{label} line {number}")


def read_line(words, picture, names, collection, where):
    try:
        class_number, values = float(words[0]), [float(word) for word in words[1:]]
    except ValueError:
        return collection.leave_out(NO_OUTLINE, f"{where}: {shown(' '.join(words))}")
    if len(values) in (4, 5):
        return collection.leave_out(BOXES, where)
    if len(values) > 6 and len(values) % 2:
        collection.note(CONFIDENCES, where)
        values.pop()
    if not all(abs(value) <= LARGEST_SHARE for value in values):
        return collection.leave_out(NOT_SHARES, where)
    if not class_number.is_integer():
        return collection.leave_out(NO_OUTLINE, f"{where}: class {shown(words[0])}")
    if int(class_number) not in names:
        collection.note(UNKNOWN_CLASS, where)
    height, width = picture.size
    ring = [value * side for value, side in zip(values, (width, height) * len(values),
                                                strict=False)]
    return collection.add_polygons(picture, names.get(int(class_number), str(int(class_number))),
                                   [ring])
