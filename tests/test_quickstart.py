"""The bundled weights reach the AP that they claim."""
import os

import pytest

from config import get_config
from tools.data.scenes import CLASS_NAMES
from tools.data.shapes import write_split
from tools.data.splits import open_dataset
from tools.evaluation.coco_eval import evaluate
from tools.evaluation.evaluate import predict_dataset
from tools.inference.predictor import Predictor
from tools.weights.weights_file import read_weights

IMAGES, TOLERANCE = 100, 0.03      # the claim is for 200 images; half of them scatter around it


@pytest.fixture(scope="module")
def val_dir(tmp_path_factory):
    """The first half of the val set of `python -m tools.data.shapes --seed 1`."""
    folder = tmp_path_factory.mktemp("val")
    write_split(folder, "val", IMAGES, seed=1)
    return folder


def test_bundled_weights_reach_their_claim(val_dir):
    cfg = get_config("quickstart", val_json=f"{val_dir}/val.json", val_images=f"{val_dir}/val")
    _, meta = read_weights(cfg.weights_path)
    predictor = Predictor(cfg, device="cpu", engine="dygraph")   # alike for any batch
    dataset = open_dataset(cfg, "val", class_names=predictor.class_names)
    results, unreadable = predict_dataset(predictor, dataset)
    assert not unreadable
    metrics = evaluate(dataset, results)
    assert meta["config"] == "quickstart" and tuple(meta["class_names"]) == CLASS_NAMES
    assert meta["segm_AP"] >= 0.83
    assert metrics["segm_AP"] >= meta["segm_AP"] - TOLERANCE, metrics
    batched, _ = predict_dataset(predictor, dataset, batch_size=4)
    assert [result["segmentation"] for result in batched] == \
        [result["segmentation"] for result in results]
    assert evaluate(dataset, batched)["segm_AP"] == metrics["segm_AP"]


def test_bundled_weights_are_small():
    assert os.path.getsize(get_config("quickstart").weights_path) <= 8 * 2 ** 20
