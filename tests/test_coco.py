"""Reading COCO sets: what is kept, what is skipped and counted, what is refused."""
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.builders import coco_dataset, listed, write_grey_images
from tools.data.coco import CocoDataset
from tools.data.images import read_image
from tools.data.reasons import DEGENERATE, NO_SEGMENTATION, WRONG_RLE
from tools.data.selection import CLIPPED, OUTSIDE, UNLISTED_CLASS, UNLISTED_IMAGE, problem_sentences
from tools.errors import UserError

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
SQUARE = [[2, 2, 6, 2, 6, 6, 2, 6]]                    # box (2, 2, 6, 6)


def annotation(number=1, image_id=1, category_id=3, segmentation=SQUARE, **more):
    return {"id": number, "image_id": image_id, "category_id": category_id,
            "segmentation": segmentation, "iscrowd": 0, **more}


@pytest.fixture
def make(tmp_path):
    """make(annotations) -> a CocoDataset of two images of (20, 30) pixels, categories 3 and 7."""
    write_grey_images(tmp_path / "images", ("a.png", "b.png"))

    def build(annotations, **options):
        images = [listed(1, "a.png"), listed(2, "b.png")]
        return coco_dataset(tmp_path, images, annotations, image_dir=tmp_path / "images",
                            **options)
    return build


def test_classes_follow_the_category_ids_with_gaps(make):
    dataset = make([annotation(category_id=7)])
    assert dataset.class_names == ("plum", "pear") and dataset.category_ids == (3, 7)
    assert dataset.num_classes == 2
    assert dataset.objects(0)[2].tolist() == [1]


def test_masks_boxes_and_classes(make):
    dataset = make([annotation(1, bbox=[0, 0, 30, 20]), annotation(2, category_id=7)])
    masks, boxes, classes = dataset.objects(0)
    assert masks.shape == (2, 20, 30) and masks.dtype == bool
    assert masks.sum((1, 2)).tolist() == [16, 16]
    np.testing.assert_array_equal(boxes, [[2, 2, 6, 6]] * 2)     # of the mask, not of the json
    assert boxes.dtype == np.float32 and classes.dtype == np.int64 and classes.tolist() == [0, 1]
    assert dataset.image_info(0)["size"] == (20, 30)
    assert dataset.load_image(0).shape == (20, 30, 3)


def test_empty_images_train_only_on_request(make):
    objects = [annotation(image_id=2)]
    assert len(make(objects)) == 1
    assert len(make(objects, empty_images=1.0)) == 2
    dataset = make(objects, training=False)
    assert len(dataset) == 2
    masks, boxes, classes = dataset.objects(0)
    assert masks.shape == (0, 20, 30) and boxes.shape == (0, 4) and classes.shape == (0,)


def test_crowd_is_decided_by_iscrowd_alone(make):
    rle = {"size": [20, 30], "counts": [0, 40, 560]}
    dataset = make([annotation(1, iscrowd=1), annotation(2, segmentation=rle),
                    annotation(3, segmentation=rle, iscrowd=1)], training=False)
    masks, boxes, _ = dataset.objects(0)
    assert len(masks) == 1 and masks.sum() == 40
    np.testing.assert_array_equal(boxes, [[0, 0, 2, 20]])


def test_an_image_of_crowds_only_does_not_train(make):
    assert len(make([annotation(1, iscrowd=1), annotation(2, image_id=2)])) == 1


def test_what_is_skipped_is_counted_and_named(make):
    line = [[0, 0, 5, 5, 10, 10]]                                # three points, no area
    wrong = {"size": [30, 20], "counts": [0, 600]}
    dataset = make([annotation(1), annotation(2, segmentation=[]), annotation(3, segmentation=line),
                    annotation(4, segmentation=[[1, 1, 5, 5]]), annotation(5, segmentation=wrong),
                    annotation(6, segmentation=[[40, 2, 50, 2, 50, 9]]),
                    annotation(7, segmentation=[[-9, -9, 5, -9, 5, 5, -9, 5]]),
                    annotation(8, bbox=[20, 2, 40, 4]), annotation(9, image_id=99)])
    counts = {reason: len(names) for reason, names in dataset.problems.items()}
    assert counts == {NO_SEGMENTATION: 1, DEGENERATE: 2, WRONG_RLE: 1,
                      OUTSIDE: 1, CLIPPED: 2, UNLISTED_IMAGE: 1}
    assert dataset.problems[DEGENERATE] == ["annotation 3 of a.png", "annotation 4 of a.png"]
    masks, boxes, _ = dataset.objects(0)
    assert len(masks) == 3
    np.testing.assert_array_equal(boxes[1], [0, 0, 5, 5])        # clipped
    line, = [line for line in problem_sentences(dataset.problems) if "zero area" in line]
    assert line.startswith("2 objects") and line.endswith("annotation 3 of a.png, "
                                                          "annotation 4 of a.png")


def test_a_clean_set_has_no_problems(make):
    assert make([annotation()]).problems == {}


def test_degenerate_parts_leave_the_good_ones(make):
    masks, _, _ = make([annotation(segmentation=[[1, 1, 2, 2], *SQUARE])]).objects(0)
    assert masks.sum() == 16


def test_a_polygon_smaller_than_a_pixel_is_no_object(make):
    dataset = make([annotation(1, segmentation=[[2.1, 2.1, 2.2, 2.1, 2.2, 2.2]]), annotation(2)])
    assert len(dataset.objects(0)[0]) == 1


def test_duplicate_annotation_ids_are_all_kept(make):
    assert len(make([annotation(1), annotation(1, category_id=7)]).objects(0)[0]) == 2


def test_unknown_category_is_one_clear_sentence(make):
    with pytest.raises(UserError, match=r"annotation 5 has category 4, .*\[3, 7\]"):
        make([annotation(5, category_id=4)])


def test_classes_file_sets_order_and_subset(make, tmp_path):
    classes = tmp_path / "classes.txt"
    classes.write_text("pear\n\nplum\n")
    dataset = make([annotation()], classes_file=classes)
    assert dataset.class_names == ("pear", "plum") and dataset.category_ids == (7, 3)
    assert dataset.objects(0)[2].tolist() == [1]
    classes.write_text("plum\n")
    dataset = make([annotation(1), annotation(2, category_id=7)], classes_file=classes)
    assert list(dataset.problems) == [UNLISTED_CLASS] and len(dataset.objects(0)[0]) == 1


@pytest.mark.parametrize("text", ["plum\nquince\n", "plum\nplum\n", ""])
def test_classes_file_that_does_not_fit(make, tmp_path, text):
    (tmp_path / "classes.txt").write_text(text)
    with pytest.raises(UserError, match="classes.txt"):
        make([annotation()], classes_file=tmp_path / "classes.txt")


@pytest.mark.parametrize("content, message", [
    ("{", "not json"), ("[]", "not COCO"), ('{"images": []}', "no list 'categories'"),
    ('{"images": [{"id": 1}], "categories": [], "annotations": []}', "'file_name'"),
    ('{"images": [3], "categories": [], "annotations": []}', "'id'"),
    ('{"images": [], "categories": [{"id": [1], "name": "a"}], "annotations": []}', "id \\[1\\]"),
    ('{"images": [{"id": 1, "file_name": null}], "categories": [], "annotations": []}', "None"),
    ("[" * 100_000, "not json"),
    ('{"images": [], "categories": [], "annotations": []}', "no categories"),
    ('{"images": [], "annotations": [], "categories": [{"id": 1, "name": "a"}]}', "no image"),
    ('{"images": [], "annotations": [], "categories": [{"id": 1, "name": "a"},'
     ' {"id": 1, "name": "b"}]}', "id 1 2 times"),
    (b"\xff\xfe\x00", "not json")])
def test_a_file_that_is_not_coco_is_named(tmp_path, content, message):
    path = tmp_path / "broken.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=message) as error:
        CocoDataset(path, tmp_path)
    assert "broken.json" in str(error.value)


def test_missing_files_are_named(make, tmp_path):
    with pytest.raises(UserError, match="nowhere.json"):
        CocoDataset(tmp_path / "nowhere.json", tmp_path)
    (tmp_path / "images" / "a.png").unlink()
    with pytest.raises(UserError, match=r"1 of 1 images.*a\.png"):
        make([annotation()])
    with pytest.raises(UserError, match="no_folder"):
        CocoDataset(tmp_path / "set.json", tmp_path / "no_folder")


def test_an_unannotated_json_serves_prediction_only(make, tmp_path):
    make([annotation()])
    path = tmp_path / "set.json"
    content = json.loads(path.read_text())
    del content["annotations"]
    path.write_text(json.dumps(content))
    assert len(CocoDataset(path, tmp_path / "images", training=False)) == 2
    with pytest.raises(UserError, match="no list 'annotations'"):
        CocoDataset(path, tmp_path / "images")


def test_an_image_of_another_size_is_refused_with_both(make, tmp_path):
    dataset = make([annotation()])
    cv2.imwrite(str(tmp_path / "images" / "a.png"), np.zeros((21, 30, 3), np.uint8))
    with pytest.raises(UserError, match=r"a\.png.*\(21, 30\).*\(20, 30\)"):
        dataset.load_image(0)


def jpeg_turned_by_exif(height, width):
    """JPEG bytes of height x width stored pixels with an EXIF tag "turn by 90 degrees"."""
    _, jpeg = cv2.imencode(".jpg", np.zeros((height, width, 3), np.uint8))
    orientation = bytes.fromhex("0112 0003 00000001 0006 0000")
    segment = b"Exif\0\0MM\0*" + bytes.fromhex("00000008 0001") + orientation + bytes(4)
    head = b"\xff\xd8\xff\xe1" + (len(segment) + 2).to_bytes(2, "big")
    return head + segment + jpeg.tobytes()[2:]


def test_the_json_size_decides_about_exif(make, tmp_path):
    path = tmp_path / "images" / "a.png"                         # OpenCV goes by the content
    dataset = make([annotation()])
    for stored in ((20, 30), (30, 20)):
        path.write_bytes(jpeg_turned_by_exif(*stored))
        assert read_image(path).shape[:2] == stored
        assert read_image(path, apply_exif=True).shape[:2] == stored[::-1]
        assert dataset.load_image(0).shape[:2] == (20, 30)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_truncated_image_is_refused_at_every_length(tmp_path, suffix):
    image = np.random.default_rng(0).integers(0, 255, (40, 50, 3)).astype(np.uint8)
    data = cv2.imencode(suffix, image)[1].tobytes()
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(data + b"trailing bytes do no harm")
    assert read_image(path).shape == (40, 50, 3)
    for length in (10, len(data) // 2, len(data) - 12):
        path.write_bytes(data[:length])
        with pytest.raises(UserError, match=r"cut.*truncated"):
            read_image(path)


def test_a_thumbnail_does_not_hide_a_truncated_image(tmp_path):
    """The end mark of an embedded thumbnail is not the end of the image."""
    small = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    data = cv2.imencode(".jpg", np.zeros((80, 80, 3), np.uint8))[1].tobytes()
    segment = b"\xff\xe1" + (len(small) + 2).to_bytes(2, "big") + small
    path = tmp_path / "cut.jpg"
    path.write_bytes(data[:2] + segment + data[2:])
    assert read_image(path).shape == (80, 80, 3)
    path.write_bytes(data[:2] + segment + data[2:-20])
    with pytest.raises(UserError, match="truncated"):
        read_image(path)


@pytest.mark.parametrize("content, message", [(b"", "empty"), (b"no picture", "not an image")])
def test_what_is_not_an_image_is_named(tmp_path, content, message):
    path = tmp_path / "odd.jpg"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        read_image(path)
    assert "odd.jpg" in str(error.value)


def test_missing_images_and_folders_are_named(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        read_image(tmp_path / "none.jpg")
    with pytest.raises(UserError, match="cannot be read"):
        read_image(tmp_path)


def test_grey_and_transparent_images_become_bgr(tmp_path):
    for channels in (1, 4):
        path = tmp_path / f"{channels}.png"
        cv2.imwrite(str(path), np.full((5, 6, channels), 200, np.uint8))
        assert read_image(path).shape == (5, 6, 3)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the real data of ../shared/data")
@pytest.mark.parametrize("folder, name, images, objects, classes", [
    ("coco_fixture", "instances.json", 12, 113, 80), ("fruits_nuts", "trainval.json", 18, 165, 3)])
def test_real_sets(folder, name, images, objects, classes):
    dataset = CocoDataset(SHARED / folder / name, SHARED / folder / "images", training=False)
    assert (len(dataset), dataset.num_classes, dataset.problems) == (images, classes, {})
    found = 0
    for index in range(len(dataset)):
        assert dataset.load_image(index).shape[:2] == dataset.image_info(index)["size"]
        found += len(dataset.objects(index)[0])
    assert found == objects
