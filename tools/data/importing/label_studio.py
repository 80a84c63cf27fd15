"""Label Studio's JSON and JSON-MIN: polygons in percent, masks, rectangles, ellipses.

Of several annotations of a task the first finished one is used.  A task may show several images:
each region belongs to one of them.  A brush mask is RGBA packed by
https://github.com/thi-ng/umbrella (rle-pack); what is not transparent is the object.
"""
import numpy as np

from tools.data.importing.bitmaps import png_mask, unpacked_base64
from tools.data.importing.collection import (
    DAMAGED,
    NO_CLASS,
    NO_OUTLINE,
    NOT_AREAS,
    RECTANGLES,
    as_list,
    text_label,
    whole_size,
)
from tools.data.importing.outlines import ellipse, flat_ring, number, turned_rectangle
from tools.errors import shown

NAME = "label-studio"
IMAGE_KEYS = ("image", "img", "picture", "photo", "url", "image_url", "file")
REGIONS = ("polygon", "brush", "bitmask", "rectangle", "ellipse", "keypoint")     # + "labels"
ANSWERS = ("choices", "textarea", "rating", "relation", "taxonomy", "number")
NOT_ANNOTATED = "tasks without a finished annotation"
SECOND_ANNOTATION = "further annotations of a task (the first is used)"
ROTATED = "tasks whose image was turned in Label Studio"
MOST_LABELS = "regions with several labels (the first is used)"
WHICH_IMAGE = "regions of tasks with several images that do not say to which they belong"
TASKS_PEEKED = 100                 # JSON-MIN: one without regions looks like any other json


def recognise(source):
    for name, content in source.peek():
        for task in tasks_of(content)[:TASKS_PEEKED]:
            if isinstance(task.get("data"), dict) and ("annotations" in task
                                                       or "completions" in task):
                return f"tasks with \"data\" and \"annotations\" in {name}"
            if any(is_region(value) for values in task.values() if isinstance(values, list)
                   for value in values[:1]):
                return f"regions with \"original_width\" in {name} (JSON-MIN)"
    return None


def tasks_of(content):
    """The tasks of a json file: a list, one task, or one annotation with its task within."""
    tasks = content if isinstance(content, list) else [content]
    return [{**task["task"], "annotations": [task]}
            if isinstance(task.get("result"), list) and isinstance(task.get("task"), dict) else task
            for task in tasks if isinstance(task, dict)]


def is_region(value):
    return isinstance(value, dict) and "original_width" in value


def read(source, collection):
    for name in source.ending(".json"):
        for task in tasks_of(collection.json(name)):
            read_task(task, name, collection)


def read_task(task, file, collection):
    data = task.get("data") if isinstance(task.get("data"), dict) else task
    where = f"{file}: task {shown(task.get('id'))}"
    results = finished_results(task, where, collection)
    if results is None:
        return
    if any(entry.get("image_rotation") for entry in results):
        collection.leave_out(ROTATED, where)
        return
    for image, regions in by_image(results, data, task, where, collection):
        sizes = [whole_size(entry.get("original_height"), entry.get("original_width"))
                 for region in regions for entry in region]
        picture = collection.add_picture(image, next(filter(None, sizes), None), file, viewed=True)
        for region in regions if picture else []:
            read_region(region, picture, collection,
                        f"{where}, region {shown(region[0].get('id'))}")


def by_image(results, data, task, where, collection):
    """[(name of an image, its regions)] of a task."""
    regions = grouped(results)
    targets = {str(region[0].get("to_name")) for region in regions if is_shape(region)}
    by_target = {target: data[target] for target in sorted(targets)
                 if isinstance(data.get(target), str)}
    named = bool(by_target) or len(targets) > 1
    by_page = {str(number): name for number, name in
               enumerate(pages_of(data) or [image_name(data, task)])}
    found = {name: [] for name in (by_target if named else by_page).values()}
    for region in filter(is_shape, regions):
        page = str(region[0].get("item_index") or 0) if len(by_page) > 1 else "0"
        name = by_target.get(str(region[0].get("to_name"))) if named else by_page.get(page)
        if name is None:
            collection.leave_out(WHICH_IMAGE, f"{where}, region {shown(region[0].get('id'))}")
        else:
            found[name].append(region)
    return list(found.items())


def pages_of(data):
    """The list of images of a task, [] where it has one image."""
    if any(isinstance(data.get(key), str) for key in IMAGE_KEYS):
        return []
    lists = [value for value in data.values() if isinstance(value, list) and value]
    return next((value for value in lists if all(isinstance(name, str) and "." in name
                                                 for name in value)), [])


def is_shape(region):
    """Whether a region is not only an answer about the whole image."""
    return not {str(entry.get("type")) for entry in region} <= set(ANSWERS)


def finished_results(task, where, collection):
    """The result entries of a task, as in JSON also for JSON-MIN; None and counted if not done."""
    annotations = task.get("annotations", task.get("completions"))
    if annotations is None:
        return [flat_region(value, key, number) for key, values in task.items()
                if isinstance(values, list) for number, value in enumerate(values, 1)
                if is_region(value)]
    done = [entry for entry in as_list(annotations) if isinstance(entry, dict)
            and not entry.get("was_cancelled") and isinstance(entry.get("result"), list)]
    if not done:
        return collection.leave_out(NOT_ANNOTATED, where)
    done.sort(key=lambda entry: not entry.get("ground_truth"))
    if len(done) > 1:
        collection.leave_out(SECOND_ANNOTATION, f"{where}: {len(done) - 1}")
    return [entry for entry in done[0]["result"] if isinstance(entry, dict)]


def flat_region(value, key, number):
    """A region of JSON-MIN as an entry of JSON; number: its place below `key`."""
    kind = next((f"{region}labels" for region in REGIONS if f"{region}labels" in value), key)
    if kind == key and "points" in value:
        kind = "polygon"
    return {"type": kind, "value": value, "id": f"{key} {number}",
            "original_width": value["original_width"],
            "original_height": value.get("original_height")}


def image_name(data, task):
    """The text of a task's data that names its image."""
    texts = {key: value for key, value in data.items() if isinstance(value, str)}
    for key in IMAGE_KEYS:
        if key in texts:
            return texts[key]
    likely = [value for value in texts.values() if "." in value]
    return (likely or [str(task.get("file_upload", ""))])[0]


def grouped(results):
    """The entries of one region each: its outline and its label may be two entries of one id."""
    groups = {}
    for position, entry in enumerate(results):
        if isinstance(entry.get("value"), dict):
            groups.setdefault(str(entry.get("id", position)), []).append(entry)
    return list(groups.values())


def read_region(entries, picture, collection, where):
    kinds = {str(entry.get("type", "")): entry["value"] for entry in entries}
    kind, value = next(((kind, value) for kind, value in kinds.items()
                        if kind.removesuffix("labels") in REGIONS), (None, None))
    if kind is None:
        collection.leave_out(NOT_AREAS, f"{where}: {shown(', '.join(kinds))}")
        return
    labels = [label for name, entry in kinds.items() if name.endswith("labels")
              for label in as_list(entry.get(name) or entry.get("labels"))]
    labels = labels or as_list(value.get("labels"))
    if not labels or not text_label(labels[0]):
        collection.leave_out(NO_CLASS, where)
        return
    if len(labels) > 1:
        collection.note(MOST_LABELS, f"{where}: {shown(', '.join(map(str, labels)))}")
    shape = read_shape(kind.removesuffix("labels"), value, picture.size, collection, where)
    if shape is not None:
        collection.add_parts(picture, text_label(labels[0]), [shape])


def read_shape(kind, value, size, collection, where):
    """A flat ring, a bool mask, or None and counted."""
    height, width = size
    try:
        if kind == "polygon":
            return flat_ring([(number(x) * width / 100, number(y) * height / 100)
                              for x, y in value["points"]])
        if kind == "rectangle":
            collection.note(RECTANGLES, where)
            return turned_box(value, width, height)
        if kind == "ellipse":
            x, y, radius_x, radius_y = (number(value[key]) for key in
                                        ("x", "y", "radiusX", "radiusY"))
            return ellipse(x * width / 100, y * height / 100, radius_x * width / 100,
                           radius_y * height / 100, value.get("rotation") or 0)
    except (ValueError, TypeError, KeyError):
        return collection.leave_out(NO_OUTLINE, where)
    if kind not in ("brush", "bitmask"):
        return collection.leave_out(NOT_AREAS, f"{where}: {kind}")
    try:
        if kind == "bitmask":
            return png_mask(unpacked_base64(value["imageDataURL"]))
        return brush_mask(value["rle"], size)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        return collection.leave_out(DAMAGED, f"{where}: {shown(str(error))}")


def turned_box(value, width, height):
    """A rectangle in percent, turned clockwise around its upper left corner."""
    left, top, wide, high = (number(value[key]) for key in ("x", "y", "width", "height"))
    x1, y1 = left * width / 100, top * height / 100
    x2, y2 = x1 + wide * width / 100, y1 + high * height / 100
    degrees = number(value.get("rotation") or 0)
    return flat_ring(turned_rectangle(x1, y1, x2, y2, degrees, (x1, y1)))


def brush_mask(rle, size):
    """The bytes of a packed RGBA picture -> bool [H, W], where it is not transparent."""
    bits = np.unpackbits(np.array(rle, np.uint8))
    total = int(size[0]) * int(size[1]) * 4
    position = 0

    def read(count):
        nonlocal position
        if position + count > len(bits):
            raise ValueError("a brush mask that ends too early")
        position += count
        return int.from_bytes(np.packbits(bits[position - count:position]), "big") >> -count % 8

    if (found := read(32)) != total:
        raise ValueError(f"a brush mask of {found} numbers for {size[0]} x {size[1]} pixels of 4")
    word, lengths = read(5) + 1, [read(4) + 1 for _ in range(4)]
    if word != 8:
        raise ValueError(f"a brush mask of {word} bits per number, expected 8")
    values, filled = np.zeros(total, np.uint8), 0
    while filled < total:
        same = read(1)
        count = min(1 + read(lengths[read(2)]), total - filled)
        if same:
            values[filled:filled + count] = read(8)
        elif position + 8 * count > len(bits):
            raise ValueError("a brush mask that ends too early")
        else:
            values[filled:filled + count] = np.packbits(bits[position:position + 8 * count])
            position += 8 * count
        filled += count
    return values.reshape(*size, 4)[..., 3] > 0
