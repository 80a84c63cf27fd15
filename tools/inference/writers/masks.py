"""Masks as PNG files: one per object, or one index image with a number for each object."""
import re

import numpy as np

from tools.files import write_json
from tools.inference.writers.image_file import write_image
from tools.inference.writers.paths import make_folder


def write_masks(path, found):
    """<path>/001_<class>.png ..., by descending score: 255 where the object is, else 0."""
    paths = object_paths(path, found)
    for index, file in enumerate(paths):
        write_image(file, found.mask(index) * np.uint8(255))


def write_crops(path, found):
    """<path>/001_<class>.png ...: the image in each object's box, transparent outside of it."""
    for file, piece in zip(object_paths(path, found), found.crop(transparent=True), strict=True):
        write_image(file, piece)


def write_index(path, found):
    """A PNG whose pixels hold the number of their object, 0 where there is none, and beside it a
    json with the class and the score behind each number.

    Numbers count from 1 by descending score; where objects overlap, the higher score wins.  8 bits,
    16 from 256 objects on.
    """
    numbers = np.zeros(found.size, np.uint8 if len(found) < 256 else np.uint16)
    for index in reversed(range(len(found))):
        top, left, mask = found.box_mask(index)
        numbers[top:top + mask.shape[0], left:left + mask.shape[1]][mask] = index + 1
    write_image(path, numbers)
    write_json(path.with_suffix(".json"), {
        "objects": [{"number": number, "class": instance.name, "score": round(instance.score, 6)}
                    for number, instance in enumerate(found, 1)]})


def object_paths(folder, found):
    """A path in `folder` for each object; removes those of an earlier run."""
    folder = make_folder(folder)
    names = [re.sub(r"[^\w.-]+", "_", name)[:60] for name in found.names]
    paths = [folder / f"{number:03d}_{name}.png" for number, name in enumerate(names, 1)]
    for path in set(folder.glob("[0-9][0-9][0-9]*_*.png")) - set(paths):
        path.unlink()                                  # of an earlier run with more objects
    return paths
