"""Files that the tools' own packages wrote (importing_samples/README.md), read back exactly."""
from pathlib import Path

import numpy as np
import pytest

from tests.importing_data import Imported
from tests.importing_samples.make import HOLE, SIZE, SQUARE, TRIANGLE, bar, ring
from tools.data.masks import polygons_to_mask

SAMPLES = Path(__file__).parent / "importing_samples"
FLAT, FRAME = ([value for point in points for value in point] for points in (TRIANGLE, SQUARE))


def imported(name, output):
    return Imported(SAMPLES / name, output)


def by_class(found, name="a.jpg"):
    """{class: (segmentation, mask)}, each class once."""
    pairs = zip(found.objects(name), found.masks(name, size=SIZE), strict=True)
    return {label: (segmentation, mask) for (label, segmentation, _), (_, mask) in pairs}


def test_labelme(tmp_path):
    found = imported("labelme", tmp_path)
    objects = by_class(found, "/a.jpg") if "/" in found.jsons["train"]["images"][0]["file_name"] \
        else by_class(found)
    assert set(objects) == {"leaf", "frame", "bar", "dot"}
    assert objects["leaf"][0] == [FLAT] and objects["frame"][0] == [FRAME]
    assert np.array_equal(objects["bar"][1], bar())
    assert abs(objects["dot"][1].sum() - np.pi * 4) < 3
    assert found.objects("lost.jpg") == [("leaf", [FLAT], 0)]
    assert (tmp_path / "images" / "lost.jpg").read_bytes() == \
        (SAMPLES / "labelme" / "a.jpg").read_bytes()
    assert "1 points, lines" in found.problems


def test_xanylabeling(tmp_path):
    objects = by_class(imported("xanylabeling", tmp_path))
    assert objects["leaf"][0] == [FLAT] and objects["frame"][0] == [FRAME]
    assert objects["box"][0] == [FRAME]


def test_label_studio(tmp_path):
    objects = by_class(imported("label_studio", tmp_path))
    assert np.allclose(objects["leaf"][0], [FLAT]) and np.array_equal(objects["bar"][1], bar())


def test_supervisely(tmp_path):
    objects = by_class(imported("supervisely", tmp_path))
    assert objects["leaf"][0] == [[4, 3, 20, 3, 4, 30]]
    assert np.array_equal(objects["frame"][1], ring()) and np.array_equal(objects["bar"][1], bar())


def test_cityscapes(tmp_path):
    found = imported("cityscapes", tmp_path)
    masks = found.masks("leftImg8bit.png", size=SIZE)
    crowds = [crowd for _, _, crowd in found.objects("leftImg8bit.png")]
    assert [(label, crowd) for (label, _), crowd in zip(masks, crowds, strict=True)] == [
        ("car", 1), ("person", 0), ("car", 0)]
    person = polygons_to_mask([[value for point in HOLE for value in point]], SIZE)
    assert person[masks[1][1]].mean() > 0.75           # their fill takes the border in, COCO's not
    assert not (masks[1][1] & masks[2][1]).any() and (masks[2][1] | masks[1][1])[4:20, 24:40].all()


@pytest.mark.parametrize("name", ["voc_instance_segmentation", "coco_panoptic"])
def test_datumaro_masks(tmp_path, name):
    objects = by_class(imported(f"datumaro_{name}", tmp_path))
    assert np.array_equal(objects["frame"][1], ring()) and np.array_equal(objects["bar"][1], bar())


@pytest.mark.parametrize("name", ["coco_instances", "cvat"])
def test_datumaro_polygons(tmp_path, name):
    objects = by_class(imported(f"datumaro_{name}", tmp_path))
    assert objects["leaf"][0] == [FLAT]
    if name == "cvat":                                 # its COCO traces masks and loses pixels
        assert np.array_equal(objects["bar"][1], bar())
