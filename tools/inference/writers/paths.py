"""Where results go: names that never collide and never replace an input."""
import os
from pathlib import Path

from tools.errors import UserError

WRITABLE_SUFFIXES = (".bmp", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


def output_paths(images, folder):
    """{name: path in `folder`} for `images` as `find_images` lists them; no two paths are equal.

    An image keeps its whole name and its format; where OpenCV does not write that format, '.png' is
    appended.  Makes the folder.  Raises UserError where that fails, and where a result would
    replace one of the images.
    """
    folder = make_folder(folder)
    outputs = {name: folder / name for _, name in images
               if name.lower().endswith(WRITABLE_SUFFIXES)}
    taken = set(outputs.values())
    for _, name in images:
        if name not in outputs:
            outputs[name] = folder / f"{name}.png"
            while outputs[name] in taken:
                outputs[name] = outputs[name].with_name(outputs[name].name + ".png")
            taken.add(outputs[name])
    sources = {os.path.realpath(path) for path, _ in images}
    for path in outputs.values():
        if os.path.realpath(path) in sources:
            raise UserError(f"the result '{path}' would replace an image of the input: "
                            "choose another output folder")
    return outputs


def make_folder(path):
    """`path` as a folder that exists.  Raises UserError."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder '{path}': {error}") from error
    return Path(path)
