"""The quick-start set: shapes on textured, noisy, unevenly lit grounds, in COCO format.

    python -m tools.data.shapes --output data/shapes --train 2400 --val 200 --seed 1

writes train.json, val.json and the folders train and val.  The images are those of scenes.py; an
annotation is the visible part of an object.  The generator of each image is seeded with (seed,
split, index): no two images share a stream.
"""
import argparse
import zlib
from pathlib import Path

import cv2
import numpy as np

from tools.cli import add_version, run
from tools.data.json_stream import stream_lists
from tools.data.masks import mask_to_box, mask_to_rle
from tools.data.scenes import CLASS_NAMES, draw_scene
from tools.errors import UserError
from tools.files import atomic_file, write_json
from tools.progress import progress

JPEG_QUALITY = 92
MARK = ".drawn"                 # an empty file among the images: they may be drawn again


def scene_annotations(scene, image_id, first_id):
    """The COCO annotations of a scene: one dict per object, of what is visible of it."""
    found = []
    for index, thing in enumerate(scene.objects):
        mask = scene.owner == index
        x1, y1, x2, y2 = mask_to_box(mask).tolist()
        found.append({"id": first_id + index, "image_id": image_id,
                      "category_id": CLASS_NAMES.index(thing["kind"]) + 1,
                      "iscrowd": int(thing["crowd"]), "area": int(mask.sum()),
                      "bbox": [x1, y1, x2 - x1, y2 - y1], "segmentation": mask_to_rle(mask)})
    return found


def refuse_others(json_path, images):
    """UserError where there are annotations or images that were not drawn here."""
    there = json_path.exists() or images.exists() and any(images.iterdir())
    if there and not (images / MARK).exists() and not is_drawn(json_path):
        raise UserError(f"'{json_path}' or the images in '{images}' were not drawn by this command "
                        "and would be replaced: choose another --output")


def is_drawn(json_path):
    """Whether a json has the classes that are drawn here."""
    if not json_path.is_file():
        return False
    found = [entry.get("name") for _, entry in stream_lists(json_path, ("categories",), {})
             if isinstance(entry, dict)]
    return found == list(CLASS_NAMES)


def write_split(folder, split, count, seed, size=256):
    """Draws `count` images into folder/split and, last, their annotations: folder/split.json."""
    folder = Path(folder)
    json_path = folder / f"{split}.json"
    refuse_others(json_path, folder / split)
    (folder / split).mkdir(parents=True, exist_ok=True)
    json_path.unlink(missing_ok=True)
    (folder / split / MARK).write_bytes(b"")
    images, annotations = [], []
    for index in progress(range(count), label=f"drawing {split}", unit="image"):
        rng = np.random.default_rng([seed, zlib.crc32(split.encode()), index])
        scene = draw_scene(rng, size)
        image_id, file_name = index + 1, f"{index + 1:06d}.jpg"
        quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
        _, jpeg = cv2.imencode(".jpg", scene.photograph(), quality)
        with atomic_file(folder / split / file_name, durable=False) as file:
            file.write(jpeg)
        height, width = scene.owner.shape
        images.append({"id": image_id, "file_name": file_name, "height": height, "width": width})
        annotations += scene_annotations(scene, image_id, len(annotations) + 1)
    categories = [{"id": number, "name": name} for number, name in enumerate(CLASS_NAMES, 1)]
    write_json(json_path, {"images": images, "annotations": annotations, "categories": categories})


def parse_args(argv=None):
    parser = argparse.ArgumentParser(description="Draws the quick-start set in COCO format.")
    add_version(parser)
    parser.add_argument("--output", default="data/shapes", help="folder to write")
    parser.add_argument("--train", type=int, default=2400, help="number of training images")
    parser.add_argument("--val", type=int, default=200, help="number of validation images")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", type=int, default=256, help="mean side of the images, pixels")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    for split, count in (("train", args.train), ("val", args.val)):
        write_split(args.output, split, count, args.seed, args.size)
    print(f"{args.output}: {args.train} training and {args.val} validation images, "
          f"classes {', '.join(CLASS_NAMES)}")


if __name__ == "__main__":
    run(main)
