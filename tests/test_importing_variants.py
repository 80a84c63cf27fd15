"""Further layouts of the annotation tools' exports: several images, other places, odd numbers."""
import base64
import io

import numpy as np
import pytest
from PIL import Image

from tests.importing_data import Imported, blobs, photo, write

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
