"""The kinds of trouble in annotations, each judged right or named; pycocotools fills the masks."""
import codecs
import gzip
import json
import os

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from tests.builders import (
    coco_dataset,
    listed,
    result,
    square,
    tiny_config,
    truth,
    write_grey_images,
)
from tools.data import coco
from tools.data import truth as truth_module
from tools.data.classes import ABSENT_CLASS, UNUSED_CLASS
from tools.data.coco import CocoDataset
from tools.data.coco_json import SAME_NAME
from tools.data.image_files import OTHER_NAME
from tools.data.masks import mask_to_box, mask_to_polygons
from tools.data.reasons import BOX_ONLY, DEGENERATE, WRONG_RLE
from tools.data.selection import LOST_PART, NORMALISED
from tools.data.splits import open_dataset
from tools.errors import UserError
from tools.evaluation.coco_eval import evaluate

SIZE = (64, 96)
BOW_TIE = [10, 10, 50, 10, 10, 50, 50, 50]
BOX = [60, 40, 64, 40, 64, 44, 60, 44]
CLASSES = ({"id": 1, "name": "box"}, {"id": 2, "name": "tube"})


@pytest.fixture
def make(tmp_path):
    """make(*segmentations) -> a data set of one image with an object for each."""
    write_grey_images(tmp_path, ["a.png"], SIZE)

    def build(*segmentations, entries=(), images=None, categories=CLASSES, **options):
        annotations = [{"id": number, "image_id": 1, "category_id": 1, "iscrowd": 0,
                        "segmentation": segmentation}
                       for number, segmentation in enumerate(segmentations, 1)]
        return coco_dataset(tmp_path, images or [listed(1, "a.png", *SIZE)],
                            [*annotations, *entries], categories, **options)
    return build


def filled(polygons):
    """How pycocotools fills flat polygons."""
    return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(polygons, *SIZE))).astype(bool)


@pytest.mark.parametrize("polygons", [
    [BOW_TIE], [BOX, BOW_TIE],
    [[10, 10, 50, 10, 50, 50, 10, 50, 10, 10]],                          # closed
    [[10, 10, 50, 10, 50, 50, 10, 50, 10, 10, 10, 10]],                  # closed twice
    [[30, 5, 40, 55, 8, 22, 52, 22, 20, 55]],                            # a pentagram: even-odd
    [[5, 5, 60, 5, 60, 60, 5, 60, 5, 5, 20, 20, 20, 40, 40, 40, 40, 20, 20, 20]],    # a hole
    [[10, 10, 30, 10, 30, 30, 10, 30, 50, 50, 60, 50, 60, 60, 50, 60]]])
def test_polygons_are_filled_as_pycocotools_does(make, polygons):
    dataset = make(polygons)
    np.testing.assert_array_equal(dataset.masks(0)[0], filled(polygons))
    assert dataset.problems == {}


@pytest.mark.parametrize("seed", range(4))
def test_random_crossing_polygons(make, seed):
    rng = np.random.default_rng(seed)
    polygons = [rng.uniform(0, 60, 2 * rng.integers(3, 9)).round(2).tolist() for _ in range(40)]
    dataset = make(*([polygon] for polygon in polygons))
    expected = [filled([polygon]) for polygon in polygons]
    np.testing.assert_array_equal(dataset.masks(0), [mask for mask in expected if mask.any()])


@pytest.mark.parametrize("lost", [
    [3, 3, 40, 3, 3, 3], [3, 3, 9, 9, 12, 12], [2.1, 2.1, 2.2, 2.1, 2.2, 2.2],
    [10, 10, 50, 10, 50, 50, 10, 50] * 2])               # round it twice: nothing, by even-odd
def test_a_part_that_vanishes_is_named(make, lost):
    assert not filled([lost]).any()
    dataset = make([BOX, lost], [lost])
    assert dataset.problems == {LOST_PART: ["annotation 1 of a.png"],
                                DEGENERATE: ["annotation 2 of a.png"]}
    np.testing.assert_array_equal(dataset.masks(0), [filled([BOX])])


def nested(polygon, depth, pairs):
    points = np.reshape(polygon, (-1, 2)).tolist() if pairs else polygon
    for _ in range(depth):
        points = [points]
    return points


@pytest.mark.parametrize("depth", [0, 1, 2, 5, 300])
@pytest.mark.parametrize("pairs", [False, True])
def test_any_depth_of_lists(make, depth, pairs):
    two = [nested(BOX, 0, pairs), nested(BOW_TIE, 0, pairs)]
    named = [{"x": x, "y": str(y)} for x, y in np.reshape(BOX, (-1, 2)).tolist()]
    dataset = make(nested(BOX, depth, pairs), [nested(BOX, depth, pairs)],
                   nested(two, depth, False), nested(named, depth, False))
    expected = [filled([BOX]), filled([BOX]), filled([BOX, BOW_TIE]), filled([BOX])]
    np.testing.assert_array_equal(dataset.masks(0), expected)
    assert dataset.problems == {}


def test_a_list_around_run_length_codes(make):
    codes = [coco_mask.frPyObjects([part], *SIZE)[0] for part in (BOX, [5, 5, 20, 5, 20, 20])]
    for code in codes:
        code["counts"] = code["counts"].decode()
    np.testing.assert_array_equal(make([codes[0]], codes).masks(0),
                                  [filled([BOX]), filled([BOX, [5, 5, 20, 5, 20, 20]])])


def test_coordinates_in_shares_are_named_with_the_factor(make, tmp_path):
    share = (np.reshape(BOX, (-1, 2)) / (96, 64)).ravel().tolist()
    dataset = make([BOX], [share])
    assert dataset.problems == {NORMALISED: [
        "annotation 2 of a.png (x times 96 and y times 64 would fit)"]}
    with pytest.raises(UserError, match="no object to learn from.*0..1 instead.*times 96"):
        make([share])
    assert NORMALISED in make([share], training=False).problems
    assert make([[0, 0, 1, 0, 1, 1, 0, 1]]).problems == {}          # the first pixel


def test_boxes_without_masks_are_counted(make):
    boxes = [{"id": number, "image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9],
              "segmentation": [[], [[]], None, {}, [[], []], "", [[[]]]][number]}
             for number in range(7)]
    with pytest.raises(UserError, match=f"no object to learn from.*7 {BOX_ONLY[:20]}"):
        make(entries=boxes)


def test_crowds_that_cannot_be_used_are_named(make):
    """The evaluation would count results in them as false without a word."""
    crowds = [{"id": number, "image_id": 1, "category_id": 1, "iscrowd": 1, "segmentation": broken}
              for number, broken in enumerate(({"size": [9, 9], "counts": [40, 41]}, [BOX]), 2)]
    dataset = make([BOX], entries=crowds, training=False)
    assert dataset.problems == {WRONG_RLE: ["annotation 2 of a.png"]}
    assert dataset.ground_truth().crowd.tolist() == [False, True]


def entry(mask, area, box, number=1):
    return {**truth(mask, number), "segmentation": [ring.ravel().tolist() for ring
                                                    in mask_to_polygons(mask)],
            "area": area, "bbox": box}


OBJECT = square(10, 12, 20, SIZE)


@pytest.mark.parametrize("area, box", [
    (-400, [10, 12, 20, 20]), (0, [10, 12, 20, 20]), (1.0, [10, 12, 20, 20]),
    (40000, [10, 12, 20, 20]), (400, [10, 12, 30, 32]), (400, [0.1, 0.18, 0.2, 0.3]),
    (400, [20, 24, 40, 40]), (400, [12, 10, 20, 20]), (400, [10, 12, -20, -20])])
def test_measures_that_contradict_the_mask(make, area, box):
    dataset = make(entries=[entry(OBJECT, area, box)], training=False)
    metrics = evaluate(dataset, [result(OBJECT, 0.9)], ("segm", "bbox"))
    assert metrics["segm_AP"] == metrics["bbox_AP"] == metrics["segm_APs"] == pytest.approx(1)
    assert dataset.problems == {truth_module.OWN_MEASURES: ["annotation 1 of a.png"]}


@pytest.mark.parametrize("area, box", [
    (400, [10, 12, 20, 20]), (395.5, [10.2, 12.3, 19.6, 19.5]), (380, [10, 12, 19, 19])])
def test_measures_within_the_outline_are_kept_as_they_are(make, area, box):
    dataset = make(entries=[entry(OBJECT, area, box)], training=False)
    columns = dataset.ground_truth()
    assert columns.areas.tolist() == [area] and columns.boxes.tolist() == [box]
    assert dataset.problems == {}


def test_categories_of_one_name_are_two_lines(make):
    categories = [{"id": 1, "name": "fish"}, {"id": "b", "name": "fish "}]
    dataset = make([BOX], categories=categories, training=False)
    assert dataset.class_names == ("fish (id 1)", "fish (id b)")
    assert list(dataset.problems) == [SAME_NAME]
    metrics = evaluate(dataset, [result(filled([BOX]), 0.5)])
    assert metrics["segm_per_class"] == {"fish (id 1)": pytest.approx(1), "fish (id b)": -1}


def test_a_category_that_nothing_uses_can_be_left_out(make):
    categories = [{"id": 0, "name": "fruit"}, *CLASSES]
    assert make([BOX], categories=categories).class_names == ("fruit", "box", "tube")
    dataset = make([BOX], categories=categories, drop_unused=True)
    assert dataset.class_names == ("box",) and dataset.objects(0)[2].tolist() == [0]
    assert dataset.problems == {UNUSED_CLASS: ["fruit", "tube"]}


def test_a_validation_set_with_fewer_classes_or_in_another_order(make):
    names = ("ring", "tube", "box")
    dataset = make([BOX], training=False, class_names=names)
    assert dataset.class_names == names and dataset.category_ids == (3, 2, 1)
    assert dataset.problems == {ABSENT_CLASS: ["ring"]}
    metrics = evaluate(dataset, [result(filled([BOX]), 0.5), result(filled([BOX]), 0.9, 3)])
    assert metrics["segm_per_class"] == {"ring": -1, "tube": -1, "box": pytest.approx(1)}
    with pytest.raises(UserError, match="not those expected"):
        make([BOX], training=False, class_names=("tube",))
    with pytest.raises(UserError, match="not those expected"):
        make([BOX], training=False, class_names=("circle", "star"))


@pytest.mark.parametrize("data", [
    codecs.BOM_UTF8 + b"tube\r\nbox\r\n", b" tube \n\n\tbox", "tube\nbox".encode("utf-16")])
def test_classes_files_of_every_editor(make, tmp_path, data):
    (tmp_path / "classes.txt").write_bytes(data)
    dataset = make([BOX], classes_file=tmp_path / "classes.txt",
                   categories=[{"id": 1, "name": "box "}, {"id": 2, "name": " tube"}])
    assert dataset.class_names == ("tube", "box") and dataset.objects(0)[2].tolist() == [1]


@pytest.mark.parametrize("encode", [
    lambda text: codecs.BOM_UTF8 + text.encode(), lambda text: text.encode("utf-16"),
    lambda text: text.encode("utf-32-be"), lambda text: gzip.compress(text.encode()),
    lambda text: gzip.compress(codecs.BOM_UTF8 + text.encode())])
def test_encodings_of_the_json(make, tmp_path, encode):
    make([BOX], categories=[{"id": 1, "name": "\u7bb1"}])
    content = json.loads((tmp_path / "set.json").read_text())
    (tmp_path / "other.json").write_bytes(encode(json.dumps(content, ensure_ascii=False)))
    assert CocoDataset(tmp_path / "other.json", tmp_path).class_names == ("\u7bb1",)


def test_half_a_surrogate_in_a_name(make):
    assert make([BOX], categories=[{"id": 1, "name": "a\ud83d"}]).class_names == ("a\ufffd",)


@pytest.mark.parametrize("name, written", [
    ("a b.png", "a%20b.png"), ("\u56fe.png", "%E5%9B%BE.png"), ("a.png", "train\\a.png"),
    ("a.png", "/home/me/data/a.png"), ("sub/a.png", "images/sub/a.png"), ("A.PNG", "a.png"),
    ("e\u0301.png", "\u00e9.png"), ("\u00e9.png", "e\u0301.png"), ("a.png", "a.png?raw=true"),
    ("a.png", "a.png "), ("a b.png", "\ta%20b.png\n"), ("a.png", "https://h/a.png#1"),
    ("sub/a.png", "/data/local-files/?d=me/sub/a.png")])
def test_names_that_the_json_writes_in_another_way(make, tmp_path, name, written):
    folder = tmp_path / "pictures"
    write_grey_images((folder / name).parent, ["x.png"], SIZE)
    (folder / name).parent.joinpath("x.png").rename(folder / name)
    dataset = make([BOX], images=[listed(1, written, *SIZE)], image_dir=folder)
    assert dataset.load_image(0).shape[:2] == SIZE
    assert dataset.problems == {OTHER_NAME: [written]}
    assert dataset.image_info(0)["file_name"] == written


def test_one_file_does_not_stand_for_two_names(make, tmp_path):
    """Annotations of one camera must not be learned on the pictures of another."""
    write_grey_images(tmp_path, ["b.png", "c d.png"], SIZE)
    names = ["left/a.png", "right/a.png", "b.png", "old/b.png", "c%20d.png", "c%20d.png"]
    entries = [truth(square(1, 1, 9, SIZE), number, number) for number in range(1, 7)]
    dataset = make(entries=entries, max_broken_images=0.5,
                   images=[listed(number, name, *SIZE) for number, name in enumerate(names, 1)])
    assert [dataset.image_info(index)["image_id"] for index in range(len(dataset))] == [3, 5, 6]
    assert dataset.problems[coco.MISSING] == ["left/a.png", "right/a.png", "old/b.png"]


def test_pipes_and_lost_links_are_missing_images(make, tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "a.png")
    (tmp_path / "lost.png").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    names = ("a.png", "pipe.png", "link.png", "lost.png", "loop.png", "x" * 300 + ".png")
    dataset = make(entries=[truth(square(1, 1, 9, SIZE), number, number) for number in range(1, 7)],
                   images=[listed(number, name, *SIZE) for number, name in enumerate(names, 1)],
                   max_broken_images=0.7)
    assert dataset.problems == {coco.MISSING: ["pipe.png", *names[3:]]}


def test_a_training_set_without_an_object_ends_the_run(make, tmp_path):
    make(training=False)
    cfg = tiny_config(train_json=f"{tmp_path}/set.json", train_images=str(tmp_path),
                      empty_images=1.0)
    with pytest.raises(UserError, match="no object to learn from: 1 images"):
        open_dataset(cfg, "train")


def test_boxes_of_the_json_and_of_masks(make):
    mask = filled([BOX])
    x1, y1, x2, y2 = mask_to_box(mask).tolist()
    dataset = make([BOX], training=False)
    assert dataset.ground_truth().boxes.tolist() == [[x1, y1, x2 - x1, y2 - y1]]
    assert dataset.ground_truth().areas.tolist() == [mask.sum()]
