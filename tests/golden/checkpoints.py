"""Checkpoints with known weights, under the names of the original projects (numpy only).

`keys.json.gz` lists the tensors of every published file; `weights(NAME)` fills one.  A tensor is
drawn from a stream seeded by its own name.  Where there are golden values (`NAME.npz`) the stream
and the final scaling of the last two convolutions (entries calibration_*) are those that the
original code was run with.

    python -m tests.golden.checkpoints NAME OUT        # a file in the layout of its project
"""
import gzip
import json
import sys
import zlib
from functools import cache
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parent
# Family: tag of the stream, names of the last category and kernel convolutions.
TORCH = {"wxinlong": ("wx", "solo_cate", "solo_kernel"),
         "adelaidet": ("adet", "cate_pred", "kernel_pred"),
         "mmdet3": ("mm3", "conv_cls", "conv_kernel")}
LAST_NORMS = (".bn3.weight", ".conv3.norm.weight")       # scaled down, so that depth adds little


@cache
def key_lists():
    """{checkpoint: {"layout": ..., "tensors": [[name, shape, dtype], ...]}}."""
    return json.loads(gzip.decompress((FOLDER / "keys.json.gz").read_bytes()))


def weights(name):
    """{tensor name: ndarray} of a checkpoint, in the order of its file."""
    family, model = name.split("__")
    tensors = {}
    for key, shape, dtype in key_lists()[name]["tensors"]:
        value = torch_value(key, shape, *TORCH[family], model) if family in TORCH \
            else paddle_value(key, shape)
        value = np.asarray(value).astype(dtype).reshape(shape)
        if key == "backbone.bottom_up.stem.conv1.weight":
            value = value / np.float32(60)               # AdelaiDet's input has a deviation of 60
        tensors[key] = value
    if (FOLDER / f"{name}.npz").exists():
        calibrate(tensors, np.load(FOLDER / f"{name}.npz"), *TORCH[family][1:])
    return tensors


def stream(text):
    return np.random.RandomState(zlib.crc32(text.encode()) % 2**31)


def torch_value(key, shape, tag, category, kernel, model):
    """The values of one tensor of a PyTorch model, float64, before the calibration."""
    rng, kind = stream(f"{tag}/{model}/{key}"), key.rpartition(".")[2]
    if kind == "num_batches_tracked":
        return 1000 + rng.randint(1000)
    if kind == "running_mean":
        return rng.normal(0, 0.2, shape)
    if kind == "running_var":
        return rng.uniform(0.5, 1.6, shape)
    if kind == "bias":
        noise = rng.normal(0, 0.15, shape)
        if category in key:
            return 2 * noise - 4.6
        return rng.normal(0, 0.3, shape) if "conv_offset" in key else noise
    if len(shape) == 1:
        basic = "r18" in model.lower() or "r34" in model.lower()
        ends = (*LAST_NORMS, ".bn2.weight") if basic else LAST_NORMS
        return rng.uniform(0.6, 1.4, shape) * (0.35 if key.endswith(ends) else 1)
    values = rng.normal(0, 1, shape) * np.sqrt(2 / np.prod(shape[1:]))
    if category in key or kernel in key:
        values -= values.mean((1, 2, 3), keepdims=True)
        return values / np.sqrt(2) * 1.3 if category in key else values
    return values * (0.12 if "lateral" in key else 0.5 if "conv_offset" in key else 1)


def calibrate(tensors, numbers, category, kernel):
    """Scale the last convolutions so that scores and masks of the golden input are well spread."""
    def find(end):
        return next(key for key in tensors if key.endswith(end))

    weight = find(f"{category}.weight")
    tensors[weight] = tensors[weight] * numbers["calibration_category_scale"][:, None, None, None]
    tensors[find(f"{category}.bias")] = numbers["calibration_category_bias"]
    weight = find(f"{kernel}.weight")
    values = tensors[weight].astype(np.float64)
    direction = numbers["calibration_kernel_direction"][:, None, None, None]
    values -= direction * (direction * values).sum(0, keepdims=True)
    values = numbers["calibration_kernel_scale"] * values
    tensors[weight] = values.astype(np.float32)
    tensors[find(f"{kernel}.bias")] = numbers["calibration_kernel_bias"]


def paddle_value(key, shape):
    """Harmless values of a PaddleDetection tensor; second names of a tensor get the same."""
    key = key.replace("solov2_head.solo_", "solov2_head.bbox_head.solo_")
    key = key.replace("mask_head.conv_pred.", "mask_head.mask_feat_head.conv_pred.0.")
    values = stream(key).normal(0, 0.05, shape)
    return np.abs(values) + 0.5 if key.endswith("_variance") else values


if __name__ == "__main__":
    from tests.checkpoint_files import write_checkpoint
    write_checkpoint(sys.argv[2], sys.argv[1], weights(sys.argv[1]))
