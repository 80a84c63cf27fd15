"""Every image of a data set looked at once: what cannot be read, and where its objects lie.

I: objects of the data set.  Lengths are pixels after the training resize, to the middle one of the
short sides.
"""
import functools
import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from tools.check_dataset.extents import ResizePlan, extents
from tools.cores import available_cores
from tools.data.coco import BROKEN
from tools.data.images import read_bytes
from tools.data.masks import segmentation_to_rle
from tools.data.orientation import find_orientation
from tools.errors import UserError
from tools.progress import progress

INVISIBLE = "objects that cover no pixel (skipped)"
VANISHED = "objects that lose their last pixel in the training resize (not learned)"
SAME_OBJECT = "objects that occur twice in their image (used)"
SAME_FILE = "files listed as several images (used)"
SAME_BYTES = "files that are copies of each other (used)"
MAYBE_TURNED = ("images whose EXIF orientation turns them, and the size does not tell whether "
                "the annotations are of the turned one (read as stored)")
DARK = "images without a pixel above 31 of 255, such as 12 bits stored as 16 (used)"
DARKEST = 32
LARGE = "images whose masks take over 1 GB of memory when they are read (used)"
LARGE_BYTES = 1 << 30
AHEAD = 64                         # images whose looks may wait for the one before
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


@dataclass
class Look:
    """What was seen of one image."""

    objects: np.ndarray            # float64 [I', columns]
    noticed: list = field(default_factory=list)        # [(reason, name)]
    digest: bytes = b""            # of the file; empty where it cannot be used


def middle_short_side(cfg):
    return sorted(cfg.train_short_sides)[len(cfg.train_short_sides) // 2]


def survey(dataset, cfg, sample=None):
    """The Survey of the images of a CocoDataset, read by a thread per core.

    sample: so many images, evenly spread, instead of all.
    """
    plan = functools.lru_cache(maxsize=1024)(lambda size: ResizePlan(
        size, middle_short_side(cfg), cfg.train_max_side, cfg.resize_library,
        cfg.resized_size_rule, cfg.smooth_masks))
    chosen = np.arange(len(dataset))
    if sample is not None and sample < len(dataset):
        chosen = np.linspace(0, len(dataset) - 1, sample).round().astype(int)
    problems = {reason: list(names) for reason, names in dataset.problems.items()}
    tables, copies = [np.zeros((0, len(COLUMNS)))], {}
    for index, seen in looks(dataset, chosen.tolist(), plan, cfg.size_divisor):
        tables.append(seen.objects)
        for reason, name in seen.noticed:
            problems.setdefault(reason, []).append(name)
        if seen.digest:
            copies.setdefault(seen.digest, []).append(index)
    for indices in copies.values():
        if len(indices) > 1:
            names = {dataset.image_info(index)["file_name"] for index in indices}
            reason = SAME_BYTES if len(names) > 1 else SAME_FILE
            problems.setdefault(reason, []).append(" = ".join(sorted(names)))
    return Survey(np.concatenate(tables), problems)


def looks(dataset, indices, plan, divisor):
    """Yield (index, Look) in order; few images at a time wait, so that memory is bounded."""
    waiting = []
    with ThreadPoolExecutor(available_cores()) as pool:
        for index in progress(indices, label="read", unit="image"):
            waiting.append((index, pool.submit(look, dataset, index, plan, divisor)))
            if len(waiting) > AHEAD:
                first, seen = waiting.pop(0)
                yield first, seen.result()
        for index, seen in waiting:
            yield index, seen.result()


def look(dataset, index, plan, divisor):
    """The Look of one image."""
    info = dataset.image_info(index)
    try:
        data = read_bytes(info["path"])
        dark = (dataset.glance(index, data).max() < 2 * DARKEST
                and dataset.decode(index, data).max() < DARKEST)
    except UserError as error:
        return Look(np.zeros((0, len(COLUMNS))), [(BROKEN, str(error))])
    size = info["size"]
    annotations = dataset.annotations(index)
    rles = [segmentation_to_rle(segmentation, size) for _, _, segmentation in annotations]
    resize = plan(size)
    boxes, center_y, center_x, areas = extents(rles, size, resize)
    visible = boxes.any(1)
    resized = np.clip(boxes * resize.scale, 0, np.float32([*resize.size[::-1]] * 2))
    table = np.zeros((len(boxes), len(COLUMNS)))
    table[:, 0] = index
    table[:, 1] = [class_index for _, class_index, _ in annotations]
    table[:, 2:4] = resized[:, 2:] - resized[:, :2]
    table[:, 4:7] = np.stack([center_y, center_x, areas], 1)
    table[:, 7:9] = [-(-side // divisor) * divisor for side in resize.shape]
    noticed = object_problems(info["file_name"], annotations, rles, visible, areas > 0)
    noticed += [(reason, info["file_name"]) for reason, found in (
        (MAYBE_TURNED, maybe_turned(data, size)), (DARK, dark),
        (LARGE, len(boxes) * size[0] * size[1] > LARGE_BYTES)) if found]
    return Look(table[visible], noticed, hashlib.sha1(data).digest())


def maybe_turned(data, shape):
    """Whether EXIF turns an image, given as bytes, in a way that its size does not show."""
    orientation, _, _ = find_orientation(data)
    return orientation in (2, 3, 4) or orientation > 4 and shape[0] == shape[1]


def object_problems(file_name, annotations, rles, visible, learnable):
    """[(reason, name)] of what has no pixel, before or after the resize, or occurs twice."""
    noticed, seen = [], set()
    for (number, class_index, _), rle, covers, stays in zip(annotations, rles, visible.tolist(),
                                                            learnable.tolist(), strict=True):
        name = f"annotation {number} of {file_name}"
        if not stays:
            noticed.append((VANISHED if covers else INVISIBLE, name))
        if covers and (class_index, rle["counts"]) in seen:
            noticed.append((SAME_OBJECT, name))
        seen.add((class_index, rle["counts"]))
    return noticed
