"""Make a COCO data set of what other tools write: labelme, YOLO, CVAT, Label Studio and others.

    python -m tools.data.importing SOURCE --output FOLDER

SOURCE is a folder, a zip file or one annotation file.  Writes train.json (val.json and test.json
where the source tells them apart) and problems.txt with everything that was left out, by name.
Polygons are copied as they are, masks become run-length codes.  Images stay where they are.  Exit
code 0: everything was taken, 1: something was left out, 2: nothing could be read.
"""
import argparse
import os
import shlex
import zipfile
from pathlib import Path

from tools.cli import run
from tools.data.importing.coco_writer import write
from tools.data.importing.collection import Collection
from tools.data.importing.formats import NAMES, recognise
from tools.data.importing.source import Source
from tools.data.importing.zip_file import unpack
from tools.errors import UserError, printable, shown
from tools.files import write_text

LEFT_OUT = 1
NAMES_SHOWN = 3                    # per problem; all are in problems.txt
CLASSES_SHOWN = 12
OUTSIDE_ZIP = "entries of the zip file that lead out of its folder"


def parse_args(argv=None):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="folder, zip file or annotation file")
    parser.add_argument("--output", required=True, metavar="FOLDER",
                        help="where the COCO json files go")
    parser.add_argument("--format", choices=NAMES, metavar="NAME",
                        help=f"do not recognise it, it is: {', '.join(NAMES)}")
    parser.add_argument("--images", default="", metavar="FOLDER",
                        help="where the images are (default: in the source)")
    transfer = parser.add_mutually_exclusive_group()
    transfer.add_argument("--copy-images", dest="transfer", action="store_const", const="copy",
                          help="copy them to FOLDER/images")
    transfer.add_argument("--link-images", dest="transfer", action="store_const", const="link",
                          help="make symbolic links to them in FOLDER/images")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    path, refused = args.source, []
    if os.path.isfile(path) and zipfile.is_zipfile(path):
        path, refused = unpack(path, args.output)
    source = Source(path, args.images, args.output if path == args.source else "")
    reader, reason, others = recognise(source, args.format)
    print(printable(f"format: {reader.NAME} ({reason})"))
    if others:
        print(f"it could also be {', '.join(others)}: --format NAME takes another one")
    collection = Collection(source)
    for name in refused:
        collection.leave_out(OUTSIDE_ZIP, name)
    with collection.progress:
        reader.read(source, collection)
    if source.files == source.around:
        collection.note_unmentioned()
    written = write(collection, args.output, args.transfer)
    if not any(sum(one.counts.values()) for one in written):
        crowds = sum(thing.crowd for picture in collection.pictures for thing in picture.things)
        raise UserError("there is no object with an outline or a mask to learn from"
                        + f", only {crowds} crowd regions" * (crowds > 0)
                        + "".join(f"; {line}" for line in problem_lines(collection.left_out)))
    report(written, collection, Path(args.output))
    return LEFT_OUT if collection.left_out else 0


def report(written, collection, folder):
    """Print what was written and left out, and the command that trains on it."""
    for one in written:
        print(printable(f"{one.path}: {one.num_images} images ({one.num_empty} without objects), "
                        f"{sum(one.counts.values())} objects of {len(one.counts)} classes: "
                        + listed_counts(one.counts)))
    for line in problem_lines(collection.notes):
        print(f"note: {line}")
    for line in problem_lines(collection.left_out):
        print(f"left out: {line}")
    if collection.left_out or collection.notes:
        path = folder / "problems.txt"
        write_problems(path, collection)
        print(f"every name: {path}")
    print(*commands(written, folder), sep="\n")


def listed_counts(counts):
    most = [f"{shown(name)} {count}" for name, count in list(counts.items())[:CLASSES_SHOWN]]
    return ", ".join(most) + ", ..." * (len(counts) > CLASSES_SHOWN)


def problem_lines(problems):
    return [printable(f"{len(names)} {reason}: " + "; ".join(names[:NAMES_SHOWN])
                      + "; ..." * (len(names) > NAMES_SHOWN)) for reason, names in problems.items()]


def write_problems(path, collection):
    lines = []
    for title, problems in (("left out", collection.left_out), ("note", collection.notes)):
        for reason, names in problems.items():
            lines += [f"{title}: {len(names)} {reason}", *(f"  {name}" for name in names), ""]
    write_text(path, "\n".join(map(printable, lines)))


def commands(written, folder):
    """The lines that say how to go on."""
    by_split = {one.split: one for one in written}
    train, val = by_split.get("train"), by_split.get("val") or by_split.get("test")
    if train is None:
        return ["evaluate with:",
                f"  python eval.py --config=own_dataset -o {settings(val, 'val')}"]
    if val is not None:
        return ["train with:", f"  python train.py --config=own_dataset -o "
                               f"{settings(train, 'train')} {settings(val, 'val')}"]
    lines = ["train with:",
             f"  python train.py --config=own_dataset -o {settings(train, 'train')} val_json="]
    if train.num_images > 4:
        split = folder / "split"
        lines += ["or hold out every fifth image to measure the AP on:",
                  f"  python -m tools.data.holdout {shlex.quote(str(train.path))} --every 5 "
                  f"--output {shlex.quote(str(split))}"]
        lines += [f"  python train.py --config=own_dataset -o train_json="
                  f"{shlex.quote(str(split / 'train.json'))} "
                  f"train_images={shlex.quote(train.images or 'FOLDER')} "
                  f"val_json={shlex.quote(str(split / 'val.json'))} "
                  f"val_images={shlex.quote(train.images or 'FOLDER')}"]
    return lines


def settings(one, split):
    """ "train_json=... train_images=..." for a json file."""
    return (f"{split}_json={shlex.quote(str(one.path))} "
            f"{split}_images={shlex.quote(one.images or 'FOLDER')}")


if __name__ == "__main__":
    run(main)
