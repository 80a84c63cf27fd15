"""Data sets whose objects are pixels: the masks that come out are equal to those drawn."""
import numpy as np
import pytest

from tests.importing_data import SIZE, Imported, blobs, photo, png, write
from tools.data.importing.voc import voc_color
from tools.data.masks import polygons_to_mask


def painted(masks, values, kind=np.uint8):
    """[H, W] with a number per mask."""
    return sum(mask * kind(value) for mask, value in zip(masks, values, strict=True)).astype(kind)


def colored(numbers):
    """[H, W] of red + 256 green + 65536 blue -> uint8 [H, W, 3]."""
    return np.stack([numbers & 255, numbers >> 8 & 255, numbers >> 16], -1).astype(np.uint8)


def same(found, expected):
    return len(found) == len(expected) and all(
        label == other and np.array_equal(mask, drawn)
        for (label, mask), (other, drawn) in zip(found, expected, strict=True))


class TestVoc:
    @pytest.mark.parametrize("colors", [False, True])
    def test_objects_take_the_class_below_them(self, tmp_path, colors):
        masks = blobs(4, 3)
        border = np.zeros(SIZE, bool)
        border[-2:] = True
        values = painted([*masks, border], [1, 2, 3, 255])
        classes = painted([*masks, border], [15, 7, 15, 255])
        if colors:
            table = np.array([voc_color(index) for index in range(256)])
            values, classes = colored(table[values]), colored(table[classes])
        root = tmp_path / "in" / "VOC2012"
        photo(root / "JPEGImages" / "a.jpg")
        photo(root / "JPEGImages" / "b.jpg")
        for name in "ab":
            png(root / "SegmentationObject" / f"{name}.png", values)
            png(root / "SegmentationClass" / f"{name}.png", classes)
        write(root / "ImageSets" / "Segmentation" / "train.txt", "a\n")
        write(root / "ImageSets" / "Segmentation" / "val.txt", "b\n")
        write(root / "Annotations" / "c.xml", "<annotation/>")
        found = Imported(tmp_path / "in", tmp_path / "out")
        expected = [("person", masks[0]), ("car", masks[1]), ("person", masks[2])]
        order = sorted(range(3), key=lambda k: voc_color(k + 1)) if colors else range(3)
        assert same(found.masks("a.jpg"), [expected[k] for k in order])
        assert len(found.objects("b.jpg", "val")) == 3 and found.code == 1
        assert "1 images with boxes but without a mask" in found.problems

    def test_label_map_of_cvat(self, tmp_path):
        masks = blobs(4, 2)
        root = tmp_path / "in"
        photo(root / "JPEGImages" / "a.jpg")
        png(root / "SegmentationObject" / "a.png", colored(painted(masks, [128, 128 * 256],
                                                                   np.int64)))
        png(root / "SegmentationClass" / "a.png", colored(painted(masks, [250 + 256, 7], np.int64)))
        write(root / "labelmap.txt", "# label:color_rgb:parts:actions\nbackground:0,0,0::\n"
                                     "fig:250,1,0::\ndate:7,0,0::\n")
        found = Imported(tmp_path / "in", tmp_path / "out")
        assert same(found.masks(), [("fig", masks[0]), ("date", masks[1])])


class TestCityscapes:
    def test_instance_ids(self, tmp_path):
        masks = blobs(6, 4)
        root = tmp_path / "in"
        photo(root / "leftImg8bit" / "val" / "ulm" / "ulm_000000_000019_leftImg8bit.png")
        png(root / "gtFine" / "val" / "ulm" / "ulm_000000_000019_gtFine_instanceIds.png",
            painted(masks, [26001, 24000, 26, 7], np.uint16))
        png(root / "gtFine" / "val" / "ulm" / "ulm_000000_000019_gtFine_labelIds.png",
            painted(masks, [26, 24, 26, 7]))
        found = Imported(root, tmp_path / "out")
        expected = {("car", 1): masks[2], ("person", 0): masks[1], ("car", 0): masks[0]}
        objects = found.objects("leftImg8bit.png", "val")
        assert found.code == 0 and len(objects) == 3
        for (label, mask), (_, _, crowd) in zip(found.masks("leftImg8bit.png", "val"), objects,
                                                strict=True):
            assert np.array_equal(mask, expected[label, crowd])

    def test_polygons_cover_each_other_in_order(self, tmp_path):
        square, over = [[10, 10], [40, 10], [40, 40], [10, 40]], [[30, 30], [60, 30], [60, 55],
                                                                  [30, 55]]
        alone = [[65.5, 5], [75, 5.5], [70, 20]]
        root = tmp_path / "in"
        photo(root / "leftImg8bit" / "train" / "x" / "x_1_2_leftImg8bit.png")
        write(root / "gtFine" / "train" / "x" / "x_1_2_gtFine_polygons.json", {
            "imgHeight": 60, "imgWidth": 80, "objects": [
                {"label": "road", "polygon": [[0, 0], [80, 0], [80, 60], [0, 60]]},
                {"label": "car", "polygon": [[32, 32], [38, 32], [38, 38]]},
                {"label": "car", "polygon": square}, {"label": "persongroup", "polygon": over},
                {"label": "rider", "polygon": alone}]})
        found = Imported(root, tmp_path / "out")
        objects, masks = found.objects("leftImg8bit.png"), found.masks("leftImg8bit.png")
        assert [(label, crowd) for label, _, crowd in objects] == [
            ("car", 0), ("person", 1), ("rider", 0)]
        flat = [[value for point in ring for value in point] for ring in (square, over, alone)]
        first, second = (polygons_to_mask([ring], SIZE) for ring in flat[:2])
        assert np.array_equal(masks[0][1], first & ~second) and isinstance(objects[0][1], dict)
        assert objects[1][1] == [flat[1]] and objects[2][1] == [flat[2]]
        assert "1 objects that later ones cover completely" in found.problems


class TestMaskPictures:
    LAYOUTS = {
        "values": lambda root, masks: png(root / "masks" / "a.png", painted(masks, [1, 2, 9])),
        "16 bits": lambda root, masks: png(root / "masks" / "a.png",
                                           painted(masks, [1, 300, 60000], np.uint16)),
        "PennFudan": lambda root, masks: png(root / "PedMasks" / "a_mask.png",
                                             painted(masks, [1, 2, 3])),
        "beside": lambda root, masks: png(root / "images" / "a_mask.png",
                                          painted(masks, [1, 2, 3])),
        "border": lambda root, masks: png(root / "masks" / "a.png", painted(
            [*masks, np.arange(60 * 80).reshape(SIZE) < 40], [1, 2, 3, 255])),
        "numbered files": lambda root, masks: [
            png(root / "masks" / f"a_{k}.png", mask * np.uint8(255)) for k, mask in
            enumerate(masks)],
        "a folder per image": lambda root, masks: [
            png(root / "masks" / "a" / f"{k}.png", mask * np.uint8(255)) for k, mask in
            enumerate(masks)],
        "colours": lambda root, masks: png(root / "masks" / "a.png", colored(
            painted(masks, [255, 255 * 256, 255 + 65536 * 128], np.int64))),
    }

    @pytest.mark.parametrize("layout", LAYOUTS)
    def test_layouts_of_one_class(self, tmp_path, layout):
        masks, root = blobs(7), tmp_path / "in"
        photo(root / "images" / "a.jpg")
        photo(root / "images" / "empty.jpg")
        self.LAYOUTS[layout](root, masks)
        found = Imported(root, tmp_path / "out")
        assert found.code == 0 and same(found.masks(), [("object", mask) for mask in masks])
        assert found.objects("empty.jpg") == []

    def test_classes_by_folder_or_by_name(self, tmp_path):
        masks, root = blobs(7, 4), tmp_path / "in"
        photo(root / "images" / "a.jpg")
        photo(root / "images" / "b.jpg")
        png(root / "masks" / "cat" / "a.png", masks[0] * np.uint8(255))
        png(root / "masks" / "dog" / "a_2.png", masks[1] * np.uint8(255))
        png(root / "b.jpg.masks" / "001_bird.png", masks[2] * np.uint8(255))
        png(root / "b.jpg.masks" / "002_big fish.png", masks[3] * np.uint8(255))
        found = Imported(root, tmp_path / "out")
        assert same(found.masks(), [("cat", masks[0]), ("dog", masks[1])])
        assert same(found.masks("b.jpg"), [("bird", masks[2]), ("big_fish", masks[3])])

    def test_science_bowl(self, tmp_path):
        masks, root = blobs(9), tmp_path / "in" / "stage1_train"
        for name in ("0f" * 20, "1a" * 20):
            photo(root / name / "images" / f"{name}.png", seed=len(name))
            for k, mask in enumerate(masks):
                png(root / name / "masks" / f"{k}{name[1:]}.png", mask * np.uint8(255))
        found = Imported(tmp_path / "in", tmp_path / "out")
        for name in ("0f" * 20, "1a" * 20):
            assert same(found.masks(f"{name}.png"), [("object", mask) for mask in masks])

    def test_soft_edges_and_a_mask_of_another_size(self, tmp_path):
        root, soft = tmp_path / "in", np.zeros(SIZE, np.uint8)
        photo(root / "images" / "a.jpg")
        soft[10:30, 10:30], soft[10:30, 9], soft[10:30, 30] = 255, 90, 160
        png(root / "masks" / "a_1.png", soft)
        png(root / "masks" / "a_2.png", soft[:30])
        found = Imported(root, tmp_path / "out")
        assert same(found.masks(), [("object", soft > 127)]) and found.code == 1
        assert "1 masks with soft edges" in found.problems and "(30, 80)" in found.problems


class TestPanoptic:
    def test_things_are_objects(self, tmp_path):
        masks, root = blobs(1, 4), tmp_path / "in"
        photo(root / "val2017" / "a.jpg")
        ids = [3, 256 * 7 + 1, 65536 * 2 + 5, 90]
        png(root / "annotations" / "panoptic_val2017" / "a.png",
            colored(painted(masks, ids, np.int64)))
        segments = [{"id": number, "category_id": category, "iscrowd": crowd, "area": 1,
                     "bbox": [0, 0, 1, 1]} for number, category, crowd in
                    zip(ids, (1, 18, 1, 184), (0, 0, 1, 0), strict=True)]
        segments.append({"id": 777, "category_id": 1, "iscrowd": 0})
        write(root / "annotations" / "panoptic_val2017.json", {
            "images": [{"id": 5, "file_name": "a.jpg", "height": 60, "width": 80}],
            "annotations": [{"image_id": 5, "file_name": "a.png", "segments_info": segments}],
            "categories": [{"id": 1, "name": "person", "isthing": 1},
                           {"id": 18, "name": "dog", "isthing": 1},
                           {"id": 184, "name": "tree", "isthing": 0}]})
        found = Imported(root, tmp_path / "out")
        assert same(found.masks(split="val"), [("person", masks[0]), ("dog", masks[1]),
                                               ("person", masks[2])])
        assert [crowd for _, _, crowd in found.objects(split="val")] == [0, 0, 1]
        assert [entry["id"] for entry in found.jsons["val"]["categories"]] == [1, 18]
        assert "1 segments that are not in their PNG" in found.problems and found.code == 1


class TestOpenImages:
    def test_masks_are_brought_to_the_size_of_the_image(self, tmp_path):
        small, root = blobs(2, 2, (30, 40)), tmp_path / "in"
        photo(root / "train" / "00ab.jpg")
        for mask, name in zip(small, ("00ab_m01_1.png", "00ab_m02_2.png"), strict=True):
            png(root / "masks" / "train-masks-0" / name, mask * np.uint8(255))
        write(root / "train-annotations-object-segmentation.csv",
              "MaskPath,ImageID,LabelName,BoxID\n00ab_m01_1.png,00ab,/m/01,1\n"
              "00ab_m02_2.png,00ab,/m/02,2\n00ab_gone.png,00ab,/m/02,3\nx.png,ff,/m/02,4\n")
        write(root / "class-descriptions-boxable.csv", "/m/01,Fig\n/m/02,\"Dog, big\"\n")
        found = Imported(root, tmp_path / "out")
        large = [mask.repeat(2, 0).repeat(2, 1) for mask in small]
        assert same(found.masks("00ab.jpg"), [("Fig", large[0]), ("Dog, big", large[1])])
        assert "2 masks of another size" in found.problems and found.code == 1
