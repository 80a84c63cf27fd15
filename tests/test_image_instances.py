"""Instances with their image: pictures, files and formats, and what the predictor returns."""
import json
import sys
import types

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from model.instances import Instances
from tests.builders import finds_many, save_network, tiny_config
from tools.data.masks import polygons_to_mask
from tools.errors import UserError
from tools.inference.image_instances import ImageInstances
from tools.inference.predictor import Predictor

NAMES = ("cat", "dog")
CLASSES = ("circle", "triangle", "rectangle", "star", "ring", "cross")


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)


def two(image, source="", **options):
    """dog 0.9: a ring of two parts around and beside a hole; cat 0.2: one square."""
    ring, square = np.zeros((2, 60, 80), bool)
    ring[10:40, 10:50], ring[20:30, 20:30], ring[45:50, 60:70] = True, False, True
    square[50:60, 0:12] = True
    found = Instances([0.9, 0.2], [1, 0], [(0, 0, ring), (0, 0, square)], (60, 80))
    return ImageInstances.of(found, NAMES, image, source, **options)


def test_plot_draws_from_a_threshold_on(image):
    found = two(image, draw_threshold=0.5)
    assert np.array_equal(found.plot(), found[:1].plot(0.0))
    assert np.array_equal(found.plot(channels="rgb"), found.plot()[..., ::-1])
    assert not np.array_equal(found.plot(0.0), found.plot())
    assert not np.array_equal(found.plot(color="class"), found.plot())
    assert np.array_equal(found[:0].plot(), image)


def test_print_says_what_plot_leaves_out(image):
    assert [line.split()[0] for line in str(two(image, draw_threshold=0.5)).splitlines()] == [
        "ImageInstances(2", "class", "0", "below", "1"]
    assert "below" not in str(two(image)) and repr(two(image)) == (
        "ImageInstances(2 in 60 x 80: 1 dog, 1 cat)")


def test_save_by_suffix_and_never_over_the_image(tmp_path, image, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("photo.png", image)
    found = two(None, "photo.png")
    assert np.array_equal(cv2.imread(str(found.save("new/drawn.png"))), found.plot())
    assert json.loads(found.save("a.json").read_text()) == found.to_dict()
    assert found.save("a.txt").read_text() == found.to_yolo()
    assert found.save().name == "segmented_photo.jpg"
    with pytest.raises(UserError, match="is the image itself"):
        found.save(tmp_path / "." / "photo.png")
    assert np.array_equal(cv2.imread("photo.png"), image)
    with pytest.raises(UserError, match="cannot write 'a.xyz'"):
        found.save("a.xyz")
    assert found._repr_png_().startswith(b"\x89PNG")


def test_crops(image):
    dog, cat = two(image).crop()
    assert np.array_equal(dog, image[10:50, 10:70]) and np.array_equal(cat, image[50:60, 0:12])
    cut, _ = two(image).crop(transparent=True)
    mask = two(image).mask(0)[10:50, 10:70]
    assert np.array_equal(cut[..., :3], dog) and np.array_equal(cut[..., 3] > 0, mask)


def test_polygons_and_formats_give_the_masks_back(image):
    found = two(image)
    for rings, mask in zip(found.polygons(), found.masks, strict=True):
        assert np.array_equal(polygons_to_mask(rings, (60, 80)), mask)
    assert len(found.polygons()[0]) == 2 and len(found.polygons(50.0)[0][0]) <= 4
    for row, mask in zip(found.to_coco(7), found.masks, strict=True):
        assert row["image_id"] == 7 and np.array_equal(coco_mask.decode(row["segmentation"]), mask)
    assert [row["category_id"] for row in found.to_coco()] == [2, 1]
    assert [row["category_id"] for row in found.to_coco(1, (5, 9))] == [9, 5]
    for line, mask in zip(found.to_yolo().splitlines(), found.masks, strict=True):
        index, *points = line.split()
        points = np.array(points, float).reshape(-1, 2) * (80, 60)
        assert np.array_equal(polygons_to_mask([points], (60, 80)), mask) and index in "01"
    labelme = found.to_labelme()
    assert [(shape["label"], shape["group_id"]) for shape in labelme["shapes"]] == [
        ("dog", 1), ("dog", 1), ("cat", None)]
    assert labelme["imagePath"] == "image.png" and labelme["imageData"]   # no file: put inside
    content = json.loads(json.dumps(found.to_dict()))
    assert (content["height"], content["width"]) == (60, 80)
    assert content["instances"][0]["class"] == "dog" and content["instances"][1]["area"] == 120
    assert found[:0].to_yolo() == "" and found[:0].to_dict()["instances"] == []


def test_tracks_are_written(image):
    found = two(image)
    found.track_ids = np.array([4, 9])
    assert [row["track_id"] for row in found.to_dict()["instances"]] == [4, 9]
    assert not np.array_equal(found.plot(color="track"), found.plot())


def test_supervision_gets_what_it_takes(image, monkeypatch):
    module = types.ModuleType("supervision")
    module.Detections = lambda **columns: columns
    monkeypatch.setitem(sys.modules, "supervision", module)
    columns = two(image).to_supervision()
    assert columns["xyxy"].shape == (2, 4) and columns["mask"].shape == (2, 60, 80)
    assert columns["class_id"].tolist() == [1, 0] and columns["tracker_id"] is None
    assert columns["data"]["class_name"].tolist() == ["dog", "cat"]


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    path = save_network(tmp_path_factory.mktemp("weights"), tiny_config(), CLASSES, finds_many)
    return Predictor(tiny_config(), path, engine="dygraph", device="cpu")


@pytest.fixture
def photos(tmp_path, image):
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.roll(image, number, 1))
    return tmp_path


def same(found, other):
    assert np.array_equal(found.scores, other.scores) and np.array_equal(found.boxes, other.boxes)
    return True


def test_one_image_in_any_form_gives_the_same(predictor, photos, image):
    expected = predictor(image)
    assert isinstance(expected, ImageInstances) and len(expected) and expected.source == ""
    assert expected.class_names == CLASSES and np.shares_memory(expected.image, image)
    rgb = np.ascontiguousarray(image[..., ::-1])
    for found in (predictor(str(photos / "0.png")), predictor(photos / "0.png"),
                  predictor(Image.fromarray(rgb)), predictor(rgb, channels="rgb"),
                  predictor((photos / "0.png").read_bytes())):
        assert same(found, expected) and np.array_equal(found.image, image)
    found = predictor(photos / "0.png")
    assert found.source == str(photos / "0.png") and found.pixels is None      # read again
    assert np.array_equal(found.plot(), expected.plot())


def test_many_images(predictor, photos, image):
    expected = [predictor(photos / f"{number}.png") for number in range(3)]
    for many in (photos, str(photos / "*.png"), [photos / f"{number}.png" for number in range(3)],
                 (np.roll(image, number, 1) for number in range(3))):
        found = predictor(many)
        assert isinstance(found, list) != isinstance(many, types.GeneratorType)
        assert [same(*pair) for pair in zip(found, expected, strict=True)] == [True] * 3
    assert predictor([]) == [] and list(predictor.stream([])) == []
    streamed = list(predictor.stream([photos], batch_size=2))
    assert [found.source for found in streamed] == [str(photos / f"{n}.png") for n in range(3)]


def test_a_stream_reads_no_further_than_it_must(predictor, image):
    asked = []

    def endless():
        while True:
            asked.append(1)
            yield image
    found = predictor(endless())
    assert len(next(found)) > 0 and len(asked) < 20
    found.close()


def test_a_broken_image_ends_a_stream_after_those_before_it(predictor, photos):
    (photos / "1.png").write_bytes(b"broken")
    found = predictor.stream(photos)
    assert next(found).source.endswith("0.png")
    with pytest.raises(UserError, match="1.png' is not an image"):
        next(found)
    with pytest.raises(ValueError, match="None .* came"):
        predictor([None])


def test_open_by_name_and_weights_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    predictor = Predictor.open("quickstart", engine="dygraph", device="cpu", draw_threshold=0.7)
    assert predictor.weights.endswith("weights/quickstart.pdparams")
    assert predictor.cfg.draw_threshold == 0.7 and "quickstart, 6 classes" in repr(predictor)
    with pytest.raises(UserError, match="no weights file 'weights/other.pdparams'"):
        Predictor("quickstart", "weights/other.pdparams")
