"""What real data sets contain: each case is loaded, or skipped and counted with its name."""
import shutil

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from config import get_config
from model.solov2 import build_solov2
from tests.builders import PLUM_AND_PEAR, TINY, coco_dataset, listed, script
from tools.data import coco, coco_json
from tools.data.images import read_image
from tools.data.reasons import DEGENERATE, NO_NUMBERS, NO_SEGMENTATION, WRONG_RLE
from tools.data.selection import NOTHING_USABLE, OUTSIDE, spread
from tools.data.shapes import write_split
from tools.data.splits import open_dataset
from tools.errors import UserError
from tools.evaluation.coco_eval import evaluate
from tools.evaluation.evaluate import evaluate_model

SQUARE = [2, 2, 6, 2, 6, 6, 2, 6]                      # box (2, 2, 6, 6)
NAN, INF = float("nan"), float("inf")


def square_rle(compressed, size=(20, 30)):
    """The pixels of SQUARE as an RLE."""
    mask = np.zeros(size, np.uint8, order="F")
    mask[2:6, 2:6] = 1
    rle = coco_mask.encode(mask)
    if compressed:
        return {"size": list(size), "counts": rle["counts"].decode()}
    flat = np.append(mask.ravel(order="F"), 2)
    edges = np.flatnonzero(np.diff(flat, prepend=0))
    return {"size": list(size), "counts": np.diff(edges, prepend=0).tolist()}


def note(number=1, image_id=1, category_id=3, segmentation=(SQUARE,), **more):
    segmentation = list(segmentation) if isinstance(segmentation, tuple) else segmentation
    return {"id": number, "image_id": image_id, "category_id": category_id,
            "segmentation": segmentation, "iscrowd": 0, **more}


@pytest.fixture
def make(tmp_path):
    """make(annotations, images) -> CocoDataset; three grey images of (20, 30) pixels are there."""
    for name in ("a.png", "b.png", "c.png"):
        cv2.imwrite(str(tmp_path / name), np.full((20, 30, 3), ord(name[0]), np.uint8))

    def build(annotations, images=None, categories=None, **options):
        images = images or [listed(1, "a.png"), listed(2, "b.png"), listed(3, "c.png")]
        return coco_dataset(tmp_path, images, annotations, categories or PLUM_AND_PEAR, **options)
    return build


def test_polygons_and_both_rles_mix(make):
    kinds = [(SQUARE,), SQUARE, [[[2, 2], [6, 2], [6, 6], [2, 6]]], square_rle(True),
             square_rle(False), {**square_rle(False), "size": [20.0, 30.0]},
             [["2", "2", "6", "2", "6", "6", "2", "6"]]]
    dataset = make([note(number, segmentation=kind) for number, kind in enumerate(kinds)])
    masks, boxes, _ = dataset.objects(0)
    assert len(masks) == len(kinds) and dataset.problems == {}
    assert (masks == masks[0]).all() and masks[0].sum() == 16
    np.testing.assert_array_equal(boxes, [[2, 2, 6, 6]] * len(kinds))


@pytest.mark.parametrize("iscrowd, crowd", [(1, True), ("1", True), (True, True), (1.0, True),
                                            (2, True), (-1, True), ([1], True), ([0], False),
                                            (NAN, False), (0, False), ("0", False),
                                            (None, False), ([], False)])
@pytest.mark.parametrize("segmentation", [(SQUARE,), square_rle(True), square_rle(False)])
def test_iscrowd_alone_makes_a_crowd(make, iscrowd, crowd, segmentation):
    dataset = make([note(1), note(2, segmentation=segmentation, iscrowd=iscrowd)])
    assert len(dataset.annotations(0)) == (1 if crowd else 2)
    assert dataset.num_crowds == crowd


def test_one_pixel_objects_are_objects(make):
    one = {"size": [20, 30], "counts": [23, 1, 576]}                # row 3, column 1
    dataset = make([note(1, segmentation=one), note(2, segmentation=([4, 5, 5, 5, 5, 6, 4, 6],))])
    masks, boxes, _ = dataset.objects(0)
    assert masks.sum((1, 2)).tolist() == [1, 1]
    np.testing.assert_array_equal(boxes, [[1, 3, 2, 4], [4, 5, 5, 6]])


def test_many_small_objects_are_judged_together(make):
    """With numpy 2, pycocotools measures no list of more than 255 masks."""
    small, nothing = [4, 5, 5, 5, 5, 6, 4, 6], [4, 5, 4.2, 5, 4.2, 5.2, 4, 5.2]
    dataset = make([note(number, segmentation=(nothing if number == 7 else small,))
                    for number in range(300)])
    assert dataset.problems == {DEGENERATE: ["annotation 7 of a.png"]}
    assert len(dataset.objects(0)[0]) == 299


@pytest.mark.parametrize("segmentation, reason", [
    ([[NAN, 2, 6, 2, 6, 6]], NO_NUMBERS), ([[2, 2, INF, 2, 6, 6]], NO_NUMBERS),
    ([[2, 2, 1e9, 2, 6, 6]], NO_NUMBERS), ([[2, 2, 10 ** 400, 2, 6, 6]], NO_NUMBERS),
    ([[2, 2, None, 2, 6, 6]], NO_NUMBERS), ([[2, 2, 6, 2, 6]], NO_NUMBERS),
    ([["a"] * 6], NO_NUMBERS), ([{"x": 1}], NO_NUMBERS), ([[[2], 2]], NO_NUMBERS),
    ("polygon", NO_SEGMENTATION), (5, NO_SEGMENTATION), (None, NO_SEGMENTATION),
    ({}, NO_SEGMENTATION), ({"size": [20, 30]}, NO_SEGMENTATION),
    ({"counts": "abc"}, WRONG_RLE), ({"size": 5, "counts": "abc"}, WRONG_RLE),
    ({"size": [20, 30], "counts": "zzzz"}, WRONG_RLE),
    ({"size": [20, 30], "counts": "\u00e9\u00e9"}, WRONG_RLE),
    ({"size": [20, 30], "counts": 7}, WRONG_RLE),
    ({"size": [20, 30], "counts": [-5, 605]}, WRONG_RLE),
    ({"size": [20, 30], "counts": [0, NAN]}, WRONG_RLE),
    ({"size": [20, 30], "counts": [[0], [600]]}, WRONG_RLE),
    ({"size": [20, 30], "counts": [{}]}, WRONG_RLE),
    ({"size": [20, 30], "counts": [600]}, DEGENERATE),
    ([[2, 2, 6, 6]], DEGENERATE), ([[]], NO_SEGMENTATION),
    ([[31, 2, 40, 2, 40, 9]], OUTSIDE)])
def test_a_bad_object_is_skipped_and_named(make, segmentation, reason):
    dataset = make([note(1), note(2, segmentation=segmentation)])
    assert dataset.problems == {reason: ["annotation 2 of a.png"]}
    assert len(dataset.objects(0)[0]) == 1


@pytest.mark.parametrize("box", [None, 5, [1, 2], [NAN, 0, 1, 1], ["a", 0, 1, 1], [INF, 0, 1, 1]])
def test_a_bad_box_or_area_does_no_harm(make, box):
    dataset = make([note(1, bbox=box, area="large")], training=False)
    found = {"image_id": 1, "category_id": 3, "score": 0.9, "bbox": [2, 2, 4, 4],
             "segmentation": square_rle(True)}
    metrics = evaluate(dataset, [found], ("segm", "bbox"))
    assert metrics["segm_AP"] == metrics["bbox_AP"] == pytest.approx(1)


def test_ids_may_be_texts_of_digits_or_floats(make):
    """They come out as they are; a text of digits stands for the number where only that is there.
    """
    dataset = make([note(1, image_id=1, category_id=7), note(2, image_id=2.0, category_id="3")],
                   images=[listed("1", "a.png"), listed(2, "b.png")],
                   categories=[{"id": "7", "name": "pear"}, {"id": 3.0, "name": 5}])
    assert dataset.category_ids == (3, "7") and dataset.class_names == ("5", "pear")
    assert [dataset.objects(index)[2].tolist() for index in range(2)] == [[1], [0]]
    assert dataset.image_info(0)["image_id"] == "1"


def test_ids_of_texts_differ_by_their_zeros(make):
    ids = ["1", "01", "001", 10 ** 25, 2 ** 63 + 1, -5]
    images = [listed(value, "abc"[number % 3] + ".png") for number, value in enumerate(ids)]
    dataset = make([note(number, image_id=value) for number, value in enumerate(ids)], images)
    infos = [dataset.image_info(index)["image_id"] for index in range(len(dataset))]
    assert list(map(repr, infos)) == list(map(repr, ids)) and dataset.problems == {}
    assert [dataset.annotations(index)[0][0] for index in range(6)] == list(range(6))
    found = [{"image_id": value, "category_id": 3, "score": 0.5, "bbox": [2, 2, 4, 4],
              "segmentation": square_rle(True)} for value in ids]
    metrics = evaluate(make([note(number, image_id=value) for number, value in enumerate(ids)],
                            images, training=False), found)
    assert metrics["segm_AP"] == pytest.approx(1)


def test_image_ids_may_be_names(make):
    dataset = make([note(1, image_id="left")], images=[listed("left", "a.png")])
    assert dataset.image_info(0)["image_id"] == "left" and len(dataset.annotations(0)) == 1


def test_annotations_that_are_none_are_skipped(make):
    bad = [3, None, [], {"id": 4}, note(5, image_id=None), note(6, category_id=[3]),
           note(7, image_id={}), note(8, category_id="plum"), note(9, category_id=3.5)]
    dataset = make([note(1), *bad])
    assert dataset.problems == {coco_json.MALFORMED: [f"entry {number}" for number in range(1, 10)]}
    with pytest.raises(UserError, match="no image to use.*9 annotations without a valid"):
        make(bad)


def test_annotation_ids_that_occur_twice_are_named_and_used(make):
    dataset = make([note(5), note(5, category_id=7), note(None), note(None)])
    assert len(dataset.objects(0)[0]) == 4
    assert dataset.problems[coco_json.SAME_ID][0] == "annotation 5"


def test_an_image_listed_twice_counts_once_but_one_id_for_two_files_stops(make):
    images = [listed(1, "a.png"), listed(1, "a.png"), listed(2, "b.png")]
    dataset = make([note(1), note(2, image_id=2)], images)
    assert len(dataset) == 2 and dataset.problems == {coco_json.LISTED_TWICE: ["a.png"]}
    sizes = [(7, 9), (20, 30), (None, 30)]              # which contradict: that of the file
    dataset = make([note(1)], [listed(1, "a.png", *size) for size in sizes])
    assert dataset.image_info(0)["size"] == (20, 30) and len(dataset.objects(0)[0]) == 1
    with pytest.raises(UserError, match="id 1 2 times in 'images'"):
        make([note()], [listed(1, "a.png"), listed(1, "b.png")])


@pytest.mark.parametrize("height, width", [
    (None, 30), ("tall", 30), (NAN, 30), (INF, 30), (0, 30), (-20, 30), (20.5, 30), ([20], 30),
    (20, 10 ** 12), (10 ** 12, 30), (20, 0)])
def test_a_missing_or_odd_size_is_that_of_the_file(make, height, width):
    dataset = make([note()], [listed(1, "a.png", height, width)])
    assert dataset.image_info(0)["size"] == (20, 30)
    assert dataset.problems == {coco.SIZE_OF_FILE: ["a.png"]}
    assert dataset.load_image(0).shape == (20, 30, 3) and len(dataset.objects(0)[0]) == 1


def test_sizes_of_floats_and_texts(make):
    dataset = make([note()], [listed(1, "a.png", 20.0, "30")])
    assert dataset.image_info(0)["size"] == (20, 30) and dataset.problems == {}
    assert all(type(side) is int for side in dataset.image_info(0)["size"])


@pytest.mark.parametrize("name", ["gone.png", "text.png"])
def test_without_a_size_in_json_and_file_an_image_is_broken(make, tmp_path, name):
    (tmp_path / "text.png").write_text("no image")
    images = [listed(1, "a.png"), {"id": 2, "file_name": name}]
    dataset = make([note(1), note(2, image_id=2)], images, max_broken_images=0.5)
    assert len(dataset) == 1 and dataset.problems[coco.BROKEN] == [name]
    with pytest.raises(UserError, match=f"{name}' has no size"):
        make([note(1)], images, training=False)


def test_missing_images_are_skipped_up_to_a_share(make, tmp_path):
    (tmp_path / "b.png").unlink()
    annotations = [note(number, image_id=number) for number in (1, 2, 3)]
    dataset = make(annotations, max_broken_images=0.34)
    assert len(dataset) == 2 and dataset.problems == {coco.MISSING: ["b.png"]}
    assert [dataset.image_info(index)["image_id"] for index in range(2)] == [1, 3]
    for options in ({"max_broken_images": 0.3}, {}, {"training": False}):
        with pytest.raises(UserError, match=r"1 of 3 images .* missing.*b\.png.*max_broken_images"):
            make(annotations, **options)


def test_the_share_of_empty_images(make):
    images = [listed(number, "abc"[number % 3] + ".png") for number in range(12)]

    def used(share):
        dataset = make([note(1, image_id=0), note(2, image_id=11, iscrowd=1)], images,
                       empty_images=share)
        assert dataset.num_empty == 10
        return [dataset.image_info(index)["image_id"] for index in range(len(dataset))]

    assert used(0.0) == [0] and used(1.0) == list(range(11))          # 11 is not empty: a crowd
    assert used(0.5) == [0, 2, 4, 6, 8, 10] and used(0.2) == [0, 5, 10]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, 0.9, 1.0])
def test_spread_takes_the_share_evenly(share):
    chosen = spread(list(range(100)), share)
    assert len(chosen) == round(100 * share) and chosen == sorted(set(chosen))
    assert not chosen or np.diff([-1, *chosen]).max() <= np.ceil(1 / share)


def test_an_image_whose_only_objects_are_bad_is_no_empty_image(make):
    dataset = make([note(1), note(2, image_id=2, segmentation=[])], empty_images=1.0)
    assert [dataset.image_info(index)["file_name"] for index in range(2)] == ["a.png", "c.png"]
    assert dataset.problems[NOTHING_USABLE] == ["b.png"]


def saved(path, image, **options):
    """read_image of what Pillow writes."""
    image.save(path, **options)
    return read_image(path)


def test_every_kind_of_pixel_becomes_bgr_bytes(tmp_path):
    """A flat colour through each format; 8 levels of tolerance for JPEG."""
    rgb = Image.new("RGB", (30, 20), (200, 100, 50))
    for name, image, expected in (
            ("grey.png", rgb.convert("L"), [124] * 3), ("grey.jpg", rgb.convert("L"), [124] * 3),
            ("two.png", rgb.convert("1"), None), ("alpha.png", rgb.convert("RGBA"), (50, 100, 200)),
            ("grey_alpha.png", rgb.convert("LA"), [124] * 3),
            ("palette.png", rgb.convert("P", palette=Image.Palette.ADAPTIVE), (50, 100, 200)),
            ("cmyk.jpg", rgb.convert("CMYK"), (50, 100, 200)), ("image.webp", rgb, (50, 100, 200)),
            ("image.tif", rgb, (50, 100, 200)), ("image.bmp", rgb, (50, 100, 200)),
            ("deep.png", Image.fromarray(np.full((20, 30), 200 << 8, np.uint16)), [200] * 3),
            ("deep.tif", Image.fromarray(np.full((20, 30), 200 << 8, np.uint16)), [200] * 3)):
        found = saved(tmp_path / name, image)
        assert found.shape == (20, 30, 3) and found.dtype == np.uint8, name
        if expected is not None:
            assert np.abs(found.astype(int) - expected).max() <= 8, (name, found[0, 0])


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "bmp"])
def test_every_format_is_refused_when_it_is_cut(tmp_path, suffix):
    pixels = np.random.default_rng(0).integers(0, 255, (60, 80, 3)).astype(np.uint8)
    path = tmp_path / f"cut.{suffix}"
    Image.fromarray(pixels).save(path)
    whole = path.read_bytes()
    assert read_image(path).shape == (60, 80, 3)
    for share in (0.02, 0.5, 0.9):
        path.write_bytes(whole[:int(share * len(whole))])
        with pytest.raises(UserError, match=f"cut.{suffix}"):
            read_image(path)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_an_image_only_where_the_json_wants_it(make, tmp_path, orientation):
    """The upper left corner of the stored pixels is white."""
    pixels = np.zeros((20, 30, 3), np.uint8)
    pixels[:5, :5] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(tmp_path / "turned.jpg", exif=exif, quality=100)
    stored = make([note()], [listed(1, "turned.jpg")]).load_image(0)
    assert stored.shape == (20, 30, 3) and stored[1, 1].min() > 200
    if orientation >= 5:                               # only these turn it by 90 degrees
        turned = make([note()], [listed(1, "turned.jpg", 30, 20)]).load_image(0)
        assert turned.shape == (30, 20, 3)
        corner = {5: (1, 1), 6: (1, -2), 7: (-2, -2), 8: (-2, 1)}[orientation]
        assert turned[corner].min() > 200


def test_transparent_palettes_and_huge_sizes_do_not_crash(make, tmp_path):
    """A PNG that claims 60000 x 60000 pixels is refused before its memory is taken."""
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[16:24] = (60000).to_bytes(4, "big") * 2
    (tmp_path / "huge.png").write_bytes(data)
    with pytest.raises(UserError, match="huge.png"):
        read_image(tmp_path / "huge.png")
    palette = Image.new("RGB", (30, 20), (9, 9, 9)).convert("P")
    assert saved(tmp_path / "p.png", palette, transparency=0).shape == (20, 30, 3)


def test_what_a_run_skips_is_one_warning(make, tmp_path, caplog):
    make([note(1)])
    cfg = get_config("quickstart", train_json=f"{tmp_path}/set.json", train_images=str(tmp_path))
    open_dataset(cfg, "train")
    assert not caplog.records
    make([note(1), *(note(number, segmentation=[]) for number in range(2, 7))])
    open_dataset(cfg, "train")
    assert len(caplog.records) == 1
    assert f"5 {NO_SEGMENTATION}: annotation 2 of a.png, annotation 3 of a.png" in caplog.text
    assert "..." in caplog.text and "annotation 6" not in caplog.text


def test_an_unreadable_image_lowers_the_ap_and_does_not_end_the_training(tiny_cfg, shapes_dir,
                                                                         tmp_path, caplog):
    val = tmp_path / "val"
    shutil.copytree(shapes_dir / "val", val)
    (val / "000002.jpg").write_bytes(b"")
    dataset = open_dataset(tiny_cfg.replace(val_images=str(val)), "val")
    found = evaluate_model(tiny_cfg, dataset, build_solov2(tiny_cfg))
    assert found["segm_AP"] >= 0                                     # -1: no ground truth
    assert "1 images of the evaluation" in caplog.text and "000002.jpg' is empty" in caplog.text
    assert len(dataset.ground_truth().image_ids) == 4


def test_training_goes_on_without_a_broken_image_and_says_so(tmp_path):
    write_split(tmp_path, "train", 6, seed=5, size=64)
    (tmp_path / "train" / "000003.jpg").write_bytes(b"")
    settings = {**TINY, "train_json": f"{tmp_path}/train.json", "num_workers": 2, "max_steps": 6,
                "train_images": f"{tmp_path}/train", "val_json": "", "output_dir": tmp_path}
    out = script("train.py", "-o", *(f"{key}={value}" for key, value in settings.items()))
    assert "step 6/6" in out and out.count("000003.jpg' is empty (0 bytes); skipped") == 1
    assert "Traceback" not in out
