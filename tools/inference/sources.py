"""Which images to segment: one image, a folder with sub-folders, or a glob pattern."""
import glob
import os
from pathlib import Path

from tools.errors import UserError

IMAGE_SUFFIXES = (".bmp", ".dib", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm",
                  ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp")


def find_images(source, exclude=""):
    """Sorted [(path, name)] of the images that `source` stands for; UserError where there are none.

    source: a file (whatever its suffix), a folder (searched with its sub-folders) or a pattern as
    of Python's glob, ** included; what exists is never read as a pattern, so names with brackets
    work.  name: relative to the folder, to the fixed part of the pattern or to the file's folder,
    with forward slashes.  Hidden files are left out, and so is the folder `exclude` if it lies in
    the one searched: results of an earlier run are not input.
    """
    if os.path.isfile(source):
        return [(str(source), os.path.basename(source))]
    if os.path.isdir(source):
        root, paths = Path(source), walk(source)
    elif glob.has_magic(str(source)):
        root, pattern = split_pattern(source)
        paths = (root / name for name in glob.glob(str(pattern), root_dir=root, recursive=True))
    else:
        raise UserError(f"'{source}' does not exist: expected an image, a folder or a pattern such "
                        "as 'photos/*.jpg'")
    if not is_within(exclude, root):
        exclude = ""
    images = sorted((path, Path(path).relative_to(root).as_posix()) for path in map(str, paths)
                    if is_image(path) and not is_within(path, exclude))
    if not images:
        raise UserError(f"no images in '{source}': looked for {' '.join(IMAGE_SUFFIXES)} (upper or "
                        "lower case)" + (f", outside '{exclude}'" if exclude else ""))
    return images


def walk(folder):
    """Paths of all files in a folder and its sub-folders, hidden ones left out."""
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (os.path.join(parent, name) for name in names if not name.startswith("."))


def split_pattern(pattern):
    """(folder that exists, the rest of the pattern): 'a [1]/*/b*' -> ('a [1]', '*/b*')."""
    folder, parts = Path(), Path(pattern).parts
    for number, part in enumerate(parts):
        if glob.has_magic(part) and not (folder / part).exists():
            return folder, Path(*parts[number:])
        folder = folder / part
    return folder, Path()


def is_image(path):
    return path.lower().endswith(IMAGE_SUFFIXES) and os.path.isfile(path)


def is_within(path, folder):
    """Whether a path lies below a folder; an empty one stands for none."""
    return "" not in (path, folder) \
        and Path(os.path.realpath(folder)) in Path(os.path.realpath(path)).parents
