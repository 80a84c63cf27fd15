"""COCO metrics: by hand, against pycocotools as everyone runs it, and at the edges."""
import contextlib
import importlib.util
import io
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tests.builders import coco_dataset, listed, result, square, truth, write_grey_images
from tools.data.coco import CocoDataset
from tools.data.shapes import write_split
from tools.errors import UserError
from tools.evaluation import mistakes
from tools.evaluation.coco_eval import evaluate, precisions
from tools.evaluation.evaluators import evaluator_name
from tools.evaluation.printing import print_metrics

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "coco_fixture"
HAS_FASTER = importlib.util.find_spec("faster_coco_eval") is not None
NAMES = ("AP", "AP50", "AP75", "APs", "APm", "APl")
EVALUATOR_PARAMS = ["pycocotools", pytest.param("faster", marks=pytest.mark.skipif(
    not HAS_FASTER, reason="faster-coco-eval is not installed"))]
both_evaluators = pytest.mark.parametrize("evaluator", EVALUATOR_PARAMS)


def perfect_results(dataset):
    return [result(mask, 0.9, dataset.category_ids[kind], dataset.image_info(index)["image_id"])
            for index in range(len(dataset))
            for mask, kind in zip(*dataset.objects(index)[::2], strict=True)]


def noisy_results(dataset, seed=0):
    """Shifted masks, some lost, some of the wrong class, with random scores."""
    rng = np.random.default_rng(seed)
    found = []
    for index in range(len(dataset)):
        masks, _, kinds = dataset.objects(index)
        for mask, kind in zip(masks, kinds, strict=True):
            mask = np.roll(mask, rng.integers(-3, 4, 2), (0, 1))
            if rng.random() < 0.1:
                kind = rng.integers(dataset.num_classes)
            if rng.random() > 0.2 and mask.any():
                found.append(result(mask, float(rng.random()), dataset.category_ids[kind],
                                    dataset.image_info(index)["image_id"]))
    return found


def plain_pycocotools(path, results, iou_type):
    """The first six numbers of pycocotools; boxes go, or masks would be sorted by their areas."""
    if iou_type == "segm":
        results = [{key: value for key, value in entry.items() if key != "bbox"}
                   for entry in results]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(path))
        run = COCOeval(truth, truth.loadRes(results), iou_type)
        run.evaluate()
        run.accumulate()
        run.summarize()
    return run.stats[:6]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shapes")
    write_split(folder, "val", 30, seed=4, size=128)
    return CocoDataset(folder / "val.json", folder / "val", training=False)


@pytest.fixture
def make(tmp_path):
    """make(annotations) -> a CocoDataset of two black 40x40 images, categories 1 and 5."""
    def build(annotations):
        images = [listed(number, f"{number}.png", 40, 40) for number in (1, 2)]
        write_grey_images(tmp_path, [image["file_name"] for image in images], (40, 40))
        categories = [{"id": 1, "name": "a"}, {"id": 5, "name": "b"}]
        return coco_dataset(tmp_path, images, annotations, categories, training=False)
    return build


@both_evaluators
@pytest.mark.parametrize("iou_type", ["segm", "bbox"])
def test_same_numbers_as_pycocotools(dataset, evaluator, iou_type):
    results = noisy_results(dataset)
    metrics = evaluate(dataset, results, (iou_type,), evaluator)
    np.testing.assert_allclose([metrics[f"{iou_type}_{name}"] for name in NAMES],
                               plain_pycocotools(dataset.path, results, iou_type), atol=1e-12)
    assert 0.05 < metrics[f"{iou_type}_AP"] < 0.95


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data")
@both_evaluators
def test_same_numbers_on_real_coco_with_crowds(evaluator):
    real = CocoDataset(SHARED / "instances.json", SHARED / "images", training=False)
    results = noisy_results(real)
    metrics = evaluate(real, results, ("segm", "bbox"), evaluator)
    for iou_type in ("segm", "bbox"):
        np.testing.assert_allclose([metrics[f"{iou_type}_{name}"] for name in NAMES],
                                   plain_pycocotools(real.path, results, iou_type), atol=1e-12)


def ellipse(rng, side):
    """A random mask from 4 pixels to most of the image."""
    mask = np.zeros((side, side), np.uint8)
    center, axes = rng.integers(5, side - 5, 2), np.exp(rng.uniform(0.3, np.log(side / 2.2), 2))
    cv2.ellipse(mask, center.tolist(), np.rint(axes).astype(int).tolist(),
                float(rng.uniform(0, 180)), 0, 360, 1, -1)
    return mask.astype(bool)


@pytest.fixture(scope="module")
def hard_problem(tmp_path_factory):
    """(dataset, results): crowds, empty images, all sizes, equal scores, 130 results of a class in
    an image, a class without objects, and classes in another order than their ids."""
    folder, rng = tmp_path_factory.mktemp("hard"), np.random.default_rng(3)
    images, annotations, results = [], [], []
    for number in range(1, 13):
        cv2.imwrite(str(folder / f"{number}.png"), np.zeros((240, 240, 3), np.uint8))
        images.append({"id": number, "file_name": f"{number}.png", "height": 240, "width": 240})
        masks = [ellipse(rng, 240) for _ in range(0 if number % 5 == 0 else 14)]
        for mask in masks:
            annotations.append({**truth(mask, len(annotations) + 1, number, rng.choice([3, 8])),
                                "iscrowd": int(rng.random() < 0.15), "area": int(mask.sum()),
                                "bbox": result(mask, 0, 0, 0)["bbox"]})
        for _ in range(260 if number == 1 else 30):
            mask = masks[rng.integers(len(masks))] if masks else ellipse(rng, 240)
            mask = np.roll(mask, rng.integers(-4, 5, 2), (0, 1))
            results.append(result(mask, round(float(rng.random()), 2),
                                  rng.choice([3, 8, 20], p=[0.5, 0.4, 0.1]), number))
    categories = [{"id": number, "name": f"kind {number}"} for number in (3, 8, 20)]
    for entry in annotations + results:
        entry["category_id"] = int(entry["category_id"])
    (folder / "set.json").write_text(json.dumps({"images": images, "annotations": annotations,
                                                 "categories": categories}))
    (folder / "classes.txt").write_text("kind 20\nkind 8\nkind 3\n")
    return CocoDataset(folder / "set.json", folder, str(folder / "classes.txt"), False), results


@both_evaluators
@pytest.mark.parametrize("iou_type", ["segm", "bbox"])
def test_same_numbers_on_a_hard_problem(hard_problem, evaluator, iou_type):
    dataset, results = hard_problem
    metrics = evaluate(dataset, results, (iou_type,), evaluator)
    np.testing.assert_allclose([metrics[f"{iou_type}_{name}"] for name in NAMES],
                               plain_pycocotools(dataset.path, results, iou_type), atol=1e-12)
    per_class = metrics[f"{iou_type}_per_class"]
    assert list(per_class) == ["kind 20", "kind 8", "kind 3"] and per_class["kind 20"] == -1
    assert metrics[f"{iou_type}_AP"] == pytest.approx((per_class["kind 8"]
                                                       + per_class["kind 3"]) / 2)
    only_8 = [entry for entry in results if entry["category_id"] == 8]
    alone = evaluate(dataset, only_8, (iou_type,), evaluator)[f"{iou_type}_per_class"]
    assert alone == {"kind 20": -1, "kind 8": per_class["kind 8"], "kind 3": 0}


@pytest.mark.skipif(not HAS_FASTER, reason="faster-coco-eval is not installed")
def test_the_fast_evaluator_has_the_same_curves(hard_problem):
    slow, fast = (precisions(*hard_problem, ("segm", "bbox"), evaluator)
                  for evaluator in ("pycocotools", "faster"))
    for iou_type in ("segm", "bbox"):
        assert slow[iou_type].shape == (10, 101, 3, 4)
        np.testing.assert_allclose(fast[iou_type], slow[iou_type], atol=1e-12)
    assert evaluator_name("auto").startswith("faster-coco-eval ")


@both_evaluators
def test_the_truth_itself_scores_one(dataset, evaluator):
    metrics = evaluate(dataset, perfect_results(dataset), ("segm",), evaluator)
    assert metrics["segm_AP"] == pytest.approx(1) and metrics["segm_APs"] == pytest.approx(1)
    assert metrics["segm_per_class"] == pytest.approx(dict.fromkeys(dataset.class_names, 1))
    assert set(metrics) == {f"segm_{name}" for name in NAMES} | {"segm_per_class"}


@both_evaluators
def test_no_results_score_zero(dataset, evaluator, capsys):
    metrics = evaluate(dataset, [], ("segm", "bbox"), evaluator)
    assert metrics["segm_AP"] == 0 and metrics["bbox_AP50"] == 0
    assert capsys.readouterr().out == ""


@both_evaluators
def test_half_of_the_objects_of_one_class(make, evaluator):
    """One of two found: recall 0.5 at precision 1, so 51 of the 101 recall steps are reached."""
    dataset = make([truth(square(2, 2), 1), truth(square(20, 20), 2)])
    metrics = evaluate(dataset, [result(square(2, 2), 0.8)], ("segm",), evaluator)
    assert metrics["segm_AP"] == pytest.approx(51 / 101)
    assert metrics["segm_per_class"] == {"a": pytest.approx(51 / 101), "b": -1.0}
    assert metrics["segm_APl"] == -1.0


@both_evaluators
def test_false_positives_on_images_without_truth_count(make, evaluator):
    dataset = make([truth(square(2, 2))])
    good, bad = result(square(2, 2), 0.5), result(square(2, 2), 0.9, 1, 2)
    assert evaluate(dataset, [good], ("segm",), evaluator)["segm_AP"] == pytest.approx(1)
    assert evaluate(dataset, [good, bad], ("segm",), evaluator)["segm_AP"] == pytest.approx(0.5)


@both_evaluators
def test_detections_within_a_crowd_are_ignored(make, evaluator):
    crowd = truth(square(15, 15, 20), 2, iscrowd=1)
    results = [result(square(2, 2), 0.5), result(square(20, 20), 0.9)]
    assert evaluate(make([truth(square(2, 2)), crowd]), results, ("segm",),
                    evaluator)["segm_AP"] == pytest.approx(1)
    assert evaluate(make([truth(square(2, 2))]), results, ("segm",),
                    evaluator)["segm_AP"] == pytest.approx(0.5)


@both_evaluators
@pytest.mark.parametrize("numbers", [(0, 1), (1, 1)], ids=["id 0", "ids twice"])
def test_annotation_ids_do_not_matter(make, evaluator, numbers):
    objects = [truth(square(2, 2), numbers[0]), truth(square(20, 20), numbers[1])]
    dataset = make(objects)
    metrics = evaluate(dataset, perfect_results(dataset), ("segm", "bbox"), evaluator)
    assert metrics["segm_AP"] == pytest.approx(1) and metrics["bbox_AP"] == pytest.approx(1)


@both_evaluators
def test_unusable_annotations_are_no_objects(make, evaluator):
    dataset = make([truth(square(2, 2)), {**truth(square(2, 2), 2), "segmentation": []},
                    {**truth(square(2, 2), 3), "segmentation": [[1, 1, 5, 5]]}])
    metrics = evaluate(dataset, perfect_results(dataset), ("segm",), evaluator)
    assert metrics["segm_AP"] == pytest.approx(1)


def test_size_classes_go_by_the_mask_not_by_its_box(make):
    """A frame: its box has 38 x 38 pixels, which is medium, its mask 148, which is small."""
    frame = square(1, 1, 38) & ~square(2, 2, 36)
    dataset = make([truth(frame)])
    metrics = evaluate(dataset, perfect_results(dataset), ("segm", "bbox"), "pycocotools")
    assert metrics["segm_APs"] == pytest.approx(1) and metrics["segm_APm"] == -1


def test_results_are_not_changed(dataset):
    results = noisy_results(dataset)
    before = json.dumps(results)
    evaluate(dataset, results, ("segm", "bbox"))
    assert json.dumps(results) == before


def test_results_of_other_images_are_refused(make):
    dataset = make([truth(square(2, 2))])
    with pytest.raises(UserError, match="image id 3"):
        evaluate(dataset, [result(square(2, 2), 0.9, 1, 3)])


@both_evaluators
def test_image_ids_may_be_texts(make, evaluator):
    dataset = make([truth(square(2, 2)), truth(square(8, 8), 2, 2)])
    content = json.loads(Path(dataset.path).read_text())
    for image, image_id in zip(content["images"], ("b", 7), strict=True):
        image["id"] = image_id
    for annotation, image_id in zip(content["annotations"], ("b", 7), strict=True):
        annotation["image_id"] = image_id
    Path(dataset.path).write_text(json.dumps(content))
    dataset = CocoDataset(dataset.path, dataset.image_dir, training=False)
    metrics = evaluate(dataset, perfect_results(dataset), ("segm",), evaluator)
    assert metrics["segm_AP"] == pytest.approx(1)


def test_undefined_values_are_shown_as_a_dash(make, capsys):
    dataset = make([truth(square(2, 2))])
    print_metrics(evaluate(dataset, perfect_results(dataset), ("segm",), "pycocotools"))
    assert capsys.readouterr().out.split() == [
        "segm", "AP", "1.0000", "AP50", "1.0000", "AP75", "1.0000", "APs", "1.0000", "APm", "-",
        "APl", "-", "a", "1.0000", "b", "-"]


def test_unknown_evaluator_is_refused(dataset):
    with pytest.raises(UserError, match="'detectron'"):
        evaluate(dataset, [], evaluator="detectron")


def test_the_report_matches_as_pycocotools_does(hard_problem):
    dataset, results = hard_problem
    matching = mistakes.match_results(dataset, results)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(dataset.path))
        detections = truth.loadRes([{key: value for key, value in entry.items() if key != "bbox"}
                                    for entry in results])           # with ids from 1 in order
        run = COCOeval(truth, detections, "segm")
        run.params.maxDets, run.params.areaRng = [1000], run.params.areaRng[:1]
        run.evaluate()
    correct, ignored = set(), set()
    for found in filter(None, run.evalImgs):
        matched, unclear = found["dtMatches"][0] > 0, found["dtIgnore"][0]
        ids = np.array(found["dtIds"]) - 1
        correct.update(ids[matched & ~unclear].tolist())
        ignored.update(ids[unclear.astype(bool)].tolist())
    assert set(np.flatnonzero(matching.kinds == mistakes.CORRECT)) == correct
    assert set(np.flatnonzero(matching.kinds == mistakes.IGNORED)) == ignored
    assert len(correct) > 30 and len(ignored) > 10
    assert (matching.found_scores >= 0).sum() == len(correct)


def test_without_the_fast_evaluator(dataset, monkeypatch):
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)       # as if not installed
    assert evaluator_name("auto").startswith("pycocotools ")
    with pytest.raises(UserError, match="pip install faster-coco-eval"):
        evaluate(dataset, [], evaluator="faster")
