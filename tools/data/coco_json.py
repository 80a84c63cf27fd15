"""Reading a COCO json: what is wrong with the file as a whole stops, a single bad entry does not.

The sections, the images and the categories must be in order, since without them class indices and
annotations mean something else; this is found at once, before a run starts.  Annotations that are
not annotations are left out and counted.
"""
import contextlib
import gc
import gzip
import json
from collections import Counter
from pathlib import Path

import numpy as np

from tools.data.annotation_columns import AnnotationColumns
from tools.data.ids import id_key, other_kind
from tools.data.image_columns import image_columns
from tools.data.json_stream import GZIP, OTHER_FORMATS, UNREADABLE, stream_lists
from tools.errors import UserError, shown
from tools.files import irregular, note_input
from tools.progress import Progress

SECTIONS = ("images", "categories", "annotations")
MALFORMED = "annotations without a valid image_id and category_id (skipped)"
LISTED_TWICE = "images listed twice (used once)"
SAME_ID = "annotations with the id of another one (used)"
SAME_NAME = "categories of one name (told apart by their ids)"


def read_coco_columns(path):
    """(head, chunks) of a COCO json, the form in which tools/data/packed.py keeps it.

    head: {"categories": [[id, name]], "problems": {reason: [names]}, "odd_ids": {row: id},
    "unlisted" and "unknown_categories": the ids which annotations refer to without there being
    such, "has_annotations": whether the json has that section}.  chunks: see AnnotationColumns and
    `image_columns`; "image" and "category" are rows of the images and categories, or -1 - k for the
    k-th unlisted or unknown one.  UserError where the file is not COCO.
    """
    images, categories, annotations, found = [], [], AnnotationColumns(), {}
    numbers = dict.fromkeys(SECTIONS, 0)
    lists = {"images": images, "categories": categories}
    with Progress(None, f"reading {Path(path).name}", "entrie") as bar, without_collector():
        for name, entry in stream_lists(path, SECTIONS, found):
            number = numbers[name]
            numbers[name] += 1
            if name == "annotations":
                annotations.add(number, entry)
            else:
                lists[name].append(checked(entry, number, name, path))
            if number % 1000 == 999:
                bar.advance(1000)
    annotations.end()
    check_sections(found, path)
    problems = {}
    images = unique_images(images, path, problems)
    categories = [list(entry) for entry in dict.fromkeys(map(tuple, categories))]
    check_unique(categories, "categories", path)
    name_apart(categories, problems)
    head = {"categories": categories, "problems": problems, "odd_ids": annotations.odd_ids,
            "has_annotations": "annotations" in found}
    resolve(annotations, images, head)
    annotations.chunks.update({name: [value] for name, value in image_columns(images).items()})
    return head, annotations.chunks


@contextlib.contextmanager
def without_collector():
    """No search for cycles: json has none, and millions of short-lived lists would start it often.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def check_sections(found, path):
    for name in ("images", "categories"):
        if found.get(name) is not list:
            raise UserError(f"annotation file '{path}' is not COCO: it has no list '{name}'"
                            + OTHER_FORMATS)
    if found.get("annotations", list) is not list:
        raise UserError(f"annotation file '{path}' is not COCO: it has no list 'annotations'")


def checked(entry, number, name, path):
    """What counts of an entry of "images" or "categories", as a list; UserError if it is missing.
    """
    keys = ("id", "file_name" if name == "images" else "name")
    place = f"annotation file '{path}': entry {number} of '{name}'"
    if type(entry) is dict and name == "images" and "file_name" not in entry \
            and type(entry.get("coco_url")) is str:                          # LVIS
        entry["file_name"] = "/".join(entry["coco_url"].split("/")[-2:])
    for key in keys:
        if type(entry) is not dict or key not in entry:
            raise UserError(f"{place} has no '{key}'")
    if id_key(entry["id"]) is None:
        raise UserError(f"{place} has id {shown(entry['id'])}, expected a whole number or a text")
    text = entry[keys[1]]
    if type(text) not in (str, int) or text == "":
        raise UserError(f"annotation file '{path}': id {shown(entry['id'])} of '{name}' has "
                        f"{keys[1]} {shown(text)}, expected text")
    if name == "categories":
        return [entry["id"], whole_letters(str(text)).strip() or str(text)]
    size = [whole_number(entry.get(key)) for key in ("height", "width")]
    return [entry["id"], str(text), *(size if None not in size and min(size) > 0 else (0, 0))]


def whole_letters(text):
    """The text with "\\ufffd" for each half of a surrogate pair, which no encoding can write."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def whole_number(value):
    """The int behind 3, 3.0 and "03"; None for anything else."""
    if type(value) is str:
        return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else None
    if type(value) is float:
        return int(value) if value.is_integer() else None
    return value if type(value) is int else None


def check_unique(entries, name, path):
    for key, count in Counter(id_key(entry[0]) for entry in entries).most_common(1):
        if count > 1:
            raise UserError(f"annotation file '{path}' lists id {shown(key)} {count} times in "
                            f"'{name}'; ids must be unique")


def unique_images(images, path, problems):
    """The images, each file once; UserError where one id stands for several files."""
    unique = {}
    for image in images:
        known = unique.setdefault((id_key(image[0]), image[1]), image)
        if known[2:] != image[2:]:                     # they contradict: that of the file counts
            known[2:] = (0, 0)
    if len(unique) < len(images):
        seen = Counter(image[1] for image in images)
        problems[LISTED_TWICE] = [name for name, count in seen.items() if count > 1]
    check_unique(unique.values(), "images", path)
    return list(unique.values())


def name_apart(categories, problems):
    """Give categories of one name its id as well, or one would hide the other in every table."""
    counts = Counter(name for _, name in categories)
    for category in categories:
        number, name = category
        if counts[name] > 1:
            category[1] = f"{name} (id {number})"
            problems.setdefault(SAME_NAME, []).append(category[1])


def resolve(annotations, images, head):
    """Replace the numbers of ids by rows, mark what is malformed, and name both."""
    image_rows, head["unlisted"] = rows_of(annotations.images, images)
    category_rows, head["unknown_categories"] = rows_of(annotations.categories, head["categories"])
    chunks, row = annotations.chunks, 0
    texts = np.array([type(key) is str for key in head["unknown_categories"]] + [False])
    malformed, repeated = [], Repeated(annotations.odd_ids)
    skipped = np.array(annotations.malformed, np.int64) - np.arange(len(annotations.malformed))
    for place in range(len(chunks["image"])):
        chunks["image"][place] = image_rows[chunks["image"][place]]
        category = chunks["category"][place] = category_rows[chunks["category"][place]]
        bad = np.flatnonzero((category < 0) & texts[np.clip(-1 - category, 0, len(texts) - 1)])
        if len(bad):                                   # a text that is no category's id
            rows = row + bad
            malformed += (rows + np.searchsorted(skipped, rows, side="right")).tolist()
            chunks["kind"][place][bad] = 0
            chunks["image"][place][bad] = MALFORMED_IMAGE
        repeated.add(chunks["own_id"][place], row)
        row += len(category)
    entries = sorted(malformed + annotations.malformed)
    for reason, names in ((MALFORMED, [f"entry {number}" for number in entries]),
                          (SAME_ID, repeated.names())):
        if names:
            head["problems"][reason] = names


MALFORMED_IMAGE = -(1 << 30)       # of rows that are no annotations


def rows_of(keys, entries):
    """(int32, row in `entries` of each of `keys`; the keys without one, which get -1 - k).

    A text of digits and a number are one id where only the other kind is listed.
    """
    rows = {id_key(entry[0]): row for row, entry in enumerate(entries)}
    found, unlisted = np.zeros(len(keys.numbers) + 1, np.int32), []
    for key, number in keys.numbers.items():
        row = rows.get(key)
        if row is None:
            row = rows.get(other_kind(key))
        if row is None:
            unlisted.append(key)
            row = -len(unlisted)
        found[number] = row
    return found, unlisted


class Repeated:
    """Which annotation ids occur before, over several chunks."""

    def __init__(self, odd_ids):
        self.odd, self.columns = odd_ids, []
        self.rows = np.array(list(odd_ids), np.int64)            # ascending

    def add(self, own_ids, first_row):
        first, last = np.searchsorted(self.rows, (first_row, first_row + len(own_ids)))
        self.columns.append(np.delete(own_ids, self.rows[first:last] - first_row))

    def names(self):
        numbers = np.concatenate(self.columns) if self.columns else np.zeros(0, np.int64)
        values, counts = np.unique(numbers, return_counts=True)
        found = np.repeat(values[counts > 1], counts[counts > 1] - 1).tolist()
        odd = Counter(str(value) for value in self.odd.values())
        found += [shown(text) for text, count in odd.items() for _ in range(count - 1)]
        return [f"annotation {value}" for value in found]


def read_json(path, what="annotation file"):
    """All that a json file holds, as it is: for tools that write a part of it again.

    Plain or gzip'ed; notes the file as an input, which nothing may replace.
    """
    kind = irregular(path)
    if kind:
        raise UserError(f"{what} '{path}' is {kind}, expected a json file")
    note_input(path, f"the {what} that was read")
    try:
        data = Path(path).read_bytes()
        data = gzip.decompress(data) if data.startswith(GZIP) else data
        return json.loads(data.removeprefix(b"\xef\xbb\xbf"), object_pairs_hook=whole_object)
    except FileNotFoundError:
        raise UserError(f"{what} '{path}' does not exist") from None
    except UNREADABLE as error:
        raise UserError(f"{what} '{path}' is not json: {shown(str(error))}") from None
    except OSError as error:
        raise UserError(f"{what} '{path}' cannot be read: {error.strerror}") from None


def whole_object(pairs):
    """The dict of a json object; ValueError where it has a section twice, and one would be lost."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(name for name, _ in pairs)
        for name in SECTIONS:
            if twice[name] > 1:
                raise ValueError(f"the key '{name}' comes twice")
    return found
