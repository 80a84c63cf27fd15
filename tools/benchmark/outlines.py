"""The best that masks at stride 4 can reach: python -m tools.benchmark outlines [-o val_json=...]

Takes the annotated masks of the val set through the test size, down to stride 4 and back up, as
training and prediction do, without any network, and compares them with themselves.
"""
import numpy as np

from model.paste import paste
from model.targets import quarter_masks, smooth_quarter_masks
from tools.cli import build_parser, load_config
from tools.data.splits import open_dataset
from tools.data.transforms import Resize, pad_to_divisor
from tools.evaluation.identity import mask_iou
from tools.progress import progress

IOUS = (0.75, 0.85, 0.9, 0.95)
# smooth_masks of the config, and what it means for a mask
WAYS = {"published": (False, quarter_masks), "smooth": (True, smooth_quarter_masks)}


def main(argv):
    cfg = load_config(build_parser(__doc__).parse_args(argv))
    dataset = open_dataset(cfg, "val")
    found = {name: [] for name in WAYS}
    for index in progress(range(len(dataset)), "images"):
        sample = dataset.sample(index)
        for name, way in WAYS.items():
            found[name] += reached(sample, cfg, *way)
    print(f"{len(found['smooth'])} objects of {dataset.path} at {cfg.test_short_side} pixels: mean "
          "IoU, and the part of the objects that reach " + ", ".join(map(str, IOUS)))
    for name, overlaps in found.items():
        parts = "  ".join(f"{np.mean(np.array(overlaps) >= iou):.3f}" for iou in IOUS)
        print(f"{name:10s} {np.mean(overlaps):.3f}   {parts}")
    return 0


def reached(sample, cfg, exact, shrink):
    """IoU of every mask of a sample with itself, taken down to stride 4 by `shrink` and back."""
    resized = Resize(cfg.test_short_side, cfg.test_max_side, cfg.resize_library,
                     cfg.resized_size_rule, exact)(sample, None)
    size = resized["image"].shape[:2]
    padded = pad_to_divisor([np.zeros((1, *size), np.uint8)], cfg.size_divisor).shape[2:]
    return [mask_iou(mask, pasted(np.float32(small), size, mask.shape, cfg.mask_threshold))
            for mask, small in zip(sample["masks"], shrink(resized["masks"], padded), strict=True)]


def pasted(probs, resized_size, original_size, threshold):
    """bool of `original_size`: a mask at stride 4, as prediction enlarges it."""
    top, left, crop = paste(probs, probs.shape, resized_size, original_size, threshold)
    full = np.zeros(original_size, bool)
    full[top:top + crop.shape[0], left:left + crop.shape[1]] = crop
    return full
