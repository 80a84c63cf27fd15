"""The best that masks at stride 4 can reach: python -m tools.benchmark outlines [-o val_json=...]

Takes the annotated masks of the val set through the test size, down to stride 4 and back up, as
training and prediction do, without any network, and compares them with themselves.
"""
import cv2
import numpy as np

from model.targets import quarter_masks, smooth_quarter_masks
from tools.cli import build_parser, load_config
from tools.data.splits import open_dataset
from tools.data.transforms import Resize
from tools.progress import progress

IOUS = (0.75, 0.85, 0.9, 0.95)


def main(argv=None):
    cfg = load_config(build_parser(__doc__).parse_args(argv))
    dataset = open_dataset(cfg, "val")
    found = {"published": [], "smooth": []}
    for index in progress(range(len(dataset)), "images"):
        sample = dataset.sample(index)
        for name, overlaps in found.items():
            overlaps += reached(sample, cfg, smooth=name == "smooth")
    print(f"{len(found['smooth'])} objects of {dataset.path} at {cfg.test_short_side} pixels: mean "
          "IoU, and the part of the objects that reach " + ", ".join(map(str, IOUS)))
    for name, overlaps in found.items():
        parts = "  ".join(f"{np.mean(np.array(overlaps) >= iou):.3f}" for iou in IOUS)
        print(f"{name:10s} {np.mean(overlaps):.3f}   {parts}")
    return 0


def reached(sample, cfg, smooth):
    """IoU of every mask of a sample with itself, taken down to stride 4 and back."""
    if len(sample["masks"]) == 0:
        return []
    resize = Resize(cfg.test_short_side, cfg.test_max_side, cfg.resize_library,
                    cfg.resized_size_rule, smooth)
    resized = resize(sample, None)
    height, width = resized["image"].shape[:2]
    canvas = -(-height // 4) * 4, -(-width // 4) * 4
    small = (smooth_quarter_masks if smooth else quarter_masks)(resized["masks"], canvas)
    return [overlap(mask, enlarged(np.float32(quarter), canvas, (height, width), mask.shape))
            for mask, quarter in zip(sample["masks"], small, strict=True)]


def enlarged(quarter, canvas, size, original):
    """The bool mask of `original` size of one at stride 4, as in SOLOv2's post-processing."""
    large = cv2.resize(quarter, canvas[::-1], interpolation=cv2.INTER_LINEAR)
    large = large[:size[0], :size[1]]
    return cv2.resize(large, original[::-1], interpolation=cv2.INTER_LINEAR) > 0.5


def overlap(one, other):
    return (one & other).sum() / max(1, (one | other).sum())
