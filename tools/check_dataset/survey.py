"""Every image of a data set looked at once: what cannot be read, and where its objects lie.

I: objects of the data set.  Lengths are pixels after the training resize, to the middle one of the
short sides.
"""
import hashlib
from concurrent.futures import ThreadPoolExecutor
from itertools import compress
from pathlib import Path

import numpy as np
from tqdm import tqdm

from model.targets import mass_centers
from tools.data.coco import BROKEN
from tools.data.images import exif_orientation
from tools.data.masks import masks_to_boxes
from tools.data.transforms import Resize
from tools.errors import UserError
from tools.runtime import available_cores

INVISIBLE = "objects that cover no pixel (skipped)"
VANISHED = "objects that lose their last pixel in the training resize (not learned)"
SAME_OBJECT = "objects that occur twice in their image (used)"
SAME_FILE = "files listed as several images (used)"
SAME_BYTES = "files that are copies of each other (used)"
MAYBE_TURNED = "images that EXIF turns, and the json size does not say whether it does (as stored)"
DARK = "images without a pixel above 31 of 255, such as 12 bits stored as 16 (used)"
DARKEST = 32
LARGE = "images whose masks take over 1 GB of memory when they are read (used)"
COLUMNS = ("image", "class_index", "width", "height", "center_y", "center_x", "area",
           "padded_height", "padded_width")


class Survey:
    """The objects of the readable images as columns, each float64 [I], and all problems."""

    def __init__(self, table, problems):
        """table: [I, columns]; problems: {reason: [names]}, those of the data set included."""
        for name, column in zip(COLUMNS, table.T, strict=True):
            setattr(self, name, column)
        self.problems = problems
        self.sizes = np.sqrt(self.width * self.height)           # sqrt(box area)

    def __len__(self):
        return len(self.sizes)


def middle_short_side(cfg):
    return sorted(cfg.train_short_sides)[len(cfg.train_short_sides) // 2]


def survey(dataset, cfg):
    """The Survey of all images of a CocoDataset, read by a thread per core."""
    resize = Resize(middle_short_side(cfg), cfg.train_max_side, cfg.resize_library,
                    cfg.resized_size_rule)
    problems = {reason: list(names) for reason, names in dataset.problems.items()}
    tables, copies = [np.zeros((0, len(COLUMNS)))], {}
    with ThreadPoolExecutor(available_cores()) as pool:
        looks = pool.map(lambda index: look(dataset, index, resize, cfg.size_divisor),
                         range(len(dataset)))
        for index, (table, noticed, digest) in enumerate(tqdm(
                looks, total=len(dataset), desc="read", unit="image", disable=None, leave=False)):
            tables.append(table)
            for reason, name in noticed:
                problems.setdefault(reason, []).append(name)
            if digest:
                copies.setdefault(digest, []).append(dataset.image_info(index)["file_name"])
    for names in copies.values():
        if len(names) > 1:
            reason = SAME_BYTES if len(set(names)) > 1 else SAME_FILE
            problems.setdefault(reason, []).append(" = ".join(sorted(set(names))))
    return Survey(np.concatenate(tables), problems)


def look(dataset, index, resize, divisor):
    """(rows of the table, [(reason, name)], digest of the file or None) of one image."""
    info = dataset.image_info(index)
    try:
        image = dataset.load_image(index)
    except UserError as error:
        return np.zeros((0, len(COLUMNS))), [(BROKEN, str(error))], None
    masks = dataset.masks(index)
    visible = masks.any((1, 2))
    resized = resize({"image": image, "masks": masks[visible],
                      "boxes": masks_to_boxes(masks[visible])}, None)
    table = np.zeros((visible.sum(), len(COLUMNS)))
    annotations = dataset.annotations(index)
    table[:, 0] = index
    table[:, 1] = [class_index for _, class_index, _ in compress(annotations, visible)]
    table[:, 2:4] = resized["boxes"][:, 2:] - resized["boxes"][:, :2]
    if visible.any():
        table[:, 4:7] = np.stack(mass_centers(resized["masks"]), 1)
    table[:, 7:9] = [-(-side // divisor) * divisor for side in resized["image"].shape[:2]]
    learnable = visible.copy()
    learnable[visible] = table[:, 6] > 0
    noticed = object_problems(info["file_name"], annotations, visible, learnable)
    noticed += [(reason, info["file_name"]) for reason, found in (
        (MAYBE_TURNED, maybe_turned(info["path"], image.shape)), (DARK, image.max() < DARKEST),
        (LARGE, masks.nbytes > 1 << 30)) if found]
    return table, noticed, hashlib.sha1(Path(info["path"]).read_bytes()).digest()


def maybe_turned(path, shape):
    """Whether EXIF turns an image in a way that its size does not show."""
    orientation = exif_orientation(path)
    return orientation in (2, 3, 4) or orientation > 4 and shape[0] == shape[1]


def object_problems(file_name, annotations, visible, learnable):
    """[(reason, name)] of what has no pixel, before or after the resize, or occurs twice."""
    noticed, seen = [], set()
    for (number, class_index, segmentation), covers, stays in zip(annotations, visible, learnable,
                                                                  strict=True):
        name = f"annotation {number} of {file_name}"
        key = class_index, str(segmentation)
        if not stays:
            noticed.append((VANISHED if covers else INVISIBLE, name))
        if key in seen:
            noticed.append((SAME_OBJECT, name))
        seen.add(key)
    return noticed
