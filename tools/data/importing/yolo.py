"""YOLO segmentation: images, a txt of the same name each, and data.yaml with the class names.

A line is "class x1 y1 x2 y2 ..." in shares of the image's width and height.  The txt lies where
".../images/..." becomes ".../labels/...", else beside the image, else it is the only one of its
name; an image without one has no objects.  Lines of four numbers are boxes, and where data.yaml has
kpt_shape all are poses: neither has an outline, so they are named and left out.
"""
import re

from tools.data.importing.collection import BOXES, DAMAGED_FILE, NO_IMAGE, NO_OUTLINE
from tools.data.importing.flat_yaml import read_yaml
from tools.data.importing.source import SPLIT_NAMES, parts_of, resolved, split_of
from tools.errors import UserError, shown

NAME = "yolo"
NAME_LISTS = ("classes.txt", "obj.names", "_darknet.labels", "labels.txt")
LARGEST_SHARE = 1.5                # beyond it, numbers are pixels
LINE = re.compile(r"^\s*\d+(\.0+)?(\s+[-+.\deEnaif]+){4,}\s*$")
CONFIDENCES = "lines that end in a confidence (left off)"
NOT_SHARES = "lines whose numbers are no shares of the image (0 to 1)"
UNKNOWN_CLASS = "lines of a class that has no name in data.yaml (named by its number)"
POSES = "lines of key points without an outline (data.yaml has kpt_shape)"
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
    return bool(label_images(source, name)) and has_lines(source, name)


def has_lines(source, name):
    """Whether a text starts with a line of a class and numbers."""
    try:
        text = source.text(name)[:100_000].strip()
    except UserError:
        return False
    return bool(LINE.match(text.partition("\n")[0]))


def label_images(source, name):
    return source.images_by_stem.get(name.rpartition("/")[2].rpartition(".")[0].lower(), [])


def read(source, collection):
    yaml = find_yaml(source)
    content = safe_yaml(source, yaml) if yaml else {}
    names = class_names(content.get("names"), source)
    collection.declare(name for _, name in sorted(names.items()))
    labels = {name.lower(): name for name in source.ending(".txt", around=bool(yaml))}
    listed = listed_images(content, yaml or "", source)
    read_lines = name_poses if "kpt_shape" in content else read_labels
    used = set()
    for split, images in listed.items():
        for image in images:
            label = label_file(image, labels) or only_label(image, labels, source)
            used.add(label)
            picture = collection.add_file(image, split=split or split_of(label or ""), viewed=True)
            if picture is not None and label:
                read_lines(label, picture, names, collection)
    for name in sorted(set(labels.values()) - used):
        if has_lines(source, name):
            collection.leave_out(NOT_IN_SPLIT if label_images(source, name) else NO_IMAGE, name)


def class_names(names, source):
    """{number: name} of data.yaml, else of a file with a name per line, else nothing."""
    if isinstance(names, dict):
        return {int(key): value for key, value in names.items() if key.isdigit()}
    if isinstance(names, list):
        return dict(enumerate(names))
    for name in source.ending(*NAME_LISTS, around=True):
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
            if path in source.around and path.lower().endswith(".txt"):
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


def only_label(image, labels, source):
    """The one txt of an image's name wherever it lies, if no other image and split has the name."""
    stem = image.rpartition("/")[2].rpartition(".")[0].lower()
    found = [name for name in source.by_file_name.get(f"{stem}.txt", [])
             if labels.get(name.lower()) == name]
    if len(found) != 1 or len(source.images_by_stem[stem]) != 1:
        return None
    splits = {split_of(image), split_of(found[0])} - {""}
    return found[0] if len(splits) < 2 and has_lines(source, found[0]) else None


def name_poses(label, picture, names, collection):
    """As `read_labels`, where no line has an outline."""
    for number, line in enumerate(collection.source.text(label).splitlines(), 1):
        if line.strip():
            collection.leave_out(POSES, f"{label} line {number}")


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
