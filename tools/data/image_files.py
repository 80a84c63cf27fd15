"""Where the images that a json lists are, also where it names them in another way than the disk.

Tried in this order, for names that are not there as they are written: percent signs decoded
("a%20b.jpg"), spaces at the ends gone, the other Unicode form of accents (macOS), backslashes of
Windows, only the end of a path of another machine or in an address, another case of the letters.
"""
import os
import unicodedata
from collections import Counter
from urllib.parse import unquote

OTHER_NAME = "images that the json names in another way than their files (found)"


def find_files(folder, names):
    """[name relative to `folder` or None, where there is no regular file] for all `names`."""
    with os.scandir(folder) as entries:
        present = {entry.name for entry in entries if is_regular(entry)}
    found = [name if name in present or is_file(folder, name) else None for name in names]
    if None in found:
        by_form = {form(name): name for name in present}
        found = [place or other_place(folder, name, present, by_form)
                 for place, name in zip(found, names, strict=True)]
        found = without_shared(found, names)
    return found


def without_shared(found, names):
    """`found` without files that several names may mean: "left/1.png" and "right/1.png", where
    there is one "1.png"; only a name that is exactly its file's keeps it."""
    claims = Counter(place for place, _ in set(zip(found, names, strict=True)))
    return [place if place == name or claims[place] == 1 else None
            for place, name in zip(found, names, strict=True)]


def is_regular(entry):
    """Whether an entry of a folder is a regular file, or a link to one; not a link to itself."""
    try:
        return entry.is_file()
    except OSError:
        return False


def is_file(folder, name):
    """Whether there is a regular file; names beyond the system's length are none."""
    return os.path.isfile(os.path.join(folder, name))


def other_place(folder, name, present, by_form):
    """The name of the file that an absent name may mean, or None."""
    for candidate in other_names(name):
        if candidate in present or is_file(folder, candidate):
            return candidate
        if form(candidate) in by_form:
            return by_form[form(candidate)]
    return None


def other_names(name):
    """Spellings of `name`, the nearest ones first."""
    for text in dict.fromkeys((name, unquote(name), name.strip(), unquote(name).strip())):
        for style in ("NFC", "NFD"):
            yield unicodedata.normalize(style, text)
        address, _, query = text.partition("?")
        yield from ends_of(address.split("#")[0])
        yield from ends_of(query.split("=")[-1])       # .../?d=folder/a.png of Label Studio


def ends_of(path):
    """The path without its first folders, ever shorter."""
    parts = path.replace("\\", "/").split("/")
    for start in range(len(parts)):
        if all(part not in ("", "..") for part in parts[start:]):
            yield "/".join(parts[start:])


def form(name):
    """What a name is compared by: without the differences between systems."""
    return unicodedata.normalize("NFC", name).casefold()
