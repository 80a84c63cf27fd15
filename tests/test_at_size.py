"""Large data sets: a sixteenth of COCO against pycocotools, and what holds at any size."""
import json
import multiprocessing
import os

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from tests.builders import coco_dataset, listed, square, truth, write_grey_images
from tools.benchmark.data import measure, table
from tools.benchmark.synthetic_coco import synthetic_results, write_coco
from tools.data import packed
from tools.data.coco import CocoDataset
from tools.evaluation import coco_eval, mistakes

IMAGES = 118_287 // 16


@pytest.mark.slow
def test_a_sixteenth_of_coco(tmp_path):
    """Loosely: the machine may be busy.  The ratios of the whole are in docs/data.md."""
    found = measure(tmp_path, IMAGES, evaluated=0, tested=500)
    base = found["pycocotools"]
    assert found["open"]["cpu"] < 2.5 * base["cpu"]
    assert found["open again"]["cpu"] < 0.3 * base["cpu"]
    assert found["open"]["peak"] < 1.0 * base["peak"]
    assert found["readers"]["private"] < 15
    assert found["test_dev"]["peak"] < 30              # 65 are the results of 500 images
    assert len(table(found)) == 9


@pytest.fixture
def large(tmp_path, monkeypatch):
    """(path of a json of 60 images that counts as large, folder of its images)."""
    monkeypatch.setattr(packed, "SMALLEST", 1)
    write_coco(tmp_path / "set.json", 60, tmp_path / "images")
    return tmp_path / "set.json", tmp_path / "images"


def contents(dataset):
    return [(dataset.image_info(index), dataset.annotations(index))
            for index in range(len(dataset))]


def test_the_packed_file_holds_what_the_json_says(large, monkeypatch):
    path, images = large
    first = contents(CocoDataset(path, images))
    assert os.path.exists(f"{path}.packed")
    monkeypatch.setattr(packed.coco_json, "read_coco_columns", None)       # not read again
    assert contents(CocoDataset(path, images)) == first
    content = json.loads(path.read_text())
    assert sum(len(annotations) for _, annotations in first) == sum(
        not entry["iscrowd"] for entry in content["annotations"])
    by_id = {entry["id"]: entry for entry in content["annotations"]}
    for info, annotations in first[:50]:
        for number, class_index, segmentation in annotations:
            entry = by_id[number]
            assert (entry["image_id"], entry["category_id"]) == (info["image_id"], class_index + 1)
            assert segmentation == entry["segmentation"]


@pytest.mark.parametrize("damage", ["other json", "cut", "flipped key", "empty", "other code"])
def test_a_packed_file_of_something_else_is_written_anew(large, monkeypatch, damage):
    path, images = large
    first = contents(CocoDataset(path, images))
    file = path.with_name("set.json.packed")
    data = file.read_bytes()
    if damage == "other json":
        content = json.loads(path.read_text())
        content["annotations"] = content["annotations"][:-50]
        path.write_text(json.dumps(content))
    elif damage == "other code":
        monkeypatch.setattr(packed, "CODE", packed.CODE[1:])
    else:
        file.write_bytes({"cut": data[:len(data) // 2], "empty": packed.MAGIC,
                          "flipped key": data.replace(b'"key": "', b'"key": "x')}[damage])
    again = contents(CocoDataset(path, images))
    assert (again == first) == (damage != "other json")
    assert packed.read_packed(f"{path}.packed", packed.key_of(path)) is not None


def test_a_file_of_the_user_and_a_folder_that_cannot_be_written(large, monkeypatch):
    path, images = large
    mine = path.with_name("set.json.packed")
    mine.write_text("mine")
    first = contents(CocoDataset(path, images))
    assert mine.read_text() == "mine"
    mine.unlink()
    mine.mkdir()                                       # nothing can be written there
    assert contents(CocoDataset(path, images)) == first


def count_objects(path, images, results):
    packed.SMALLEST = 1
    dataset = CocoDataset(path, images)
    results.put((dataset.num_objects, dataset.annotations(7)))


def test_several_processes_open_one_json_at_once(large):
    path, images = large
    results = multiprocessing.Queue()
    processes = [multiprocessing.Process(target=count_objects, args=(path, images, results))
                 for _ in range(4)]
    for process in processes:
        process.start()
    found = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert all(value == found[0] for value in found) and found[0][0] > 300


def test_groups_of_classes_have_the_curves_of_all(large, monkeypatch):
    path, images = large
    dataset = CocoDataset(path, images, training=False)
    results = synthetic_results(dataset, 20)
    whole = coco_eval.precisions(dataset, results, ("segm", "bbox"), "pycocotools")
    monkeypatch.setattr(coco_eval, "AT_ONCE", 150)
    truth_columns = dataset.ground_truth()
    groups = coco_eval.class_groups(truth_columns,
                                    coco_eval.results_columns(results, truth_columns))
    assert sum(groups, []) == list(range(80)) and len(groups) > 10
    parts = coco_eval.precisions(dataset, results, ("segm", "bbox"), "pycocotools")
    for kind in ("segm", "bbox"):
        np.testing.assert_array_equal(parts[kind], whole[kind])


def test_matching_looks_at_each_image_once(large, monkeypatch):
    path, images = large
    dataset = CocoDataset(path, images, training=False)
    results, calls = synthetic_results(dataset, 5), []
    plain = coco_mask.iou
    monkeypatch.setattr(mistakes.coco_mask, "iou",
                        lambda found, there, crowd: calls.append(len(found)) or plain(
                            found, there, crowd))
    matching = mistakes.match_results(dataset, results)
    with_objects = np.unique(dataset.ground_truth().images)
    assert len(calls) == len(with_objects) and set(calls) == {5}
    assert len(matching.kinds) == 300


def test_the_order_of_the_sections_does_not_matter(tmp_path):
    write_grey_images(tmp_path, ["a.png"], (40, 40))
    dataset = coco_dataset(tmp_path, [listed(1, "a.png", 40, 40)], [truth(square(1, 1))],
                           [{"id": 1, "name": "a"}])
    content = json.loads((tmp_path / "set.json").read_text())
    for order in (["annotations", "images", "categories"], ["categories", "annotations", "images"]):
        (tmp_path / "set.json").write_text(json.dumps({name: content[name] for name in order}))
        assert contents(CocoDataset(tmp_path / "set.json", tmp_path)) == contents(dataset)
