"""The page that check_dataset prints, and the pictures beside it."""
from collections import Counter
from pathlib import Path

import numpy as np

from model.instances import Instances
from tools.check_dataset.survey import middle_short_side
from tools.data.classes import listed
from tools.data.selection import problem_sentences
from tools.errors import shown
from tools.files import write_text
from tools.inference.visualize import draw
from tools.inference.writers.image_file import write_image

LOSSES = ("(skipped)", "(not learned)")           # how the names of problems end that lose data
CLASSES_PER_LINE = 3
SIZE_STEP = 2 ** 0.5                              # of the histogram's bins
LINE = 110                                        # characters that a problem and its names share
BAR = 40                                          # characters of its longest bar
LONGEST_SIDE = 65500                              # pixels of a JPEG
LONGEST_NAME = 200                                # bytes of a picture's name
WORTHWHILE = 0.01                                 # gain of objects that is worth other settings


def page(dataset, found, current, proposed, cfg, sampled=None):
    """The whole report as lines; sampled: how many images were looked at, if not all."""
    lines = [*overview(dataset, found, cfg, sampled), "", *classes(dataset, found), "",
             *sizes(found, cfg), "", *levels(current), "", *settings_advice(current, proposed), ""]
    return lines + problems(found)


def overview(dataset, found, cfg, sampled):
    objects, images = len(found), len(dataset)
    crowds, fullest = dataset.num_crowds, ""
    if objects:
        per_image = np.bincount(found.image.astype(int))
        name = dataset.image_info(per_image.argmax())["file_name"]
        fullest = f", most {per_image.max()} in {name}"
    return [f"{dataset.path}, images in {dataset.image_dir}"
            + (f", {sampled} of them looked at" if sampled else ""),
            f"{images} images, {objects} objects ({objects / max(images, 1):.1f} per image"
            f"{fullest}), {dataset.num_classes} classes",
            f"{crowds} crowd regions ({percent(crowds, crowds + objects)} of the annotations); "
            f"{dataset.num_empty} images without annotations (training uses the share "
            f"{cfg.empty_images:g})"]


def classes(dataset, found):
    """Objects and images of every class, several to a line."""
    entries, without = [], []
    for index, name in enumerate(dataset.class_names):
        images = found.image[found.class_index == index]
        if len(images):
            entries.append(f"{shown(name)[:16]:16s}{len(images):7d} in{len(set(images)):6d}")
        else:
            without.append(name)
    rows = range(0, len(entries), CLASSES_PER_LINE)
    hint = " (drop_unused_classes=true leaves out those that no annotation uses)"
    return ["classes: objects in images",
            *("  " + "   ".join(entries[row:row + CLASSES_PER_LINE]) for row in rows),
            *([f"  without objects: {listed(without)}{hint}"] if without else [])]


def sizes(found, cfg):
    """A histogram of the object sizes."""
    lines = [f"sizes: sqrt(box area) in pixels, images resized to {middle_short_side(cfg)} x "
             f"{cfg.train_max_side} at most (train_short_sides {min(cfg.train_short_sides)} to "
             f"{max(cfg.train_short_sides)})"]
    bins = Counter(np.floor(np.log(np.maximum(found.sizes, 1)) / np.log(SIZE_STEP)).astype(int))
    most = max(bins.values(), default=1)
    for step in range(min(bins, default=0), max(bins, default=-1) + 1):
        low, high = SIZE_STEP ** step, SIZE_STEP ** (step + 1)
        bar = "#" * round(BAR * bins[step] / most)
        lines.append(f"  {low:5.0f} to {high:5.0f}  {percent(bins[step], len(found)):>7s}  {bar}")
    return lines


def levels(current):
    """What each level learns with the settings of the config."""
    total = len(current.learned)
    lines = ["level  grid  scale range   objects  (one object may be learned by several)"]
    for level, (grid, (low, high)) in enumerate(zip(current.num_grids, current.scale_ranges,
                                                    strict=True)):
        count = current.level_objects[level]
        lines.append(f"  {level}    {grid:4d}  {low:5d} to {high:<5d}{percent(count, total):>8s}")
    return lines + outcome(current)


def outcome(result):
    total, unlearned = len(result.learned), np.sum(~result.learned)
    crowded = np.sum(result.crowded_out)
    return [f"  learned by no cell: {unlearned} objects ({percent(unlearned, total)}); only "
            f"by cells that another object claims too: {crowded} ({percent(crowded, total)})",
            f"  positive cells that two objects claim: {100 * result.shared_cells:.1f} %"]


def settings_advice(current, proposed):
    """The proposal with its effect."""
    gain = current.loss() - proposed.loss()
    if gain < WORTHWHILE:
        head = "the settings suit the objects; a proposal all the same:"
    else:
        head = f"proposal, better for {100 * gain:.1f} % of the objects:"
    return [head, f"  -o {proposed.settings()}", *outcome(proposed)]


def problems(found):
    if not found.problems:
        return ["no problems"]
    lines = ["problems"]
    for line in problem_sentences(found.problems, separator="\n" + 6 * " "):
        short = line.replace("\n" + 6 * " ", ", ")
        lines.append("  " + (short if len(short) < LINE else line))
    return lines


def loses(found):
    """Whether something was skipped, rather than only noticed."""
    return any(reason.endswith(LOSSES) for reason in found.problems)


def percent(count, total):
    return f"{100 * count / max(total, 1):.1f} %"


def write_problems(found, path):
    """Every problem with all its names."""
    write_text(path, "".join(f"{len(names)} {reason}\n" + "".join(f"  {name}\n" for name in names)
                             for reason, names in found.problems.items()))


def write_pictures(dataset, found, count, folder):
    """Draw the objects of `count` images, evenly chosen among those with objects.

    Returns the names of those with a side that no JPEG holds, which are left out.
    """
    images, too_long = np.unique(found.image.astype(int)), []
    places = np.linspace(0, len(images) - 1, min(count, len(images))).round().astype(int)
    for index in images[places].tolist():
        info = dataset.image_info(index)
        if max(info["size"]) > LONGEST_SIDE:
            too_long.append(info["file_name"])
            continue
        masks, _, class_indices = dataset.objects(index)
        image = dataset.load_image(index)
        objects = Instances(np.ones(len(masks)), class_indices, [(0, 0, mask) for mask in masks],
                            image.shape[:2])
        write_image(Path(folder) / f"{index:06d}_{short_stem(info['file_name'])}.jpg",
                    draw(image, objects, dataset.class_names, 0.0, with_scores=False))
    return too_long


def short_stem(file_name):
    """The name of an image without its suffix, short enough for every file system."""
    stem = Path(file_name.replace("\\", "/")).stem
    return stem.encode("utf-8", "replace")[:LONGEST_NAME].decode("utf-8", "ignore")
