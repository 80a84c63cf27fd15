"""Masks as PNG files, one per object."""
import re

import numpy as np

from tools.inference.writers.image_file import write_image
from tools.inference.writers.paths import make_folder


def write_masks(output, source, size, objects):
    """<output>.masks/001_<class>.png ..., by descending score: 255 where the object is, else 0."""
    folder = make_folder(f"{output}.masks")
    names = [re.sub(r"[^\w.-]+", "_", entry["class"]) for entry in objects]
    paths = [folder / f"{number:03d}_{name}.png" for number, name in enumerate(names, 1)]
    for path in set(folder.glob("[0-9][0-9][0-9]_*.png")) - set(paths):
        path.unlink()                                  # of an earlier run with more objects
    for path, entry in zip(paths, objects, strict=True):
        write_image(path, entry["mask"] * np.uint8(255))
