"""Which categories of a COCO json are the classes of a data set, and in which order."""
import codecs
from pathlib import Path

from tools.errors import UserError, shown
from tools.files import note_input

UNUSED_CLASS = "classes that no annotation uses (left out)"
ABSENT_CLASS = "classes that the json does not list (no object is one of them)"
BYTE_ORDER_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16",
                    codecs.BOM_UTF16_BE: "utf-16"}


def choose_classes(categories, used, path, problems, classes_file="", class_names=None,
                   drop_unused=False):
    """(category ids, class names), both by class index.

    categories: [[id, name]] of the json `path`; used: their rows that annotations have.
    class_names: the classes that must come out, in this order; those that the json does not list
    get ids of their own, and are named in `problems`.  Else those of classes_file, all of which
    must be there.  Else all, in the order of the ids; drop_unused: without those of no annotation.
    UserError where the json has other classes in use than `class_names`.
    """
    if not categories:
        raise UserError(f"annotation file '{path}' lists no categories")
    ids = {name.strip(): number for number, name in categories}
    wanted = names_of_file(classes_file, ids, path, class_names) if classes_file else None
    if class_names is not None:
        in_use = [categories[row][1] for row in used.tolist()]
        return expected_classes(ids, class_names, in_use if wanted is None else [], path, problems)
    if wanted is not None:
        return tuple(ids[name] for name in wanted), wanted
    rows = sorted(range(len(categories)), key=lambda row: sort_key(categories[row][0]))
    unused = [row for row in rows if row not in set(used.tolist())]
    if drop_unused and 0 < len(unused) < len(rows):
        problems[UNUSED_CLASS] = [categories[row][1] for row in unused]
        rows = [row for row in rows if row not in unused]
    return tuple(categories[row][0] for row in rows), tuple(categories[row][1] for row in rows)


def sort_key(value):
    """Ids in order: numbers, also those written as texts, by their value, then other texts."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return 0, int(value), value
    return (1, 0, value) if isinstance(value, str) else (0, value, "")


def names_of_file(classes_file, ids, path, class_names):
    """The lines of a classes file; UserError unless each is a category, or one of class_names."""
    note_input(classes_file, "the classes file")
    try:
        data = Path(classes_file).read_bytes()
        encoding = next((name for mark, name in BYTE_ORDER_MARKS.items() if data.startswith(mark)),
                        "utf-8")
        lines = data.decode(encoding).splitlines()
    except OSError as error:
        raise UserError(f"classes file '{classes_file}' cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"classes file '{classes_file}' is not text in UTF-8; save it so") from None
    wanted = tuple(line.strip() for line in lines if line.strip())
    known = set(ids) if class_names is None else {name.strip() for name in class_names}
    if not set(wanted) <= known or len(set(wanted)) < len(wanted) or not wanted:
        raise UserError(f"classes file '{classes_file}' must list names of '{path}', each once: "
                        f"{listed(sorted(known))}; got {listed(wanted)}")
    return wanted


def expected_classes(ids, class_names, in_use, path, problems):
    """The ids of `class_names` in a json; new ones, above all others, for those it does not list.
    """
    names = tuple(class_names)
    absent = [name for name in names if name.strip() not in ids]
    others = set(in_use) - {name.strip() for name in names}
    if others or len(absent) == len(names):
        raise UserError(f"the classes of {path} ({listed(list(ids))}) are not those "
                        f"expected ({listed(names)}); give annotations with the same "
                        "classes, or a classes_file")
    if absent:
        problems[ABSENT_CLASS] = absent
    highest = max((number for number in map(whole, ids.values()) if number is not None), default=0)
    fresh = {name: highest + place for place, name in enumerate(absent, 1)}
    return tuple(ids.get(name.strip(), fresh.get(name)) for name in names), names


def whole(value):
    """The number that an id is or writes; None for other texts."""
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdigit() else None
    return int(value)


def listed(names, most=8):
    return (f"{len(names)}: {', '.join(shown(name) for name in names[:most])}"
            f"{', ...' if len(names) > most else ''}")
