"""Small data sets, annotations, results, networks and runs, made for the tests."""
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import paddle

from config import get_config
from model.solov2 import build_solov2
from tools.data.coco import CocoDataset
from tools.data.masks import mask_to_box, mask_to_rle
from tools.data.splits import open_dataset
from tools.training.start import start_training
from tools.weights.weights_file import meta_of, save_weights, to_arrays

ROOT = Path(__file__).resolve().parent.parent
# A network and a training that take a moment.
TINY = {"backbone_width": 8, "fpn_channels": 16, "head_channels": 16, "head_convs": 1,
        "kernel_channels": 8, "mask_channels": 8, "norm_groups": 4, "num_grids": (8, 6, 4, 3, 2),
        "train_short_sides": (64,), "train_max_side": 96, "test_short_side": 64,
        "test_max_side": 96, "batch_size": 2, "reference_batch_size": 2, "num_workers": 0,
        "warmup_steps": 2, "log_every": 2, "checkpoint_every": 2, "eval_every": 0,
        "optimizer": "momentum", "momentum": 0.9, "learning_rate": 0.03, "weight_decay": 1e-4,
        "lr_schedule": "steps", "smooth_masks": False, "sync_norms": True}
# Any config with narrow layers.
SLIM = {"backbone_width": 16, "fpn_channels": 16, "head_channels": 16, "kernel_channels": 8,
        "mask_channels": 8, "norm_groups": 4, "num_classes": 5}
PLUM_AND_PEAR = ({"id": 7, "name": "pear"}, {"id": 3, "name": "plum"})


def square(left, top, side=10, size=(40, 40)):
    """bool [H, W]: a filled square."""
    mask = np.zeros(size, bool)
    mask[top:top + side, left:left + side] = True
    return mask


def truth(mask, number=1, image_id=1, category_id=1, **more):
    """The annotation of a mask."""
    return {"id": number, "image_id": image_id, "category_id": category_id,
            "segmentation": mask_to_rle(mask), **more}


def result(mask, score, category_id=1, image_id=1):
    """A mask as one of the results of a network."""
    x1, y1, x2, y2 = mask_to_box(mask).tolist()
    return {"image_id": image_id, "category_id": category_id, "score": score,
            "segmentation": mask_to_rle(mask), "bbox": [x1, y1, x2 - x1, y2 - y1]}


def listed(number, name, height=20, width=30):
    """An entry of "images"."""
    return {"id": number, "file_name": name, "height": height, "width": width}


def write_grey_images(folder, names, size=(20, 30), value=90):
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name in names:
        cv2.imwrite(f"{folder}/{name}", np.full((*size, 3), value, np.uint8))


def coco_dataset(folder, images, annotations, categories=PLUM_AND_PEAR, image_dir=None, **options):
    """Write folder/set.json and open it; the images lie in `image_dir` (default: folder)."""
    content = {"images": images, "annotations": annotations, "categories": list(categories)}
    path = Path(folder, "set.json")
    path.write_text(json.dumps(content))
    return CocoDataset(path, image_dir or folder, **options)


def save_network(folder, cfg, class_names, change=None, name="random", **meta):
    """Random weights of a config as a file; change(model) may move them first.  Returns the path.

    Nothing is found with weights as they are drawn; `finds_many` changes that.
    """
    model = build_solov2(cfg)
    if change:
        change(model)
    path = f"{folder}/{name}.pdparams"
    save_weights(path, to_arrays(model.state_dict()), meta_of(cfg, class_names, **meta))
    return path


def finds_many(model):
    """Let random weights find something in many cells."""
    bias = model.head.category_pred.bias
    bias.set_value(bias + 3)


def realistic(cfg, seed=0):
    """A network with statistics, offsets and norms that are not those of its initialisation.

    Residual branches are damped: deep deformable networks are chaotic otherwise.
    """
    paddle.seed(seed)
    rng, model = np.random.default_rng(seed), build_solov2(cfg)
    for name, tensor in model.state_dict().items():
        values = {"_variance": rng.uniform(0.5, 2, tensor.shape),
                  "_mean": rng.normal(0, 0.3, tensor.shape),
                  "norm.weight": rng.uniform(0.5, 1.5, tensor.shape),
                  "norm.bias": rng.normal(0, 0.3, tensor.shape),
                  "offset.weight": rng.normal(0, 0.003, tensor.shape),
                  "offset.bias": rng.normal(0, 0.5, tensor.shape)}
        value = next((value for end, value in values.items() if name.endswith(end)), None)
        if value is not None:
            damped = 0.2 if name.endswith(("conv3.norm.weight", "project.norm.weight")) else 1.0
            tensor.set_value((damped * value).astype(np.float32))
    return model


def make_trainer(cfg, num_steps, make_batches=None):
    """A Trainer before its first step."""
    return start_training(cfg, open_dataset(cfg, "train"), num_steps=num_steps,
                          make_batches=make_batches)


def tiny_config(**changed):
    return get_config("quickstart", **{**TINY, **changed})


def run_python(code, **environ):
    """Run `code` in a fresh interpreter, where nobody has made settings for Paddle."""
    clean = {name: value for name, value in os.environ.items()
             if name not in ("OMP_NUM_THREADS", "MKL_DEBUG_CPU_TYPE")}
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={**clean, **environ},
                          capture_output=True, text=True, timeout=120, check=True)


def script(name, *arguments, code=0):
    """Run a script of the project; returns what it printed, after a look at its exit code."""
    done = subprocess.run([sys.executable, str(ROOT / name), *map(str, arguments)], cwd=ROOT,
                          capture_output=True, text=True, timeout=300,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def installed(*packages):
    return all(importlib.util.find_spec(package) for package in packages)
