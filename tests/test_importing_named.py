"""Nothing goes missing in silence: parts of a track, unknown numbers, images not annotated."""
import base64
import json
import zipfile

import numpy as np
import pytest

from tests.importing_data import SIZE, Imported, blobs, photo, png, write
from tools.errors import UserError

TRIANGLE = [1, 1, 9, 1, 9, 9]


def track(number, left, group):
    return (f'<track id="{number}" label="cat" group_id="{group}"><polygon frame="0" outside="0" '
            f'points="{left},1;{left + 8},1;{left + 8},9"/></track>')


def test_grouped_tracks_of_cvat_are_one_object(tmp_path):
    photo(tmp_path / "in" / "frame_000000.jpg")
    photo(tmp_path / "in" / "frame_000001.jpg", seed=1)
    write(tmp_path / "in" / "annotations.xml", "<annotations>" + track(0, 1, 3) + track(1, 21, 3)
          + track(2, 41, 0) + track(3, 61, 0) + "</annotations>")
    found = Imported(tmp_path / "in", tmp_path / "out")
    rings = {left: [left, 1, left + 8, 1, left + 8, 9] for left in (1, 21, 41, 61)}
    assert sorted(segmentation for _, segmentation, _ in found.objects("000000.jpg")) == [
        [rings[1], rings[21]], [rings[41]], [rings[61]]]
    assert "images beside the others for which nothing was read (not taken)\n  " \
        "frame_000001.jpg" in found.problems and found.code == 0


def test_images_without_annotations_are_noted_but_those_named_already(tmp_path):
    for number, name in enumerate("abc"):
        photo(tmp_path / "in" / f"{name}.jpg", seed=number)
    (tmp_path / "in" / "c.jpg").write_bytes(b"damaged")
    for name in "ac":
        write(tmp_path / "in" / f"{name}.json", {
            "shapes": [{"label": "cat", "points": np.reshape(TRIANGLE, (3, 2)).tolist()}],
            "imagePath": f"{name}.jpg", "imageData": None})
    found = Imported(tmp_path / "in", tmp_path / "out")
    assert found.code == 1 and found.objects() == [("cat", [TRIANGLE], 0)]
    assert "left out: 1 images whose file cannot be read\n  c.jpg\n" in found.problems
    assert "note: 1 images beside the others for which nothing was read (not taken)\n  b.jpg\n" \
        in found.problems


def test_instance_ids_of_an_unknown_class(tmp_path):
    masks, root, values = blobs(6, 4), tmp_path / "in", np.zeros(SIZE, np.uint16)
    photo(root / "leftImg8bit" / "val" / "x" / "x_1_2_leftImg8bit.png")
    for mask, value in zip(masks, (26000, 65535, 23, 40001), strict=True):
        values[mask] = value
    png(root / "gtFine" / "val" / "x" / "x_1_2_gtFine_instanceIds.png", values)
    found = Imported(root, tmp_path / "out")
    assert [label for label, _ in found.masks("leftImg8bit.png", "val")] == ["car"]
    assert found.code == 1 and "1 regions of a class number that has no name" in found.problems
    assert "2 regions of classes without single objects" in found.problems


def test_names_from_macos(tmp_path):
    """Its file names take accents apart; its zip files do not say that names are UTF-8."""
    name, stored = "K\u00e4se.jpg", "x" * len("Ka\u0308se.jpg".encode())
    content = json.dumps({"shapes": [{"label": "cat", "points": [[1, 1], [9, 1], [9, 9]]}],
                          "imagePath": name, "imageData": None})
    picture = photo(tmp_path / "in" / "Ka\u0308se.jpg").read_bytes()
    write(tmp_path / "in" / "a.json", content)
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        archive.writestr(stored, picture)
        archive.writestr("a.json", content)
    data = (tmp_path / "in.zip").read_bytes()
    (tmp_path / "in.zip").write_bytes(data.replace(stored.encode(), "Ka\u0308se.jpg".encode()))
    for source in ("in", "in.zip"):
        found = Imported(tmp_path / source, tmp_path / f"from {source}")
        assert found.code == 0 and found.objects("se.jpg") == [("cat", [TRIANGLE], 0)]


def test_a_picture_of_somebody_is_not_replaced(tmp_path):
    """An image within a json is not written over another one of its name; the same one may be."""
    picture = photo(tmp_path / "a.jpg").read_bytes()
    write(tmp_path / "in" / "a.json", {
        "shapes": [{"label": "cat", "points": [[1, 1], [9, 1], [9, 9]]}], "imagePath": "a.jpg",
        "imageData": base64.b64encode(picture).decode()})
    own = photo(tmp_path / "out" / "images" / "a.jpg", seed=5)
    before = own.read_bytes()
    with pytest.raises(UserError, match="is there already and is another picture"):
        Imported(tmp_path / "in", tmp_path / "out")
    assert own.read_bytes() == before
    own.unlink()
    for _ in range(2):
        assert Imported(tmp_path / "in", tmp_path / "out").code == 0
    assert own.read_bytes() == picture


@pytest.mark.parametrize("name, text", [
    ("Annotations/a.xml", "<annotation><object><bndbox><xmin>1</xmin></bndbox></object>"),
    ("train-annotations-bbox.csv", "ImageID,LabelName,XMin,XMax,YMin,YMax\nff,/m/1,0,1,0,1\n")])
def test_boxes_alone(tmp_path, name, text):
    photo(tmp_path / "in" / "a.jpg")
    write(tmp_path / "in" / name, text)
    with pytest.raises(UserError, match=f"{name} has boxes only: SOLOv2 learns masks"):
        Imported(tmp_path / "in", tmp_path / "out")


class TestAnotherEnding:
    """Photographs that were converted after they were labelled."""

    def labelled(self, path, name):
        write(path, {"shapes": [{"label": "cat", "points": [[1, 1], [9, 1], [9, 9]]}],
                     "imagePath": name, "imageData": None, "imageHeight": 60, "imageWidth": 80})

    @pytest.mark.parametrize("name", ["a.png", "..\\a.PNG", None])
    @pytest.mark.parametrize("folder", ["images", "images/train"])
    def test_the_only_one_of_the_name(self, tmp_path, folder, name):
        photo(tmp_path / "in" / folder / "a.jpg")
        png(tmp_path / "in" / "masks" / "a.bmp", np.zeros(SIZE, np.uint8))
        self.labelled(tmp_path / "in" / "labels" / "a.json", name)
        found = Imported(tmp_path / "in", tmp_path / "out")
        assert found.code == 0 and found.objects() == [("cat", [TRIANGLE], 0)]
        assert "1 images that were found with another ending than stated" in found.problems

    def test_not_one_of_another_split_or_size(self, tmp_path):
        photo(tmp_path / "in" / "images" / "val" / "a.jpg")
        photo(tmp_path / "in" / "images" / "train" / "b.jpg", (30, 40))
        photo(tmp_path / "in" / "images" / "train" / "c.jpg", seed=1)
        for name in "abc":
            self.labelled(tmp_path / "in" / "labels" / f"{name}.json", f"images/train/{name}.png")
        found = Imported(tmp_path / "in", tmp_path / "out")
        assert [entry["file_name"] for entry in found.jsons["train"]["images"]] == ["c.jpg"]
        assert "1 images that were not found" in found.problems
        assert "1 images of another size" in found.problems
