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
# Seed of the streams, mean of the category bias, gain of the category convolution.
PADDLE = {"paddledet2__solov2_r50_fpn_3x_coco": (21, -7.0, 1.5),
          "paddledet2__solov2_r50_enhance_coco": (23, -5.8, 1.4),
          "paddledet05__solov2_mobilenetv3_fpn_448_3x": (44, -6.6, 1.5)}
PADDLE_ALIASES = {"solov2_head.bbox_head.solo_": "solov2_head.solo_",
                  "mask_head.mask_feat_head.conv_pred.0.": "mask_head.conv_pred."}
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
            else paddle_value(key, shape, *PADDLE.get(name, (20, -5.5, 1.3)))
        value = np.asarray(value).astype(dtype).reshape(shape)
        if key == "backbone.bottom_up.stem.conv1.weight":
            value = value / np.float32(60)               # AdelaiDet's input has a deviation of 60
        tensors[key] = value
    if family in TORCH and (FOLDER / f"{name}.npz").exists():
        calibrate(tensors, np.load(FOLDER / f"{name}.npz"), *TORCH[family][1:])
    return tensors


def stream(text, seed=0):
    return np.random.RandomState((zlib.crc32(text.encode()) + seed) % 2**31)


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


def paddle_value(key, shape, seed, category_bias, category_gain):
    """The values of one tensor of a PaddleDetection model; second names get the same."""
    for alias, original in PADDLE_ALIASES.items():
        key = original + key[len(alias):] if key.startswith(alias) else key
    rng = stream(key, seed)
    fan_in = np.prod(shape[1:]) if len(shape) == 4 else 1
    if key.endswith("_variance"):
        return rng.uniform(0.6, 1.6, shape)
    if key.endswith(("norm.weight", "_scale")):
        return rng.uniform(*((0.15, 0.45) if "branch2c" in key else (0.6, 1.4)), shape)
    mean = category_bias if "solo_cate.bias" in key else 0
    deviation = paddle_deviation(key, len(shape) == 4, fan_in, category_gain)
    return mean + rng.normal(0, deviation, shape)


def paddle_deviation(key, is_convolution, fan_in, category_gain):
    """The standard deviation of a tensor that is drawn from a normal distribution."""
    table = (("_mean", 0.1), ("conv_offset.weight", 0.4 / np.sqrt(fan_in)),
             ("conv_offset.w_0", 0.4 / np.sqrt(fan_in)), ("conv_offset.bias", 0.2),
             ("conv_offset.b_0", 0.2),
             ("solo_cate.weight", category_gain / np.sqrt(fan_in * 0.6)), ("solo_cate.bias", 0.3),
             ("solo_kernel.weight", 0.22 / np.sqrt(fan_in * 0.6)), ("solo_kernel.bias", 0.03),
             ("norm.bias", 0.15), ("_offset", 0.15))
    for end, deviation in table:
        if key.endswith(end):
            return deviation
    if is_convolution:
        return np.sqrt((1 if key.startswith(("neck", "fpn")) else 2) / fan_in)
    return 0.05


if __name__ == "__main__":
    from tests.checkpoint_files import write_checkpoint
    write_checkpoint(sys.argv[2], sys.argv[1], weights(sys.argv[1]))
