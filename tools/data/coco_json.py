"""Reading a COCO json: what is wrong with the file as a whole stops, a single bad entry does not.

The sections, the images and the categories must be in order, since without them class indices and
annotations mean something else; this is found at once, before a run starts.  Annotations that are
not annotations are left out and counted.
"""
import json
from collections import Counter
from pathlib import Path

from tools.errors import UserError

MALFORMED = "annotations without a valid image_id and category_id (skipped)"
LISTED_TWICE = "images listed twice (used once)"
SAME_ID = "annotations with the id of another one (used)"
OTHER_FORMATS = ("; labelme, YOLO, CVAT and other formats become COCO with "
                 "python -m tools.data.importing SOURCE --output FOLDER")
LARGEST = 1e9                   # of a box or area that can be meant; NaN and infinity are not below


def read_coco_json(path, annotated=True, problems=None):
    """The parsed json, ids as ints where they are digits, iscrowd as 0 or 1; or UserError.

    annotated: False allows "annotations" to be absent, as in the json of a test set.
    problems: {reason: [names]} that receives what was skipped.
    """
    content = parse_json(path)
    if not isinstance(content, dict):
        raise UserError(f"annotation file '{path}' is not COCO: expected an object with images, "
                        f"annotations and categories, got a {type(content).__name__}"
                        + OTHER_FORMATS)
    if not annotated:
        content.setdefault("annotations", [])
    problems = {} if problems is None else problems
    images, categories, annotations = (section(content, name, path)
                                       for name in ("images", "categories", "annotations"))
    check_entries(images, "images", ("id", "file_name"), path)
    check_entries(categories, "categories", ("id", "name"), path)
    content["images"] = unique_images(images, path, problems)
    check_unique(categories, "categories", path)
    content["annotations"] = clean_annotations(annotations, problems)
    return content


def parse_json(path):
    try:
        return json.loads(Path(path).read_bytes())
    except FileNotFoundError:
        raise UserError(f"annotation file '{path}' does not exist") from None
    except OSError as error:
        raise UserError(f"annotation file '{path}' cannot be read: {error.strerror}"
                        + OTHER_FORMATS * Path(path).is_dir()) from None
    except (ValueError, RecursionError) as error:      # not json, or not even text
        raise UserError(f"annotation file '{path}' is not json: {error}"
                        + OTHER_FORMATS) from None


def section(content, name, path):
    if not isinstance(content.get(name), list):
        raise UserError(f"annotation file '{path}' is not COCO: it has no list '{name}'"
                        + OTHER_FORMATS)
    return content[name]


def check_entries(entries, name, keys, path):
    """UserError unless every entry has `keys`, with usable values; ids of digits become ints."""
    for number, entry in enumerate(entries):
        missing = [key for key in keys if not isinstance(entry, dict) or key not in entry]
        if missing:
            raise UserError(f"annotation file '{path}': entry {number} of '{name}' has no "
                            f"'{missing[0]}'")
        found, entry["id"] = entry["id"], whole_number(entry["id"])
        if entry["id"] is None and name == "images" and isinstance(found, str):
            entry["id"] = found
        if entry["id"] is None:
            raise UserError(f"annotation file '{path}': entry {number} of '{name}' has id "
                            f"{found!r}, expected a whole number")
        text = entry[keys[1]]
        if not isinstance(text, (str, int)) or text == "":
            raise UserError(f"annotation file '{path}': id {entry['id']} of '{name}' has "
                            f"{keys[1]} {text!r}, expected text")
        entry[keys[1]] = str(text)


def check_unique(entries, name, path):
    for number, count in Counter(entry["id"] for entry in entries).most_common(1):
        if count > 1:
            raise UserError(f"annotation file '{path}' lists id {number} {count} times in "
                            f"'{name}'; ids must be unique")


def unique_images(images, path, problems):
    """The images, each file once; UserError where one id stands for several files."""
    unique = {(image["id"], image["file_name"]): image for image in images}
    if len(unique) < len(images):
        seen = Counter(image["file_name"] for image in images)
        problems[LISTED_TWICE] = [name for name, count in seen.items() if count > 1]
    check_unique(unique.values(), "images", path)
    return list(unique.values())


def clean_annotations(annotations, problems):
    """The annotations with valid ids; a box or area that is no number is taken out of them."""
    clean, malformed, ids, repeated = [], [], set(), []
    for number, annotation in enumerate(annotations):
        image_id, category = annotation_ids(annotation)
        if image_id is None or category is None:
            malformed.append(f"entry {number}")
            continue
        annotation.update(image_id=image_id, category_id=category, iscrowd=is_crowd(annotation))
        if not are_numbers(annotation.get("bbox"), 4):
            annotation.pop("bbox", None)
        if not are_numbers([annotation.get("area")], 1):
            annotation.pop("area", None)
        own_id = str(annotation.setdefault("id", f"at entry {number}"))
        if own_id in ids:
            repeated.append(f"annotation {own_id}")
        ids.add(own_id)
        clean.append(annotation)
    problems.update({reason: names for reason, names in
                     ((MALFORMED, malformed), (SAME_ID, repeated)) if names})
    return clean


def annotation_ids(annotation):
    """(image id, category id), None for each that is missing or of a wrong type."""
    if not isinstance(annotation, dict):
        return None, None
    image_id = annotation.get("image_id")
    number = whole_number(image_id)
    if number is None and isinstance(image_id, str):
        number = image_id
    return number, whole_number(annotation.get("category_id"))


def is_crowd(annotation):
    """1 or 0: what iscrowd says, whatever the segmentation is."""
    return int(str(annotation.get("iscrowd")).lower() in ("1", "1.0", "true"))


def whole_number(value):
    """The int behind 3, 3.0 and "03"; None for anything else."""
    if isinstance(value, str):                         # longer ones are names, such as hashes
        return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return value if isinstance(value, int) else None


def are_numbers(values, count):
    """Whether `values` is a list of `count` finite numbers."""
    return (isinstance(values, list) and len(values) == count
            and all(isinstance(value, (int, float)) and abs(value) < LARGEST for value in values))


def read_classes(content, path, classes_file=""):
    """(category ids, class names), both by class index: in the order of the file or of the ids."""
    names = {category["id"]: category["name"] for category in content["categories"]}
    if not names:
        raise UserError(f"annotation file '{path}' lists no categories")
    if not classes_file:
        ids = tuple(sorted(names))
        return ids, tuple(names[number] for number in ids)
    try:
        lines = Path(classes_file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"classes file '{classes_file}' cannot be read: {error}") from None
    wanted = tuple(line.strip() for line in lines if line.strip())
    ids = {name: number for number, name in names.items()}
    unknown = [name for name in wanted if name not in ids]
    if unknown or len(set(wanted)) < len(wanted) or not wanted:
        raise UserError(f"classes file '{classes_file}' must list names of '{path}', each once: "
                        f"{sorted(ids)}; got {list(wanted)}")
    return tuple(ids[name] for name in wanted), wanted
