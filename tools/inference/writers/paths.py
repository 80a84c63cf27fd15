"""Where results go: names that never collide and never replace an input."""
import os
from pathlib import Path

from tools.errors import UserError

WRITABLE_SUFFIXES = (".bmp", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


class OutputPaths:
    """Hands out paths below `folder`, which it makes: none twice, none of an input.

    inputs: paths of files that must stay as they are.  UserError where one would be replaced.
    """

    def __init__(self, folder, inputs):
        self.folder, self.taken = make_folder(folder), set()
        self.inputs = {os.path.realpath(path) for path in inputs}

    def claim(self, wanted):
        """`wanted` below the folder, with a number before the suffix if another has it already."""
        path, number = self.folder / wanted, 1
        while str(path).lower() in self.taken:
            number += 1
            path = (self.folder / wanted).with_suffix(f".{number}{Path(wanted).suffix}")
        self.taken.add(str(path).lower())
        return self.guard(path)

    def claim_new(self, wanted):
        """`claim` for what may be somebody's own work where it lies beside images of the input."""
        path = self.claim(wanted)
        folder = os.path.realpath(path.parent)
        if path.exists() and any(os.path.dirname(other) == folder for other in self.inputs):
            raise UserError(f"'{path}' exists already beside images of the input and may be your "
                            "own: move it away or choose another output folder")
        return path

    def guard(self, path):
        """`path` itself, which must be neither an input nor a folder of one."""
        real = os.path.realpath(path)
        if real in self.inputs or any(other.startswith(real + os.sep) for other in self.inputs):
            raise UserError(f"the result '{path}' would replace an image of the input: "
                            "choose another output folder")
        return Path(path)


def output_paths(images, folder):
    """{name: path in `folder`} for `images` as `find_images` lists them; no two paths are equal.

    An image keeps its whole name and its format; where OpenCV does not write that format, '.png' is
    appended.  Makes the folder.  Raises UserError where that fails, and where a result would
    replace one of the images.
    """
    return drawn_paths(OutputPaths(folder, (path for path, _ in images)),
                       [name for _, name in images])


def drawn_paths(places, names):
    """{name: path} of the drawn images, those that keep their name first."""
    kept = [name for name in names if name.lower().endswith(WRITABLE_SUFFIXES)]
    outputs = {name: places.claim(name) for name in kept}
    for name in names:
        if name not in outputs:
            wanted = f"{name}.png"
            while str(places.folder / wanted).lower() in places.taken:
                wanted += ".png"
            outputs[name] = places.claim(wanted)
    return outputs


def paths_beside(places, names, ending):
    """{name: path} of a further file for each image; ending: see Format."""
    stems = [Path(name).with_suffix("").as_posix() for name in names]
    if not ending.startswith("*"):
        return {name: places.claim(name + ending) for name in names}
    return {name: places.claim_new((name if stems.count(stem) > 1 else stem) + ending[1:])
            for name, stem in zip(names, stems, strict=True)}


def make_folder(path):
    """`path` as a folder that exists.  Raises UserError."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder '{path}': {error}") from error
    return Path(path)
