"""Drawn inputs for the tests of tools.data.importing, and its results as masks."""
import json

import cv2
import numpy as np

from tools.data.importing.__main__ import main
from tools.data.masks import segmentation_to_mask

SIZE = (60, 80)                    # height, width of the photographs, unless said


def photo(path, size=SIZE, seed=0):
    """Write a picture of noise; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8)
    path.write_bytes(cv2.imencode(path.suffix, pixels)[1].tobytes())
    return path


def write(path, content):
    """Write text, or anything else as json; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    path.write_text(text, encoding="utf-8")
    return path


def png(path, values):
    """Write [H, W] or [H, W, 3] (RGB) of uint8 or uint16 as PNG; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = values if values.ndim == 2 else np.ascontiguousarray(values[..., ::-1])
    path.write_bytes(cv2.imencode(".png", values)[1].tobytes())
    return path


class Imported:
    """What an import wrote: the exit code, the jsons by split, and both as lists by image."""

    def __init__(self, source, output, *options):
        self.code = main([str(source), "--output", str(output), *options])
        self.jsons = {path.stem: json.loads(path.read_text()) for path in output.glob("*.json")}
        problems = output / "problems.txt"
        self.problems = problems.read_text() if problems.exists() else ""

    def objects(self, name="a.jpg", split="train"):
        """[(class, segmentation, crowd)] of an image, by the end of its file name."""
        content = self.jsons[split]
        names = {entry["id"]: entry["name"] for entry in content["categories"]}
        [image] = [entry for entry in content["images"] if entry["file_name"].endswith(name)]
        return [(names[entry["category_id"]], entry["segmentation"], entry["iscrowd"])
                for entry in content["annotations"] if entry["image_id"] == image["id"]]

    def masks(self, name="a.jpg", split="train", size=SIZE):
        """[(class, bool [H, W])] of an image."""
        return [(label, segmentation_to_mask(segmentation, size))
                for label, segmentation, _ in self.objects(name, split)]


def blobs(seed, count=3, size=SIZE):
    """bool [count, H, W]: rectangles that do not touch, with a hole in the first."""
    rng, masks = np.random.default_rng(seed), np.zeros((count, *size), bool)
    width = size[1] // count
    for index, mask in enumerate(masks):
        top, left = rng.integers(1, size[0] // 3), index * width + rng.integers(1, width // 4)
        bottom, right = top + rng.integers(8, size[0] // 2), left + rng.integers(8, width // 2)
        mask[top:bottom, left:right] = True
    top, left = (axis.min() for axis in np.nonzero(masks[0]))
    masks[0, top + 2:top + 4, left + 2:left + 5] = False
    return masks
