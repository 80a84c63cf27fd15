"""python -m tools.evaluation: anybody's results, without a model."""
import gzip
import json

import numpy as np
import pytest

from tests.builders import coco_dataset, listed, result, square, truth, write_grey_images
from tools.data.masks import mask_to_polygons
from tools.errors import UserError
from tools.evaluation.__main__ import main
from tools.evaluation.coco_eval import evaluate
from tools.evaluation.printing import print_limits

CATEGORIES = ({"id": 1, "name": "a"}, {"id": 5, "name": "b"})


@pytest.fixture
def folder(tmp_path):
    """Two images with an object each, and results for both in results.json."""
    write_grey_images(tmp_path, ["1.png", "2.png"], (40, 40))
    coco_dataset(tmp_path, [listed(1, "1.png", 40, 40), listed("0002", "2.png", 40, 40)],
                 [truth(square(2, 2)), truth(square(8, 8), 2, "0002", 5)], CATEGORIES,
                 training=False)
    write(tmp_path, [result(square(2, 2), 0.9), result(square(8, 8), 0.8, 5, "0002")])
    return tmp_path


def write(folder, results):
    (folder / "results.json").write_text(json.dumps(results))


def call(folder, *more):
    return main(["--results", f"{folder}/results.json", "--json", f"{folder}/set.json", *more])


def test_masks_and_boxes_without_any_image(folder, capsys):
    (folder / "1.png").unlink()
    assert call(folder) == 0
    out = capsys.readouterr().out
    assert "segm   AP 1.0000" in out and "bbox   AP 1.0000" in out and "2 results, 2 images" in out


def test_results_of_others_polygons_texts_for_numbers_and_no_boxes(folder, capsys):
    polygons = [ring.ravel().tolist() for ring in mask_to_polygons(square(2, 2))]
    write(folder, [{"image_id": "1", "category_id": "1", "score": 1, "segmentation": polygons}])
    assert call(folder) == 0
    out = capsys.readouterr().out
    assert "segm   AP 0.5000" in out and "a                        1.0000" in out


def test_class_names_cannot_write_over_the_table(folder, capsys):
    content = json.loads((folder / "set.json").read_text())
    content["categories"][0]["name"] = "a\x1b[2J\nsegm   AP 1.0000"
    (folder / "set.json").write_text(json.dumps(content))
    assert call(folder) == 0
    out = capsys.readouterr().out
    assert "a\\x1b[2J\\nsegm" in out and "\x1b" not in out


def test_boxes_alone(folder, capsys):
    write(folder, [{"image_id": 1, "category_id": 1, "score": 0.5, "bbox": [2, 2, 10, 10]}])
    assert call(folder) == 0
    out = capsys.readouterr().out
    assert "segm" not in out and "bbox   AP 0.5000" in out


def test_a_report_with_and_without_images(folder):
    write(folder, [])
    assert call(folder, "--report", f"{folder}/a.html") == 0
    assert "no image folder was given" in (folder / "a.html").read_text(encoding="utf-8")
    assert call(folder, "--report", f"{folder}/b.html", "--images", str(folder)) == 0
    assert "data:image/jpeg" in (folder / "b.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("content, message", [
    ({}, "no list of results"), ([5], "result 0 is no COCO result"),
    ([{"image_id": 1}], "result 0 is no COCO"),
    ([{"image_id": 7, "category_id": 1, "score": 1, "bbox": [1, 1, 1, 1]}], "image id 7"),
    ([{"image_id": 1, "category_id": 2, "score": 1, "bbox": [1, 1, 1, 1]}], "none of the 1 res"),
    ([{"image_id": 1, "category_id": 1, "score": float("nan"), "bbox": [1, 1, 1, 1]}], "score nan"),
    ([{"image_id": 1, "category_id": 1, "score": 1, "bbox": [1, 1]}], "not four numbers"),
    ([{"image_id": 1, "category_id": 1, "score": 1}], "nothing to evaluate"),
    ([{"image_id": 1, "category_id": 1, "score": 1, "segmentation": {"size": [3, 3],
                                                                    "counts": "9"}}],
     r"no mask of \[40, 40\]"),
    ([{"image_id": 1, "category_id": 1, "score": 1, "segmentation": [[1, 2]]}], "three corners")])
def test_what_is_no_result_is_named(folder, content, message):
    write(folder, content)
    with pytest.raises(UserError, match=message):
        call(folder)


HUGE, NAN, INF = 10 ** 400, float("nan"), float("inf")
WHOLE = result(square(2, 2), 0.9)["segmentation"]["counts"]


def foreign(**changed):
    """A good result but for one entry."""
    return {**result(square(2, 2), 0.9), **changed}


@pytest.mark.parametrize("counts", [
    "zzzz", "9", "0", "o" * 12, "P" * 5000, "`\\", "\u00e9", "\ud83d", f"b'{WHOLE}'", WHOLE[:-2],
    WHOLE + "5", WHOLE * 2])
def test_damaged_run_length_codes_are_named(folder, counts):
    """pycocotools counts what the memory held, faster-coco-eval ends in a RuntimeError."""
    entry = foreign(segmentation={"size": [40, 40], "counts": counts}, bbox=None)
    write(folder, [result(square(2, 2), 0.9), {**entry, "category_id": 99}, entry])
    with pytest.raises(UserError, match="of result 1 is a damaged RLE.*40, 40"):
        call(folder)


@pytest.mark.parametrize("changed, message", [
    ({"score": HUGE}, "no COCO result"), ({"bbox": [HUGE, 1, 2, 3]}, "not four numbers"),
    ({"bbox": [NAN, 1, 2, 3]}, "not four numbers"), ({"bbox": [1, 1, INF, 3]}, "not four numbers"),
    ({"segmentation": [[NAN, 1, 2, 3, 4, 5]]}, "no numbers of pixels"),
    ({"segmentation": [[1e12, 1, 2, 3, 4, 5]]}, "no numbers of pixels"),
    ({"segmentation": {"size": [40, HUGE], "counts": WHOLE}}, r"no mask of \[40, 40\]"),
    ({"segmentation": {"size": [-40, -40], "counts": WHOLE}}, r"no mask of \[40, 40\]")])
def test_numbers_that_no_image_has_are_named(folder, changed, message):
    """Filling a polygon with NaN would take all memory there is."""
    write(folder, [foreign(**changed)])
    with pytest.raises(UserError, match=message):
        call(folder)


def test_sizes_written_as_floats(folder, capsys):
    write(folder, [foreign(segmentation={"size": [40.0, 40.0], "counts": WHOLE})])
    assert call(folder) == 0 and "segm   AP 0.5000" in capsys.readouterr().out


def test_a_damaged_archive_is_named(folder):
    data = bytearray(gzip.compress(json.dumps([foreign()] * 50).encode()))
    data[30] ^= 255
    (folder / "results.json").write_bytes(data)
    with pytest.raises(UserError, match="results.json' is not json"):
        call(folder)


def test_the_inputs_are_never_replaced(folder):
    before = (folder / "results.json").read_bytes(), (folder / "set.json").read_bytes()
    for name in ("results.json", "set.json"):
        with pytest.raises(UserError, match="would be replaced"):
            call(folder, "--report", f"{folder}/{name}")
    assert before == ((folder / "results.json").read_bytes(), (folder / "set.json").read_bytes())


def test_more_objects_than_results_count(tmp_path, capsys):
    """110 one-pixel objects: of 100 results 100 are found, of 110 all."""
    rows, columns = np.divmod(np.arange(110), 12)
    masks = [square(2 * column, 2 * row, 1) for row, column in
             zip(rows.tolist(), columns.tolist(), strict=True)]
    write_grey_images(tmp_path, ["1.png"], (40, 40))
    dataset = coco_dataset(tmp_path, [listed(1, "1.png", 40, 40)],
                           [truth(mask, number) for number, mask in enumerate(masks)], CATEGORIES,
                           training=False)
    results = [result(mask, 0.5) for mask in masks]
    assert evaluate(dataset, results)["segm_AP"] == pytest.approx(91 / 101)
    assert evaluate(dataset, results, max_dets=300)["segm_AP"] == pytest.approx(1)
    print_limits(dataset.ground_truth(), 100, 100)
    out = capsys.readouterr().out
    assert "1 images have more than 100 objects of a class" in out and "raise max_dets" in out
    assert "raise max_per_image" in out
    print_limits(dataset.ground_truth(), 300, 300)
    assert capsys.readouterr().out == ""
