"""Split a COCO annotation file into training and validation: images are named, not moved.

    python -m tools.data.holdout annotations.json --fraction 0.2 --output my
    python -m tools.data.holdout annotations.json --group-by "(.*)_[0-9]+" --output my

Writes my/train.json and my/val.json with the entries as they are; categories go to both.
--fraction holds out that share of the images of every class, as nearly as can be; a class with two
images or more is in both parts.  --every N holds out every Nth image in the order of the ids.
"""
import argparse
import re
from pathlib import Path

from tools.cli import add_version, run
from tools.data.classes import sort_key
from tools.data.coco_json import read_json
from tools.data.ids import other_kind
from tools.data.selection import spread
from tools.errors import UserError
from tools.files import refuse_others, write_json

MARK = "holdout"                     # first key of what this command writes
PARTS = ("train", "val")


def hold_out(content, every=None, fraction=None, group_by=None):
    """(training, validation): two COCO dicts whose images share nothing, nor groups of them.

    group_by: regular expression; images whose names match with equal groups (), or equal matches
    where it has none, stay together.
    """
    images = sorted(content["images"], key=lambda image: sort_key(image["id"]))
    groups = grouped(images, group_by)
    owner = {image["id"]: number for number, group in enumerate(groups) for image in group}
    of_annotation = [owner_of(annotation, owner) for annotation in content["annotations"]]
    if every:
        held = set(range(len(groups))[every - 1::every])
    else:
        classes = [set() for _ in groups]
        for annotation, number in zip(content["annotations"], of_annotation, strict=True):
            if number is not None:
                classes[number].add(str(annotation.get("category_id")))
        held = stratified(classes, fraction)
    parts = []
    for validation in (False, True):
        chosen = [image for image in images if (owner[image["id"]] in held) == validation]
        annotations = [annotation for annotation, number
                       in zip(content["annotations"], of_annotation, strict=True)
                       if number is not None and (number in held) == validation]
        parts.append({**content, "images": chosen, "annotations": annotations})
    return tuple(parts)


def grouped(images, pattern):
    """Lists of images that belong together, in the order of their first ones."""
    groups = {}
    for number, image in enumerate(images):
        found = re.search(pattern, str(image.get("file_name", ""))) if pattern else None
        key = (found.groups() or found.group()) if found else number
        groups.setdefault(key, []).append(image)
    return list(groups.values())


def owner_of(annotation, owner):
    """The number of the group that an annotation belongs to; None for that of no image."""
    key = annotation.get("image_id") if isinstance(annotation, dict) else None
    if type(key) not in (int, float, str):
        return None
    found = owner.get(key)
    return owner.get(other_kind(key)) if found is None and type(key) is not float else found


def stratified(classes, fraction):
    """Numbers of the groups to hold out, by the sets of classes in each: {number}.

    The rarest class first: of each, as many more are held out, evenly spread over those that are
    not yet decided, as it lacks.  Groups without a class come last.
    """
    of_class = {}
    for number, found in enumerate(classes):
        for name in found or {None}:
            of_class.setdefault(name, []).append(number)
    held, decided = set(), set()
    for _, numbers in sorted(of_class.items(), key=lambda item: (len(item[1]), item[1])):
        wanted = min(max(round(fraction * len(numbers)), 1), len(numbers) - 1)
        open_ones = [number for number in numbers if number not in decided]
        missing = min(max(wanted - len(held.intersection(numbers)), 0), len(open_ones))
        held.update(spread(open_ones, missing / len(open_ones)) if open_ones else ())
        decided.update(numbers)
    return held


def check(content, path):
    """UserError unless a json has the lists of COCO, and images with ids of their own."""
    lists = [content.get(name) if isinstance(content, dict) else None
             for name in ("images", "annotations", "categories")]
    if not all(isinstance(entries, list) for entries in lists):
        raise UserError(f"annotation file '{path}' is not COCO: expected an object with the lists "
                        "images, annotations and categories")
    ids = [image.get("id") if isinstance(image, dict) else None for image in lists[0]]
    if not all(type(value) in (int, float, str) for value in ids) or len(set(ids)) < len(ids):
        raise UserError(f"annotation file '{path}': every image needs an id of its own, a number "
                        "or a text")


def parse_args(argv=None):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add_version(parser)
    parser.add_argument("annotations", help="COCO json file")
    rule = parser.add_mutually_exclusive_group()
    rule.add_argument("--fraction", type=float, metavar="SHARE",
                      help="share of the images of every class to hold out (default: 0.2)")
    rule.add_argument("--every", type=int, metavar="N", help="hold out every Nth image")
    parser.add_argument("--group-by", metavar="PATTERN",
                        help="regular expression: images whose names match with the same groups () "
                             "stay together, such as the frames of a video")
    parser.add_argument("--output", required=True, help="folder for train.json and val.json")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    content = read_json(args.annotations)
    check(content, args.annotations)
    paths = [f"{args.output}/{name}.json" for name in PARTS]
    for path in paths:
        refuse_others(path, [f'{{"{MARK}": '.encode()])
    fraction = 0.2 if args.fraction is None else args.fraction
    try:
        groups = len(grouped(content["images"], args.group_by))
    except re.error as error:
        raise UserError(f"--group-by {args.group_by!r} is no regular expression: {error}") from None
    if args.every is not None and not 2 <= args.every <= groups:
        raise UserError(f"--every {args.every} of {groups} images leaves a part empty; expected 2 "
                        f"to {groups}")
    if not 0 < fraction < 1 or groups < 2:
        raise UserError(f"--fraction {fraction:g} of {groups} images leaves a part empty; expected "
                        "a share between 0 and 1, and 2 images (or groups of them) at least")
    rule = f"every {args.every}" if args.every else f"fraction {fraction:g}"
    mark = {"from": Path(args.annotations).name, "rule": rule, "group_by": args.group_by}
    parts = hold_out(content, args.every, fraction, args.group_by)
    left_out = len(content["annotations"]) - sum(len(part["annotations"]) for part in parts)
    if left_out:
        print(f"note: {left_out} annotations are in neither file: their image is not listed")
    for path, part in zip(paths, parts, strict=True):
        part.pop(MARK, None)                           # of a part that is split again
        write_json(path, {MARK: mark, **part})
        print(f"{path}: {len(part['images'])} images, {len(part['annotations'])} annotations")


if __name__ == "__main__":
    run(main)
