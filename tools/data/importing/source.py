"""What somebody hands over: a folder or one annotation file, with the images below it.

Nothing outside the folder is read, whatever paths an annotation file names: they are looked up
among the regular files that lie there.
"""
import functools
import json
import os
import re
import unicodedata
from collections import defaultdict
from pathlib import Path
from urllib.parse import unquote

from tools.errors import UserError, shown

IMAGE_SUFFIXES = (".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jpe",
                  ".jpeg", ".jpg", ".jxl", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}-")           # of Label Studio
SPLIT_NAMES = {"train": "train", "training": "train", "val": "val", "valid": "val",
               "validation": "val", "dev": "val", "test": "test", "testing": "test"}
SPLIT_WORD = re.compile(r"(?<![a-z])(train|training|valid|validation|val|test|testing)(?![a-z])")
NO_PHOTOS = re.compile(r"(?i)mask|panoptic|annot|label|segment|instance|(?<![a-z])gt(?![a-z])")
PEEKED = 40                        # json files that are looked into to recognise a format,
PEEKED_EACH = 10                   # so many of a folder before any more of it


class Source:
    """The regular files of a folder.

    path: a folder or an annotation file; of a file, only itself is read as annotations, with what
    it refers to around it.
    images: a folder to look for images in; "": where the annotations are.
    leave_out: a folder that is not looked into, such as one for the output.
    files: {path below `root` with forward slashes: Path}; around: those of the whole folder.
    UserError where there is nothing.
    """

    def __init__(self, path, images="", leave_out=""):
        path = Path(path)
        if not path.exists():
            raise UserError(f"'{path}' does not exist: expected a folder, a zip file or an "
                            "annotation file")
        self.root = path if path.is_dir() else path.parent
        if leave_out and os.path.realpath(leave_out) == os.path.realpath(self.root):
            raise UserError(f"the output folder '{leave_out}' is the folder of the input: choose "
                            "another one, so that no file of yours is replaced")
        found = dict(walk(self.root, leave_out))
        self.files = found if path.is_dir() else {path.name: path}
        self.around = {**found, **self.files}
        if not self.files:
            raise UserError(f"the folder '{path}' has no files in it")
        self.image_root = Path(images) if images else self.root
        if not self.image_root.is_dir():
            raise UserError(f"the folder of images '{images}' does not exist")
        pictures = dict(walk(self.image_root, leave_out)) if images else found
        self.images = {name: file for name, file in pictures.items()
                       if name.lower().endswith(IMAGE_SUFFIXES)}
        self._by_name = defaultdict(list)              # name of the file -> [path below the root]
        for name in self.images:
            self._by_name[folded(name.rpartition("/")[2])].append(name)
        self._parsed = {}

    @functools.cached_property
    def real_paths(self):
        """Where the files really are, links resolved: what no output may replace."""
        return {os.path.realpath(file) for file in (*self.around.values(), *self.images.values())}

    @functools.cached_property
    def by_file_name(self):
        """{name of a file without its folder, in small letters: [names]}, of those around."""
        found = defaultdict(list)
        for name in self.around:
            found[name.rpartition("/")[2].lower()].append(name)
        return found

    @functools.cached_property
    def images_by_stem(self):
        """{name of an image without folder and ending, in small letters: [names]}."""
        found = defaultdict(list)
        for name in self.images:
            found[name.rpartition("/")[2].rpartition(".")[0].lower()].append(name)
        return found

    def ending(self, *suffixes, around=False):
        """Sorted names of the files with one of these endings, whatever the case."""
        return [name for name in (self.around if around else self.files)
                if name.lower().endswith(suffixes)]

    def text(self, name):
        """The text of a file in any usual encoding.  UserError if it cannot be read."""
        return decoded(self.bytes(name))

    def bytes(self, name):
        try:
            return self.around[name].read_bytes()
        except OSError as error:
            raise UserError(f"'{self.around[name]}' cannot be read: {error.strerror}") from None

    def json(self, name):
        """The content of a json file.  UserError if it is none."""
        if name in self._parsed:
            return self._parsed[name]
        try:
            return json.loads(self.text(name))
        except (ValueError, RecursionError) as error:
            raise UserError(f"'{self.files[name]}' is not json: {shown(str(error))}") from None

    def peek(self):
        """[(name, content)] of the first json files, those nearest to the root first."""
        if not self._parsed:
            for name in self._peeked_names():
                try:
                    self._parsed[name] = self.json(name)
                except UserError:
                    continue
        return list(self._parsed.items())

    def _peeked_names(self):
        ranks, seen = {}, defaultdict(int)             # how often their folder came before
        for name in self.ending(".json"):
            folder = name.rpartition("/")[0]
            ranks[name] = seen[folder] // PEEKED_EACH
            seen[folder] += 1
        return sorted(ranks, key=lambda name: (ranks[name], name.count("/"), name))[:PEEKED]

    def find_images(self, name, beside=""):
        """The images that a name in an annotation file can mean, as paths below `image_root`.

        name: a path of any system or an address; beside: the file that names it.  One image where
        the path is right; else those whose path ends with the most parts of it.
        """
        for variant in (name, unquote(name)):
            found = self._find(parts_of(variant), parts_of(beside)[:-1])
            if found:
                return found
        last = parts_of(unquote(name))[-1:]
        return self._find([UPLOAD_PREFIX.sub("", part) for part in last], [])

    def of_stem(self, name, beside="", split=""):
        """The nearest images of a name with any ending, in no folder of masks and the like."""
        stem = (parts_of(name) or [""])[-1].rpartition(".")[0].lower()
        wanted = split or split_of(name)
        found = [image for image in self.images_by_stem.get(stem, [])
                 if (not wanted or split_of(image) in ("", wanted))
                 and not any(map(NO_PHOTOS.search, image.split("/")[:-1]))]
        return nearest_to(beside, found, split) if found else []

    def _find(self, parts, folder):
        if not parts:
            return []
        for start in (folder, []):
            exact = "/".join(resolved(start + parts))
            if exact in self.images:
                return [exact]
        found = self._by_name.get(folded(parts[-1]), [])
        tails = [common_tail(parts, name.split("/")) for name in found]
        return [name for name, tail in zip(found, tails, strict=True) if tail == max(tails)]


def walk(root, leave_out=""):
    """Sorted (path below `root`, Path) of the regular files; hidden ones are not looked at."""
    skipped, seen, found = os.path.realpath(leave_out) if leave_out else "", set(), []
    for folder, folders, names in os.walk(root, followlinks=True):
        folders[:] = [name for name in sorted(folders) if is_new(os.path.join(folder, name), seen)
                      and os.path.realpath(os.path.join(folder, name)) != skipped]
        for name in names:
            path = Path(folder, name)
            if not name.startswith(".") and path.is_file():
                found.append((path.relative_to(root).as_posix(), path))
    return sorted(found)


def is_new(folder, seen):
    """Whether a folder is to be looked into: not hidden, and not a link back to where we were."""
    real, name = os.path.realpath(folder), os.path.basename(folder)
    if name.startswith(".") or name == "__MACOSX" or real in seen:
        return False
    seen.add(real)
    return True


def decoded(data):
    """Bytes as text: UTF-8 or UTF-16 with or without a mark, else GB 18030, else Latin-1."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")


def parts_of(name):
    """The parts of a path of any system or of an address, without drive, host and query."""
    name = str(name)
    if "?d=" in name:                                  # Label Studio's local files
        name = name.partition("?d=")[2]
    if address := re.match(r"[a-zA-Z][\w+.-]+://[^/]*", name):
        name = name[address.end():].partition("?")[0]
    name = re.sub(r"^[a-zA-Z]:(?=[\\/])", "", name)
    return [part for part in re.split(r"[\\/]+", name) if part not in ("", ".")]


def resolved(parts):
    """`parts` without '..'; one that leaves the root keeps it and fits no file."""
    result = []
    for part in parts:
        if part == ".." and result and result[-1] != "..":
            result.pop()
        else:
            result.append(part)
    return result


def folded(name):
    """In small letters, accents joined to their letters: macOS takes them apart in file names."""
    return unicodedata.normalize("NFC", name).lower()


def common_tail(parts, others):
    """How many of the last parts are equal, whatever the case."""
    count = 0
    for one, other in zip(reversed(parts), reversed(others), strict=False):
        if folded(one) != folded(other):
            break
        count += 1
    return count


def nearest_to(file, images, split=""):
    """Those of some images that are of a split, in no folder for something else such as masks, and
    share most folders with an annotation file.
    """
    folders = set(parts_of(file.lower())[:-1])

    def nearness(name):
        own = name.lower().split("/")[:-1]
        return (bool(split) and split_of(name) == split, not any(map(NO_PHOTOS.search, own)),
                len(folders.intersection(own)))

    best = max(map(nearness, images))
    return [name for name in images if nearness(name) == best]


def split_of(name):
    """ "train", "val" or "test" where a folder of a path says so, else ""."""
    for part in parts_of(name)[:-1]:
        if found := SPLIT_WORD.search(part.lower()):
            return SPLIT_NAMES[found[1]]
    return ""


def split_of_file(name):
    """As `split_of`, from the file's own name first: instances_val2017.json."""
    stem = (parts_of(name) or [""])[-1].lower()
    found = SPLIT_WORD.search(stem.replace("_", " "))
    return SPLIT_NAMES[found[1]] if found else split_of(name)
