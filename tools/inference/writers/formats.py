"""What demo.py can write: one line for each format."""
from typing import NamedTuple

from tools.inference.writers.coco import CocoWriter
from tools.inference.writers.json_lines import ImageLines
from tools.inference.writers.labelme import write_labelme
from tools.inference.writers.masks import write_crops, write_index, write_masks
from tools.inference.writers.polygons import write_polygons
from tools.inference.writers.tables import TableWriter
from tools.inference.writers.yolo import YoloNames, write_yolo


class Format(NamedTuple):
    """A format: what is written for each image, what for the run, and what --help says of it."""

    text: str
    ending: str = ""               # of an image's file, after its whole name, or, from "*" on,
                                   # instead of the image's suffix
    write: object = None           # write(path, found: ImageInstances as drawn)
    run_file: str = ""             # one for the run
    run_writer: type = None        # run_writer(path, class_names), see ResultWriter


IMAGES = "images"                  # the drawn images, which ResultWriter makes itself
FORMATS = {
    IMAGES: Format("the drawn images (always, but for --no-draw)"),
    "masks": Format("a PNG for each object", ".masks", write_masks),
    "index": Format("a PNG with a number for each object", ".index.png", write_index),
    "crops": Format("each object cut out, as PNG", ".crops", write_crops),
    "polygons": Format("outlines, classes, scores", ".polygons.json", write_polygons),
    "labelme": Format("photo.json, for labelme and X-AnyLabeling", "*.json", write_labelme),
    "yolo": Format("photo.txt of YOLO-seg, data.yaml", "*.txt", write_yolo, "data.yaml", YoloNames),
    "coco": Format("results.json, COCO json of all instances", run_file="results.json",
                   run_writer=CocoWriter),
    "jsonl": Format("a line of json for each image, or for each frame of a video",
                    run_file="results.jsonl", run_writer=ImageLines),
    "csv": Format("objects.csv, counts.csv: areas, boxes, counts", run_file="objects.csv",
                  run_writer=TableWriter),
}


def formats_help():
    """The table as one line of text."""
    return "; ".join(f"{name}: {entry.text}" for name, entry in FORMATS.items())
