"""Which annotations of a COCO json are objects of a data set, and which images it uses.

A: annotations; N: images, in the order of the json.  What is left out is named in `problems`.
"""
import numpy as np

from tools.data.coco_json import MALFORMED_IMAGE
from tools.data.reasons import DAMAGED, NONE, REASONS
from tools.data.segmentations import RLE, in_shares
from tools.errors import UserError, shown

UNLISTED_IMAGE = "annotations of images that are not listed (skipped)"
UNLISTED_CLASS = "annotations of classes that are not in the classes file (left out)"
NOTHING_USABLE = "images whose annotations are all crowds or unusable (skipped)"
OUTSIDE = "objects outside their image (skipped)"
CLIPPED = "objects that reach beyond their image (clipped)"
LOST_PART = "objects of which a polygon covers no pixel or is unreadable (used without it)"
NORMALISED = "objects with coordinates in 0..1 instead of pixels (skipped)"
PROBLEMS = (*REASONS, LOST_PART, CLIPPED, OUTSIDE, NORMALISED, UNLISTED_CLASS, UNLISTED_IMAGE)
CODE = {reason: number for number, reason in enumerate(PROBLEMS)}
USED = (NONE, CODE[CLIPPED], CODE[LOST_PART])

BORDER = 1.0                    # pixels that coordinates may lie outside without being counted
JUDGED = ("image", "category", "lost_part", "reason", "kind", "code_size", "bounds", "box")
AT_ONCE = 1 << 17               # annotations
NAMES_SHOWN = 3                 # per problem, in a summary


def class_indices(head, columns, category_ids, path, name_of):
    """int64 by row of the json's categories: the class index, -1 where it is no class.

    UserError where an annotation has a category that the json does not list.
    """
    category, image = columns["category"], columns["image"]
    unknown = np.flatnonzero((category < 0) & (image != MALFORMED_IMAGE))
    if len(unknown):
        row, known = int(unknown[0]), [entry[0] for entry in head["categories"]]
        raise UserError(f"'{path}': annotation {shown(name_of(row))} has category "
                        f"{shown(head['unknown_categories'][-1 - category[row]])}, which is not "
                        f"among the categories {sorted(known, key=str)[:100]}")
    index = {repr(value): number for number, value in enumerate(category_ids)}
    return np.array([index.get(repr(entry[0]), -1) for entry in head["categories"]])


def judge(columns, classes, sizes):
    """`judge_rows` of all annotations, some at a time: each takes many bytes while it is judged."""
    found = [judge_rows({name: columns[name][start:start + AT_ONCE] for name in JUDGED}, classes,
                        sizes) for start in range(0, max(len(columns["image"]), 1), AT_ONCE)]
    problem, own = zip(*found, strict=True)
    return np.concatenate(problem), np.concatenate(own)


def judge_rows(columns, classes, sizes):
    """(problem uint8 [A], an index of PROBLEMS; bool [A]: belongs to a class and a known image).

    classes: from `class_indices`; sizes: int64 [N, 2], (0, 0) for an image that cannot be used.
    """
    image = columns["image"]
    sizes = np.concatenate([sizes, [[0, 0]]])
    place = np.where(image < 0, len(sizes) - 1, image)
    size = sizes[place]
    listed = size[:, 0] > 0
    of_class = (image != MALFORMED_IMAGE) & (classes[columns["category"]] >= 0)
    problem = np.zeros(len(image), np.uint8)
    problem[columns["lost_part"]] = CODE[LOST_PART]
    for reason, found in zip((CLIPPED, OUTSIDE, NORMALISED), against_the_image(columns, size),
                             strict=True):
        problem[found] = CODE[reason]
    unusable = columns["reason"] != NONE
    problem[unusable] = columns["reason"][unusable]
    coded = (columns["kind"] == RLE) & ~unusable
    problem[coded & (columns["code_size"] != size).any(1)] = DAMAGED
    problem[~of_class] = CODE[UNLISTED_CLASS]
    problem[~listed] = CODE[UNLISTED_IMAGE]
    problem[image == MALFORMED_IMAGE] = NONE           # named already
    return problem, listed & of_class


def against_the_image(columns, size):
    """bool [A] each: clipped at the image's border, outside it, in shares of its sides."""
    height, width = size.T
    x1, y1, x2, y2 = columns["bounds"].T
    left, top, box_width, box_height = columns["box"].T
    with np.errstate(invalid="ignore"):                # NaN: no polygon, no box
        beyond = ((x1 < -BORDER) | (y1 < -BORDER) | (x2 > width + BORDER) | (y2 > height + BORDER)
                  | (left < -BORDER) | (top < -BORDER) | (left + box_width > width + BORDER)
                  | (top + box_height > height + BORDER))
        outside = (x2 <= 0) | (y2 <= 0) | (x1 >= width) | (y1 >= height)
    return beyond, outside, in_shares(columns["bounds"]) & (size.min(1) > 2)


def name_problems(problem, own, columns, sizes, name_of, problems):
    """Put every annotation with a problem to `problems`, {reason: [names]}.

    own: from `judge`.  Crowds are no objects: only those that cannot be used are named.
    """
    rows = np.flatnonzero((problem != NONE) & ~(columns["crowd"] & own & np.isin(problem, USED)))
    for row, code in zip(rows.tolist(), problem[rows].tolist(), strict=True):
        name = name_of(row, place=True)
        if code == CODE[NORMALISED]:
            height, width = sizes[columns["image"][row]].tolist()
            name += f" (x times {width} and y times {height} would fit)"
        problems.setdefault(PROBLEMS[code], []).append(name)


def training_images(listed, with_objects, annotated, empty_images):
    """The rows of the images that train, and the rows of those with nothing usable.

    listed: rows of all; with_objects, annotated: of those with an object, with any annotation;
    empty_images: share of those without any annotation that train too.
    """
    empty = np.setdiff1d(listed, annotated, assume_unique=True).tolist()
    used = np.append(with_objects, spread(empty, empty_images)).astype(np.int64)
    return np.sort(used), np.setdiff1d(annotated, with_objects, assume_unique=True)


def distinct(rows):
    """Ascending, what occurs among row numbers: np.unique in a hundredth of its time."""
    return np.flatnonzero(np.bincount(rows))


def spread(items, share):
    """The share (0..1) of a list, evenly spread over it: of 5 items and 0.4 the 3rd and the 5th."""
    return [item for number, item in enumerate(items)
            if int((number + 1) * share + 1e-9) > int(number * share + 1e-9)]


def problem_sentences(problems, separator=", "):
    """A text per problem: how many, what, and the first names."""
    return [f"{len(names)} {reason}: "
            + separator.join([*(shown(str(name), 300) for name in names[:NAMES_SHOWN]),
                              *["..."] * (len(names) > NAMES_SHOWN)])
            for reason, names in problems.items()]
