"""The generated set: reproducible, varied, and annotated with what is visible."""
import json

import cv2
import numpy as np
import pytest

from tools.data import shapes
from tools.data.coco import CocoDataset
from tools.data.masks import rle_to_mask
from tools.data.scenes import (
    CLASS_NAMES,
    MAX_OBJECTS,
    MIN_PIXELS,
    Scene,
    coverage,
    draw_scene,
)
from tools.data.shapes import MARK, write_split
from tools.errors import UserError

COUNT = 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("shapes")
    write_split(path, "val", COUNT, seed=2, size=128)
    return path


@pytest.fixture(scope="module")
def content(folder):
    return json.loads((folder / "val.json").read_text())


def test_it_is_a_clean_coco_set(folder):
    dataset = CocoDataset(folder / "val.json", folder / "val", training=False)
    assert len(dataset) == COUNT and dataset.class_names == CLASS_NAMES
    assert dataset.problems == {}
    for index in range(len(dataset)):
        height, width = dataset.image_info(index)["size"]
        assert 112 <= height <= 144 and 112 <= width <= 144
        assert dataset.load_image(index).shape == (height, width, 3)


def test_annotations_are_visible_parts(content):
    sizes = {image["id"]: (image["height"], image["width"]) for image in content["images"]}
    covered = {number: np.zeros(size, int) for number, size in sizes.items()}
    for annotation in content["annotations"]:
        mask = rle_to_mask(annotation["segmentation"], sizes[annotation["image_id"]])
        covered[annotation["image_id"]] += mask
        rows, columns = np.nonzero(mask)
        x, y, width, height = annotation["bbox"]
        assert [x, y] == [columns.min(), rows.min()]
        assert [x + width, y + height] == [columns.max() + 1, rows.max() + 1]
        assert annotation["area"] == mask.sum() >= MIN_PIXELS or annotation["iscrowd"]
    assert all(count.max() <= 1 for count in covered.values())           # no pixel has two owners


def test_it_has_the_variety_it_promises(content):
    objects = [entry for entry in content["annotations"] if not entry["iscrowd"]]
    counts = np.bincount([entry["image_id"] for entry in objects], minlength=COUNT + 1)[1:]
    assert {entry["category_id"] for entry in objects} == set(range(1, len(CLASS_NAMES) + 1))
    # 11 or 12 at most: OpenCV rounds colors differently by version and processor (quickstart.md).
    assert counts.min() <= 1 and 10 <= counts.max() <= MAX_OBJECTS
    scenes = [draw_scene(np.random.default_rng([7, index]), 256) for index in range(40)]
    sides = np.sqrt([thing["visible"] for scene in scenes for thing in scene.objects
                     if not thing["crowd"]])
    assert sides.max() / sides.min() > 3


def test_empty_images_and_crowds_occur():
    scenes = [draw_scene(np.random.default_rng([9, index]), 96) for index in range(150)]
    crowds = [thing for scene in scenes for thing in scene.objects if thing["crowd"]]
    assert 0 < sum(not scene.objects for scene in scenes) < 20
    assert 0 < len(crowds) < 30


def test_a_crowd_is_one_region_and_part_of_it_stays_visible():
    for seed in range(5):
        scene = Scene(np.random.default_rng(seed), (128, 128))
        scene.add_crowd("star")
        before = (scene.owner == 0).sum()
        for _ in range(30):
            scene.add("circle", 40)
        assert scene.objects[0]["crowd"] and (scene.owner == 0).sum() >= before / 2
        found = shapes.scene_annotations(scene, 1, 1)
        assert [entry["iscrowd"] for entry in found] == [1] + [0] * (len(scene.objects) - 1)


def test_every_object_keeps_enough_visible_pixels():
    scene = Scene(np.random.default_rng(0), (128, 128))
    for kind in CLASS_NAMES * 15:
        scene.add(kind, 30)
    visible = np.bincount(scene.owner[scene.owner >= 0], minlength=len(scene.objects))
    assert len(scene.objects) > 10
    for thing, count in zip(scene.objects, visible, strict=True):
        assert count == thing["visible"] >= thing["needed"] >= MIN_PIXELS


@pytest.mark.parametrize("kind", CLASS_NAMES)
def test_outlines_fill_their_patch(kind):
    rng = np.random.default_rng(0)
    for side in (20, 60, 130):
        alpha = coverage(rng, kind, side)
        assert alpha.dtype == np.float32 and alpha.shape == (side + 4, side + 4)
        assert alpha.min() == 0 and alpha.max() == 1
        assert 0.15 < (alpha > 0.5).sum() / side ** 2 < 0.8
        assert not alpha[[0, -1]].any() and not alpha[:, [0, -1]].any()


def test_only_rings_have_holes():
    rng = np.random.default_rng(3)
    for kind in CLASS_NAMES:
        mask = (coverage(rng, kind, 60) > 0.5).astype(np.uint8)
        _, hierarchy = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
        assert (hierarchy[0, :, 3] >= 0).any() == (kind == "ring")


def test_objects_stand_out_from_the_ground():
    rng = np.random.default_rng(1)
    for _ in range(20):
        scene = Scene(rng, (96, 96))
        ground = scene.image.copy()
        while not scene.objects:               # a place may be hard to find
            scene.add("circle", 50)
        shown = scene.owner == 0
        difference = scene.image[shown].mean(0) - ground[shown].mean(0)
        assert np.linalg.norm(difference) > 40


def test_the_seed_decides_and_the_split_counts(tmp_path):
    for folder, split, seed in (("a", "train", 1), ("b", "train", 1), ("c", "train", 2),
                                ("d", "val", 1)):
        write_split(tmp_path / folder, split, 3, seed, 64)
    first, same, seed, split = (
        b"".join(path.read_bytes() for path in sorted((tmp_path / folder).rglob("*.jpg")))
        for folder in "abcd")
    assert first == same and len({first, seed, split}) == 3
    texts = [(tmp_path / folder / "train.json").read_text() for folder in "ab"]
    assert texts[0] == texts[1]


def test_a_longer_set_begins_like_a_shorter_one(tmp_path):
    write_split(tmp_path / "short", "train", 2, 1, 64)
    write_split(tmp_path / "long", "train", 4, 1, 64)
    for name in ("000001.jpg", "000002.jpg"):
        assert (tmp_path / "short" / "train" / name).read_bytes() == (
            tmp_path / "long" / "train" / name).read_bytes()


def test_an_interrupted_drawing_leaves_no_json(tmp_path, monkeypatch):
    write_split(tmp_path, "val", 1, 1, 64)
    monkeypatch.setattr(shapes, "draw_scene", lambda rng, side: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_split(tmp_path, "val", 1, 1, 64)
    assert not (tmp_path / "val.json").exists()


def test_the_command_line_writes_both_splits(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["shapes", "--output", str(tmp_path), "--train", "2",
                                     "--val", "1", "--size", "64"])
    shapes.main()
    assert len(json.loads((tmp_path / "train.json").read_text())["images"]) == 2
    assert len(json.loads((tmp_path / "val.json").read_text())["images"]) == 1


def test_only_drawn_sets_are_drawn_again(tmp_path):
    write_split(tmp_path, "val", 1, seed=1, size=64)
    write_split(tmp_path, "val", 2, seed=1, size=64)
    (tmp_path / "val" / MARK).unlink()                  # of a version without it
    write_split(tmp_path, "val", 1, seed=1, size=64)
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "000001.jpg").write_bytes(b"mine")
    with pytest.raises(UserError, match="not drawn by this command"):
        write_split(tmp_path, "train", 1, seed=1, size=64)
    (tmp_path / "other.json").write_text('{"images": [], "categories": [], "annotations": []}')
    with pytest.raises(UserError, match="other.json"):
        write_split(tmp_path, "other", 1, seed=1, size=64)
    assert (tmp_path / "train" / "000001.jpg").read_bytes() == b"mine"
