"""Further layouts of the annotation tools' exports: several images, other places, odd numbers."""
import base64
import io

import numpy as np
import pytest
from PIL import Image

from tests.importing_data import SIZE, Imported, blobs, photo, png, write
from tools.data.masks import polygons_to_mask
from tools.errors import UserError

SHARES = [[12.5, 10], [50, 10], [25, 50]]              # percent of 80 x 60 pixels
RING = [10, 6, 40, 6, 20, 30]                          # the same in pixels


class TestLabelStudio:
    SIZE = {"original_width": 80, "original_height": 60}

    def region(self, label="cat", to_name="image", kind="polygon", **more):
        value = more.pop("value", {"points": SHARES})
        return {"id": label, "type": f"{kind}labels", "to_name": to_name, **self.SIZE, **more,
                "value": {**value, f"{kind}labels": [label]}}

    def imported(self, tmp_path, data, *regions):
        for number, name in enumerate(("a.jpg", "b.jpg")):
            photo(tmp_path / "in" / name, seed=number)
        write(tmp_path / "in" / "project.json", [{"id": 1, "data": data, "annotations": [
            {"result": list(regions)}]}])
        return Imported(tmp_path / "in", tmp_path / "out")

    def test_regions_belong_to_the_image_that_they_name(self, tmp_path):
        answer = {"id": "x", "type": "choices", "to_name": "text", "value": {"choices": ["yes"]}}
        found = self.imported(
            tmp_path, {"left": "/data/upload/a.jpg", "right": "/data/upload/b.jpg", "text": "hi"},
            self.region("cat", "left"), self.region("dog", "right"), self.region("cow", "up"),
            answer)
        assert found.objects("a.jpg") == [("cat", [RING], 0)]
        assert found.objects("b.jpg") == [("dog", [RING], 0)]
        assert found.code == 1 and "1 regions of tasks with several images" in found.problems

    def test_the_only_image_with_regions_is_not_the_first(self, tmp_path):
        found = self.imported(tmp_path, {"left": "a.jpg", "right": "b.jpg"},
                              self.region("dog", "right"))
        assert found.objects("b.jpg") == [("dog", [RING], 0)] and found.code == 0

    def test_pages(self, tmp_path):
        found = self.imported(tmp_path, {"pages": ["a.jpg", "b.jpg"], "tags": ["x"]},
                              self.region("cat", item_index=0), self.region("dog", item_index=1),
                              self.region("cow", item_index=[2]))
        assert found.objects("a.jpg") == [("cat", [RING], 0)]
        assert found.objects("b.jpg") == [("dog", [RING], 0)]
        assert "1 regions of tasks with several images" in found.problems

    def test_address_with_a_query_and_numbers_as_texts(self, tmp_path):
        points = [[str(value) for value in point] for point in SHARES]
        box = {"x": "50", "y": "50", "width": "25", "height": "10", "rotation": "0"}
        found = self.imported(
            tmp_path, {"image": "https://x.example/sub/a.jpg?Signature=b/c&Expires=1"},
            self.region("cat", value={"points": points}), self.region("dog", value=box,
                                                                      kind="rectangle"))
        assert found.objects() == [("cat", [RING], 0),
                                   ("dog", [[40, 30, 60, 30, 60, 36, 40, 36]], 0)]

    def test_bitmask(self, tmp_path):
        mask, file = blobs(3)[0], io.BytesIO()
        Image.fromarray(mask).save(file, "png")
        address = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
        found = self.imported(tmp_path, {"image": "a.jpg"}, self.region(
            kind="bitmask", value={"imageDataURL": address}))
        [(label, pixels)] = found.masks()
        assert label == "cat" and np.array_equal(pixels, mask)

    @pytest.mark.parametrize("content", [
        [{"id": 1, "image": "b.jpg"}, {"id": 2, "image": "a.jpg", "outline": [
            {"points": SHARES, "labels": ["cat"], **SIZE}]}],
        {"id": 7, "task": {"id": 1, "data": {"image": "a.jpg"}}, "result": [
            {"id": 1, "type": "polygonlabels", **SIZE,
             "value": {"points": SHARES, "polygonlabels": ["cat"]}}]}],
        ids=["JSON-MIN that starts with an empty task", "a file per annotation"])
    def test_other_files(self, tmp_path, content):
        for number, name in enumerate(("a.jpg", "b.jpg")):
            photo(tmp_path / "in" / name, seed=number)
        write(tmp_path / "in" / "1.json", content)
        found = Imported(tmp_path / "in", tmp_path / "out")
        assert found.code == 0 and found.objects() == [("cat", [RING], 0)]


class TestYolo:
    LINE = "0 0.125 0.1 0.5 0.1 0.25 0.5\n"            # RING
    YAML = "train: images/train\nval: images/val\nnames: [cat]\n"

    def test_poses_have_no_outline(self, tmp_path):
        photo(tmp_path / "in" / "images" / "train" / "a.jpg")
        write(tmp_path / "in" / "labels" / "train" / "a.txt", "0 .5 .5 .2 .2 .4 .4 1 .6 .6 0\n")
        write(tmp_path / "in" / "data.yaml", f"{self.YAML}kpt_shape: [2, 3]\n")
        with pytest.raises(UserError, match="1 lines of key points without an outline"):
            Imported(tmp_path / "in", tmp_path / "out")

    def test_label_without_its_image_is_named(self, tmp_path):
        photo(tmp_path / "in" / "images" / "train" / "a.jpg")
        for name in ("a", "gone"):
            write(tmp_path / "in" / "labels" / "train" / f"{name}.txt", self.LINE)
        write(tmp_path / "in" / "data.yaml", self.YAML)
        found = Imported(tmp_path / "in", tmp_path / "out")
        assert found.code == 1 and found.objects() == [("cat", [RING], 0)]
        assert "1 images that were not found\n  labels/train/gone.txt" in found.problems

    @pytest.mark.parametrize("image, label", [
        ("images/train/a.jpg", "labels/a.txt"), ("photos/a.jpg", "outlines/train/a.txt"),
        ("images/train/a.jpg", "x/y/A.TXT")])
    def test_label_in_another_folder(self, tmp_path, image, label):
        photo(tmp_path / "in" / image)
        write(tmp_path / "in" / label, "\n" + self.LINE)
        write(tmp_path / "in" / "data.yaml", self.YAML)
        found = Imported(tmp_path / "in", tmp_path / "out")
        assert found.code == 0 and found.objects() == [("cat", [RING], 0)]

    def test_label_of_another_split_is_not_taken(self, tmp_path):
        for split, image in (("train", "a"), ("val", "b")):
            photo(tmp_path / "in" / "images" / split / f"{image}.jpg", seed=ord(image))
            write(tmp_path / "in" / "labels" / "val" / f"{image}.txt", self.LINE)
        write(tmp_path / "in" / "data.yaml", self.YAML)
        found = Imported(tmp_path / "in", tmp_path / "out")
        assert found.objects() == [] and len(found.objects("b.jpg", "val")) == 1
        assert "1 labelled images that data.yaml does not list" in found.problems

    def test_data_yaml_as_the_source(self, tmp_path):
        photo(tmp_path / "in" / "images" / "train" / "a.jpg")
        write(tmp_path / "in" / "labels" / "train" / "a.txt", self.LINE)
        path = write(tmp_path / "in" / "data.yaml", self.YAML)
        write(tmp_path / "in" / "via.json", {"x": {"filename": "a.jpg", "regions": []}})
        assert Imported(path, tmp_path / "out").objects() == [("cat", [RING], 0)]


class TestVia:
    def test_numbers_as_texts_several_ticks_and_one_line_per_image(self, tmp_path):
        photo(tmp_path / "in" / "a.jpg")
        box = {"name": "rect", "x": "10", "y": "20", "width": "30", "height": "15"}
        triangle = {"name": "polygon", "all_points_x": RING[::2], "all_points_y": RING[1::2]}
        regions = [{"shape_attributes": shape, "region_attributes": {"type": value}}
                   for shape, value in ((triangle, {"cat": True, "dog": True}), (box, "dog"))]
        write(tmp_path / "in" / "via.json", {
            name: {"filename": name, "size": 1, "regions": regions} for name in ("a.jpg", "b.jpg")})
        found = Imported(tmp_path / "in", tmp_path / "out")
        assert found.objects() == [("cat", [RING], 0), ("dog", [[10, 20, 40, 20, 40, 35, 10, 35]],
                                                        0)]
        assert "1 regions with several classes ticked" in found.problems
        assert "1 images that were not found\n  b.jpg\n" in found.problems
        assert "several places" not in found.problems

    def test_a_number_per_region_is_no_class(self, tmp_path):
        photo(tmp_path / "in" / "a.jpg")
        regions = [{"shape_attributes": {"name": "rect", "x": 9 * number, "y": 1, "width": 5,
                                         "height": 5},
                    "region_attributes": {"id": str(number), "species": "fig"}}
                   for number in range(4)]
        write(tmp_path / "in" / "via.json", {"a": {"filename": "a.jpg", "regions": regions}})
        found = Imported(tmp_path / "in", tmp_path / "out")
        assert [label for label, _, _ in found.objects()] == ["fig"] * 4

    def test_check_boxes_of_version_3(self, tmp_path):
        photo(tmp_path / "in" / "a.jpg")
        write(tmp_path / "in" / "via.json", {
            "view": {}, "file": {"1": {"fname": "a.jpg"}},
            "attribute": {"1": {"aname": "type", "options": {"0": "cat", "1": "dog"}}},
            "metadata": {"x": {"vid": "1", "xy": [7, *RING], "av": {"1": "1,0"}}}})
        found = Imported(tmp_path / "in", tmp_path / "out")
        assert found.objects() == [("dog", [RING], 0)]
        assert "1 regions with several classes ticked" in found.problems


class TestOpenImages:
    def test_the_csv_as_the_source(self, tmp_path):
        root, masks = tmp_path / "in", blobs(2, 2)
        photo(root / "train" / "00ab.jpg")
        rows = ["MaskPath,ImageID,LabelName"]
        for number, mask in enumerate(masks):
            png(root / "masks" / f"00ab_m01_{number}.png", mask * np.uint8(255))
            rows += [f"00ab_m01_{number}.png,00ab,/m/01", f"ff_{number}.png,ff,/m/01"]
        table = write(root / "train-annotations-object-segmentation.csv",
                      "\n".join([*rows, "gone.png,00ab,/m/01", "00ab_m01_0.png,00ab,"]))
        write(root / "class-descriptions-boxable.csv", "/m/01,Fig\n")
        found = Imported(table, tmp_path / "out")
        assert [label for label, _ in found.masks("00ab.jpg")] == ["Fig", "Fig"]
        assert np.array_equal([mask for _, mask in found.masks("00ab.jpg")], masks)
        for line in (": ff (2 objects)", "1 objects whose mask file was not found",
                     "1 objects without a class"):
            assert line in found.problems
        assert "several places" not in found.problems


class TestSeveralFilesOfOneName:
    def shape(self, label):
        return {"label": label, "points": np.reshape(RING, (3, 2)).tolist(),
                "shape_type": "polygon", "group_id": None}

    @pytest.mark.parametrize("annotations, images", [
        ("{}/ann", "{}/img"), ("labels/{}", "images/{}"), ("{}/labels", "{}/pictures/jpg")])
    def test_the_one_nearest_to_the_annotations(self, tmp_path, annotations, images):
        for number, folder in enumerate(("one", "two")):
            photo(tmp_path / "in" / images.format(folder) / "a.jpg", seed=number)
            write(tmp_path / "in" / annotations.format(folder) / "a.json", {
                "shapes": [self.shape(folder)], "imagePath": "a.jpg", "imageData": None,
                "imageHeight": 60, "imageWidth": 80})
        found = Imported(tmp_path / "in", tmp_path / "out")
        assert "2 images whose name fits several files (the one nearest" in found.problems
        names = [entry["file_name"] for entry in found.jsons["train"]["images"]]
        assert len(names) == 2 and found.code == 0
        for name in names:
            [(label, segmentation, _)] = found.objects(name)
            assert label in name and segmentation == [RING]

    def test_the_one_of_the_split(self, tmp_path):
        for split in ("train", "val"):
            photo(tmp_path / "in" / "images" / split / "0001.jpg", seed=len(split))
            write(tmp_path / "in" / "annotations" / f"instances_{split}.json", {
                "images": [{"id": 1, "file_name": "0001.jpg", "height": 60, "width": 80}],
                "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0,
                                 "segmentation": [RING]}],
                "categories": [{"id": 1, "name": split}]})
        found = Imported(tmp_path / "in", tmp_path / "out", "--copy-images")
        for split in ("train", "val"):
            assert found.objects("0001.jpg", split) == [(split, [RING], 0)]
            copied = tmp_path / "out" / "images" / split / "images" / split / "0001.jpg"
            assert copied.read_bytes() == \
                (tmp_path / "in" / "images" / split / "0001.jpg").read_bytes()

    def test_other_json_files_beside(self, tmp_path):
        for number in range(50):
            write(tmp_path / "in" / f"{number}.json", {"settings": number})
        photo(tmp_path / "in" / "photos" / "a.jpg")
        write(tmp_path / "in" / "photos" / "a.json", {
            "shapes": [self.shape("cat")], "imagePath": "a.jpg", "imageData": None})
        found = Imported(tmp_path / "in", tmp_path / "out")
        assert found.objects() == [("cat", [RING], 0)]
        assert "50 json files that are not labelme's" in found.problems


class TestCoco:
    def test_any_nesting_and_measures_that_are_null(self, tmp_path):
        photo(tmp_path / "in" / "a.jpg")
        points = np.reshape(RING, (3, 2)).tolist()
        kinds = [[RING], RING, points, [points], [list(map(str, RING))]]
        moved = [[[value + number for value in np.ravel(np.array(kind, float))]]
                 for number, kind in enumerate(kinds)]
        write(tmp_path / "in" / "all.json", {
            "images": [{"id": "1", "file_name": "images\\a.jpg", "height": None, "width": None}],
            "annotations": [{"id": number, "image_id": 1, "category_id": "7", "iscrowd": None,
                             "segmentation": kind, "area": None, "bbox": None}
                            for number, kind in enumerate([*kinds, moved[1], moved[2]])],
            "categories": [{"id": 7, "name": "cat"}]})
        found = Imported(tmp_path / "in", tmp_path / "out")
        assert found.code == 0 and [kind for _, kind, _ in found.objects()] == \
            [*kinds, moved[1], moved[2]]
        area = polygons_to_mask([RING], SIZE).sum()
        for entry in found.jsons["train"]["annotations"][:5]:
            assert entry["area"] == area and entry["bbox"][:2] == [10, 6]


class TestSupervisely:
    def test_files_named_without_the_ending_of_their_image(self, tmp_path):
        for number, folder in enumerate(("one", "two")):
            photo(tmp_path / "in" / folder / "img" / "a.jpg", seed=number)
            write(tmp_path / "in" / folder / "ann" / "a.json", {
                "size": {"height": 60, "width": 80}, "objects": [
                    {"classTitle": folder, "bitmap": None, "points": {
                        "exterior": np.reshape(RING, (3, 2)).tolist(), "interior": []}}]})
        found = Imported(tmp_path / "in", tmp_path / "out")
        for folder in ("one", "two"):
            assert found.objects(f"{folder}/img/a.jpg") == [(folder, [RING], 0)]


class TestVoc:
    def test_dark_red_and_a_mask_without_classes(self, tmp_path):
        """(128, 0, 0) is the colour of class 1, and as a number it is 128."""
        mask, root = blobs(4)[0], tmp_path / "in"
        red = np.zeros((*SIZE, 3), np.uint8)
        red[mask] = 128, 0, 0
        for name in "ab":
            photo(root / "JPEGImages" / f"{name}.jpg", seed=ord(name))
            png(root / "SegmentationObject" / f"{name}.png", red)
        png(root / "SegmentationClass" / "a.png", red)
        found = Imported(root, tmp_path / "out")
        [(label, pixels)] = found.masks()
        assert label == "aeroplane" and np.array_equal(pixels, mask)
        assert "1 masks in SegmentationObject without their twin" in found.problems
