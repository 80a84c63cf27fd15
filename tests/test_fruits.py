"""The bundled fruit weights: what they hold, what they find, and their claim on held-out photos."""
import os

import pytest

from config import get_config
from tests.builders import ROOT
from tools.data.holdout import main as holdout
from tools.data.splits import open_dataset
from tools.evaluation.coco_eval import evaluate
from tools.evaluation.evaluate import predict_dataset
from tools.inference.predictor import Predictor
from tools.weights.weights_file import read_weights

WEIGHTS = str(ROOT / "weights/fruits.pdparams")
CLASSES = ("date", "fig", "hazelnut")
SHARED = ROOT.parent / "shared/data/fruits_nuts"


@pytest.fixture(scope="module")
def predictor():
    return Predictor(get_config("own_dataset"), WEIGHTS, device="cpu", engine="dygraph")


def test_the_file_is_small_and_of_three_classes():
    _, meta = read_weights(WEIGHTS)
    assert os.path.getsize(WEIGHTS) <= 8 * 2 ** 20
    assert (meta["config"], tuple(meta["class_names"])) == ("own_dataset", CLASSES)


def test_the_bundled_photographs_show_fruit(predictor):
    for found in predictor([str(path) for path in sorted((ROOT / "images/fruits").glob("*.jpg"))]):
        sure = found[found.scores > 0.5]
        assert len(sure) >= 5 and len(set(sure.class_indices.tolist())) >= 2


def test_held_out_photographs(predictor, tmp_path):
    if not SHARED.is_dir():
        pytest.skip("needs the photographs in ../shared/data/fruits_nuts")
    holdout([str(SHARED / "trainval.json"), "--every", "4", "--output", str(tmp_path)])
    cfg = get_config("own_dataset", val_json=f"{tmp_path}/val.json",
                     val_images=str(SHARED / "images"))
    dataset = open_dataset(cfg, "val", class_names=predictor.class_names)
    assert len(dataset) == 4
    results, _ = predict_dataset(predictor, dataset)
    claim = read_weights(WEIGHTS)[1]["segm_AP"]
    assert evaluate(dataset, results)["segm_AP"] == pytest.approx(claim, abs=0.005)
