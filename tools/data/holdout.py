"""Split a COCO annotation file into training and validation by a fixed rule.

    python -m tools.data.holdout annotations.json --every 4 --output my

Of the images in the order of their ids, every 4th (the 4th, 8th, ...) goes to my/val.json, the rest
to my/train.json.  Categories are copied to both.
"""
import argparse

from tools.cli import add_version, run
from tools.data.coco_json import read_coco_json
from tools.errors import UserError
from tools.files import write_json


def hold_out(content, every):
    """(training, validation): two COCO dicts whose images share nothing."""
    images = sorted(content["images"], key=lambda image: image["id"])
    held = {image["id"] for image in images[every - 1::every]}
    parts = []
    for validation in (False, True):
        chosen = [image for image in images if (image["id"] in held) == validation]
        annotations = [annotation for annotation in content["annotations"]
                       if (annotation["image_id"] in held) == validation]
        parts.append({**content, "images": chosen, "annotations": annotations})
    return tuple(parts)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add_version(parser)
    parser.add_argument("annotations", help="COCO json file")
    parser.add_argument("--every", type=int, default=5, help="hold out every Nth image")
    parser.add_argument("--output", required=True, help="folder for train.json and val.json")
    args = parser.parse_args(argv)
    content = read_coco_json(args.annotations)
    if not 2 <= args.every <= len(content["images"]):
        raise UserError(f"--every {args.every} of {len(content['images'])} images leaves a part "
                        f"empty; expected 2 to {len(content['images'])}")
    for name, part in zip(("train", "val"), hold_out(content, args.every), strict=True):
        path = f"{args.output}/{name}.json"
        write_json(path, part)
        print(f"{path}: {len(part['images'])} images, {len(part['annotations'])} annotations")


if __name__ == "__main__":
    run(main)
