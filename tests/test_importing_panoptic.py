"""COCO panoptic: what json and PNG do not tell each other, and PNGs of the images' names."""
import numpy as np
import pytest

from tests.importing_data import Imported, blobs, photo, png, write


class TestPanoptic:
    def source(self, folder):
        masks = blobs(1, 3)
        for number, name in enumerate("abc"):
            photo(folder / f"{name}.jpg", seed=number)
        png(folder / "segments" / "a.png", sum(mask * np.uint8(number) for number, mask
                                               in enumerate(masks, 3)))
        return masks, write(folder / "panoptic.json", {
            "images": [{"id": number, "file_name": f"{name}.jpg", "height": 60, "width": 80}
                       for number, name in enumerate("abc")],
            "annotations": [{"image_id": 0, "file_name": "a.png", "segments_info": [
                                {"id": number, "category_id": 1} for number in (3, 4)]},
                            {"image_id": 2, "file_name": "c.png", "segments_info": []}],
            "categories": [{"id": 1, "name": "cat", "isthing": 1}]})

    @pytest.mark.parametrize("single", [False, True])
    def test_nothing_is_dropped_in_silence(self, tmp_path, single):
        masks, path = self.source(tmp_path / "in")
        write(tmp_path / "in" / "instances.json", {"images": []})
        found = Imported(path if single else path.parent, tmp_path / "out")
        assert np.array_equal([mask for _, mask in found.masks()], masks[:2]) and found.code == 1
        assert found.objects("b.jpg") == [] and len(found.jsons["train"]["images"]) == 2
        for line in ("1 segments of a PNG that its json does not list\n  a.jpg: segment 5",
                     "1 images without an annotation", "1 images whose PNG of segments was not"):
            assert line in found.problems
        assert ("1 json files that are not panoptic" in found.problems) != single

    @pytest.mark.parametrize("images, segments", [
        ("images", "panoptic"), ("val", "annotations/panoptic_val")])
    def test_images_of_the_names_of_their_segments(self, tmp_path, images, segments):
        masks, root = blobs(1, 2), tmp_path / "in"
        photo(root / images / "a.png")
        png(root / segments / "a.png", masks[0] * np.uint8(3))
        write(root / f"{segments}.json", {
            "images": [{"id": 1, "file_name": "a.png", "height": 60, "width": 80}],
            "annotations": [{"image_id": 1, "file_name": "a.png", "segments_info": [
                {"id": 3, "category_id": 1}]}], "categories": [{"id": 1, "name": "cat"}]})
        found = Imported(root, tmp_path / "out", "--copy-images")
        [split] = found.jsons
        assert np.array_equal(found.masks("a.png", split)[0][1], masks[0])
        copied = tmp_path / "out" / "images" / ("val" if images == "val" else "") / images / "a.png"
        assert copied.read_bytes() == (root / images / "a.png").read_bytes()
