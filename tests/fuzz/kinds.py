"""The kinds of files: how one is made from a random stream, and what reads it."""
import json
import pickle
from pathlib import Path

import cv2
import numpy as np

from config import get_config
from convert.converter import convert
from convert.readers import read_checkpoint
from convert.writers import write_pdparams, write_pdparams_static, write_pth
from tests.checkpoint_files import small_tensors, write_legacy_pth, write_variables
from tests.fuzz import pickles
from tests.fuzz.mutate import STRANGE, damage, replaced
from tools.data.coco import CocoDataset
from tools.data.images import image_size, read_image
from tools.training import run_state
from tools.weights.schema import CATEGORY
from tools.weights.weights_file import META, config_of, meta_of, read_weights

FLOATS = {name: array for name, array in small_tensors().items() if array.dtype == np.float32}
WRITERS = {
    "zip.pth": lambda path: write_pth(path, "state_dict", small_tensors(), {"meta": {"epoch": 1}}),
    "stream.pth": lambda path: write_legacy_pth(path, "model", small_tensors(), {"epoch": 1}),
    "p.pdparams": lambda path: write_pdparams(path, small_tensors()),
    "s.pdparams": lambda path: write_pdparams_static(path, small_tensors()),
    "v.tar": lambda path: write_variables(path, FLOATS)}


def make_archive(rng, folder):
    """A good file of one of the layouts, damaged in one to three places."""
    name = str(rng.choice(list(WRITERS)))
    path = folder / name
    WRITERS[name](path)
    content = path.read_bytes()
    for _ in range(rng.integers(1, 4)):
        content = damage(content, rng)
    path.write_bytes(content)
    return path


def check_checkpoint(path):
    convert(read_checkpoint(path))


def odd_array(rng):
    """What may stand where a float32 array is expected."""
    shapes = ((), (0,), (3,), (2, 2, 1, 1))
    dtype = str(rng.choice(["f4", "f8", "i8", "u1", "f2", "b1"]))
    array = np.zeros(shapes[rng.integers(4)], dtype)
    return array if rng.random() < 0.6 else STRANGE[rng.integers(len(STRANGE))]


def make_weights(rng, folder):
    """A weights file of ours with wrong types, keys, numbers or settings."""
    arrays = {CATEGORY: np.zeros((2, 3, 1, 1), np.float32), "a._variance": np.ones(3, np.float32)}
    meta = json.loads(json.dumps(meta_of(get_config("quickstart"), ["a", "b"], family="own")))
    kind = rng.integers(5)
    if kind == 0:
        arrays[str(rng.choice([CATEGORY, "a._variance", "new"]))] = odd_array(rng)
    elif kind == 1:
        arrays["a._variance"][1] = rng.choice([np.nan, np.inf, -1.0])
    elif kind == 2:
        arrays = {3: arrays[CATEGORY], **arrays}
    meta = replaced(meta, rng, int(rng.integers(3))) if kind != 2 else meta
    text = json.dumps(meta) if rng.random() < 0.9 else STRANGE[rng.integers(len(STRANGE))]
    content = pickle.dumps({**arrays, META: text}, int(rng.choice([2, 4])))
    path = folder / "w.pdparams"
    path.write_bytes(content if rng.random() < 0.9 else damage(content, rng))
    return path


def check_weights(path):
    """What is read fits: finite float32 arrays, and a config can be made of its meta."""
    arrays, meta = read_weights(path)
    assert all(array.dtype == np.float32 and np.isfinite(array).all() for array in arrays.values())
    cfg = config_of(get_config("quickstart"), meta, "w")
    assert cfg.num_classes == len(arrays[CATEGORY]) and min(cfg.pixel_std) > 0


def make_state(rng, folder):
    """A run state with strange values."""
    model = {"a.weight": [0.5], "a._variance": [1.0]}
    state = {"model": model, "optimizer": {"a.weight_velocity_0": [0.1]}, "ema": None, "scaler": {},
             "window": {"count": 1, "sums": {"loss": 1.0}}, "step": 3, "num_steps": 9,
             "best_ap": 0.25, "config": "quickstart", "seed": 1, "class_names": ["a"]}
    state = replaced(state, rng, int(rng.integers(1, 3)))
    for part in ("model", "optimizer"):
        if isinstance(state.get(part), dict):
            state[part] = {name: np.array(value, np.float32) if value in ([0.5], [1.0], [0.1])
                           else value for name, value in state[part].items()}
    content = pickle.dumps(state, 4)
    path = folder / "checkpoint_0000003.pdstate"
    path.write_bytes(content if rng.random() < 0.9 else damage(content, rng))
    return path


COCO = {"images": [{"id": 1, "file_name": "a.jpg", "height": 20, "width": 30},
                   {"id": 2, "file_name": "b.jpg", "height": 20, "width": 30}],
        "categories": [{"id": 1, "name": "plum"}, {"id": 7, "name": "pear"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "bbox": [2, 2, 8, 8],
             "area": 64, "segmentation": [[2, 2, 10, 2, 10, 10, 2, 10]]},
            {"id": 2, "image_id": 2, "category_id": 7, "iscrowd": 1, "bbox": [0, 0, 5, 5],
             "area": 25, "segmentation": {"size": [20, 30], "counts": [0, 5, 595]}},
            {"id": 3, "image_id": 2, "category_id": 7, "bbox": [0, 0, 5, 5],
             "segmentation": {"size": [20, 30], "counts": "05jb0"}}]}


def make_annotations(rng, folder):
    """A COCO json with strange values in one to four places, or damaged bytes."""
    for name in ("a.jpg", "b.jpg"):
        cv2.imwrite(str(folder / name), np.full((20, 30, 3), 90, np.uint8))
    text = json.dumps(replaced(COCO, rng, int(rng.integers(1, 5)))).encode()
    path = folder / "train.json"
    path.write_bytes(text if rng.random() < 0.8 else damage(text, rng))
    return path


def check_annotations(path):
    dataset = CocoDataset(str(path), str(path.parent))
    for index in range(len(dataset)):
        dataset.sample(index)


def make_image(rng, folder):
    """A picture of some format with damage, most of it in the headers."""
    ending = str(rng.choice([".png", ".jpg", ".bmp", ".tiff", ".webp"]))
    image = rng.integers(0, 256, (int(rng.integers(1, 40)), int(rng.integers(1, 40)), 3), np.uint8)
    content = cv2.imencode(ending, image)[1].tobytes()
    head = int(rng.choice([40, 200, len(content)]))
    path = folder / f"picture{ending}"
    path.write_bytes(damage(content[:head], rng) + content[head:])
    return path


def check_image(path):
    image_size(str(path))
    image = read_image(str(path))
    assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3


def make_exported(rng, folder):
    """An exported model with a strange or damaged program, in the old or the new format."""
    from tests.test_inference_model import SMALL, new_program, old_program, write_model

    program = (new_program, old_program)[rng.integers(2)]
    write_model(folder, SMALL, program)
    path = next(path for path in folder.iterdir() if path.suffix in (".json", ".pdmodel"))
    content = path.read_bytes()
    if path.suffix == ".json" and rng.random() < 0.6:
        content = json.dumps(replaced(json.loads(content), rng, int(rng.integers(1, 4)))).encode()
    path.write_bytes(content if rng.random() < 0.2 else damage(content, rng))
    if rng.random() < 0.2:
        parameters = Path(folder / "inference.pdiparams")
        parameters.write_bytes(damage(parameters.read_bytes(), rng))
    return path


KINDS = {"pickle": (pickles.make, check_checkpoint), "archive": (make_archive, check_checkpoint),
         "weights": (make_weights, check_weights), "exported": (make_exported, check_checkpoint),
         "run-state": (make_state, run_state.read_checkpoint),
         "annotations": (make_annotations, check_annotations), "image": (make_image, check_image)}
