"""Label Studio's JSON and JSON-MIN: polygons in percent, brush masks, rectangles, ellipses.

Of several annotations of a task the first finished one is used.  A brush mask is RGBA packed by
https://github.com/thi-ng/umbrella (rle-pack); what is not transparent is the object.
"""
import numpy as np

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
REGIONS = ("polygon", "brush", "rectangle", "ellipse", "keypoint")     # + "labels"
NOT_ANNOTATED = "tasks without a finished annotation"
SECOND_ANNOTATION = "further annotations of a task (the first is used)"
ROTATED = "tasks whose image was turned in Label Studio"
MOST_LABELS = "regions with several labels (the first is used)"


def recognise(source):
    for name, content in source.peek():
        task = content[0] if isinstance(content, list) and content else content
        if not isinstance(task, dict):
            continue
        if isinstance(task.get("data"), dict) and ("annotations" in task or "completions" in task):
            return f"tasks with \"data\" and \"annotations\" in {name}"
        if any(is_region(value) for values in task.values() if isinstance(values, list)
               for value in values[:1]):
            return f"regions with \"original_width\" in {name} (JSON-MIN)"
    return None


def is_region(value):
    return isinstance(value, dict) and "original_width" in value


def read(source, collection):
    for name in source.ending(".json"):
        content = collection.json(name)
        for task in content if isinstance(content, list) else [content]:
            if isinstance(task, dict):
                read_task(task, name, collection)


def read_task(task, file, collection):
    data = task.get("data") if isinstance(task.get("data"), dict) else task
    where = f"{file}: task {shown(task.get('id'))}"
    results = finished_results(task, where, collection)
    if results is None:
        return
    sizes = [whole_size(entry.get("original_height"), entry.get("original_width"))
             for entry in results]
    if any(entry.get("image_rotation") for entry in results):
        collection.leave_out(ROTATED, where)
        return
    image = image_name(data, task)
    picture = collection.add_picture(image, next(filter(None, sizes), None), file, viewed=True)
    if picture is None:
        return
    for regions in grouped(results):
        read_region(regions, picture, collection, f"{where}, region {shown(regions[0].get('id'))}")


def finished_results(task, where, collection):
    """The result entries of a task, as in JSON also for JSON-MIN; None and counted if not done."""
    annotations = task.get("annotations", task.get("completions"))
    if annotations is None:
        return [flat_region(value, key) for key, values in task.items() if isinstance(values, list)
                for value in values if is_region(value)]
    done = [entry for entry in as_list(annotations) if isinstance(entry, dict)
            and not entry.get("was_cancelled") and isinstance(entry.get("result"), list)]
    if not done:
        return collection.leave_out(NOT_ANNOTATED, where)
    done.sort(key=lambda entry: not entry.get("ground_truth"))
    if len(done) > 1:
        collection.leave_out(SECOND_ANNOTATION, f"{where}: {len(done) - 1}")
    return [entry for entry in done[0]["result"] if isinstance(entry, dict)]


def flat_region(value, key):
    """A region of JSON-MIN as an entry of JSON."""
    kind = next((f"{region}labels" for region in REGIONS if f"{region}labels" in value), key)
    if kind == key and "points" in value:
        kind = "polygon"
    return {"type": kind, "value": value, "id": id(value),
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
        if not set(kinds) <= {"choices", "textarea", "rating", "relation", "taxonomy", "number"}:
            collection.leave_out(NOT_AREAS, f"{where}: {shown(', '.join(kinds))}")
        return
    labels = [label for name, entry in kinds.items() if name.endswith("labels")
              for label in as_list(entry.get(name) or entry.get("labels"))]
    if not labels or not text_label(labels[0]):
        collection.leave_out(NO_CLASS, where)
        return
    if len(labels) > 1:
        collection.note(MOST_LABELS, f"{where}: {shown(labels)}")
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
            return ellipse(value["x"] * width / 100, value["y"] * height / 100,
                           value["radiusX"] * width / 100, value["radiusY"] * height / 100,
                           value.get("rotation") or 0)
    except (ValueError, TypeError, KeyError):
        return collection.leave_out(NO_OUTLINE, where)
    if kind != "brush":
        return collection.leave_out(NOT_AREAS, f"{where}: {kind}")
    try:
        return brush_mask(value["rle"], size)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        return collection.leave_out(DAMAGED, f"{where}: {shown(str(error))}")


def turned_box(value, width, height):
    """A rectangle in percent, turned clockwise around its upper left corner."""
    x1, y1 = value["x"] * width / 100, value["y"] * height / 100
    x2, y2 = x1 + value["width"] * width / 100, y1 + value["height"] * height / 100
    return flat_ring(turned_rectangle(x1, y1, x2, y2, value.get("rotation") or 0, (x1, y1)))


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
