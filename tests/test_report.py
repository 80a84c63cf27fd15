"""The report: mistakes counted by hand, one whole and self-contained page in every situation."""
import base64
import re
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from tests.builders import coco_dataset, listed, result, truth, write_grey_images
from tests.builders import square as any_square
from tools.data.masks import mask_to_rle, segmentation_to_rle
from tools.errors import UserError
from tools.evaluation import mistakes
from tools.evaluation.charts import line_chart
from tools.evaluation.coco_eval import evaluate, precisions
from tools.evaluation.report import round_down, write_report
from tools.evaluation.worst_images import SIDE, drawn

FACTS = {"config": "tiny <b>", "date": "2026-01-01", "weights": "a.pdparams"}
VOID_TAGS = ("meta", "img")


def square(left, top, side=20):
    return any_square(left, top, side, (60, 100))


@pytest.fixture
def make(tmp_path):
    """make(annotations, images, classes) -> a CocoDataset of grey images of 60 x 100 pixels."""
    def build(annotations, images=2, classes=("a", "b")):
        images = [listed(number, f"{number}.png", 60, 100) for number in range(1, images + 1)]
        write_grey_images(tmp_path, [image["file_name"] for image in images], (60, 100), 128)
        annotations = [{**annotation, "id": number}
                       for number, annotation in enumerate(annotations, 1)]
        categories = [{"id": number, "name": name} for number, name in enumerate(classes, 1)]
        return coco_dataset(tmp_path, images, annotations, categories, training=False)
    return build


ONE_OF_EACH = [result(square(1, 1), 0.9), result(square(1, 2), 0.8),       # correct, duplicate
               result(square(40, 1), 0.7),                                 # class 2 is there
               result(square(13, 1), 0.6),                                 # IoU 0.25 with the first
               result(square(70, 30), 0.5), result(square(1, 35, 10), 0.4)]     # nothing, crowd
OBJECTS = [truth(square(1, 1)), truth(square(40, 1), category_id=2),
           truth(square(0, 30, 30), iscrowd=1),
           truth(square(50, 10, 40), image_id=2, category_id=2)]


def test_one_result_of_each_kind(make):
    matching = mistakes.match_results(make(OBJECTS), ONE_OF_EACH)
    assert matching.kinds.tolist() == [
        mistakes.CORRECT, mistakes.DUPLICATE, mistakes.WRONG_CLASS, mistakes.LOCALISATION,
        mistakes.BACKGROUND, mistakes.IGNORED]
    assert matching.objects.classes.tolist() == [0, 1, 1]             # the crowd is no object
    assert matching.objects.sizes.tolist() == [0, 0, 1]
    assert matching.found_scores.tolist() == [0.9, -1, -1]
    assert matching.of_class(1).objects.images.tolist() == [0, 1]


def test_the_better_score_takes_the_object_whatever_the_order(make):
    for results in (ONE_OF_EACH[:2], ONE_OF_EACH[1::-1]):
        kinds = mistakes.match_results(make(OBJECTS), results).kinds
        assert dict(zip([entry["score"] for entry in results], kinds.tolist(), strict=True)) == {
            0.9: mistakes.CORRECT, 0.8: mistakes.DUPLICATE}


def test_score_curve_by_hand(make):
    """3 objects; correct, wrong, correct with the scores .9, .8, .8: two equal ones are one."""
    dataset = make([truth(square(1, 1)), truth(square(40, 1)), truth(square(70, 1))])
    curve = mistakes.score_curve(mistakes.match_results(dataset, [
        result(square(1, 30), 0.8), result(square(1, 1), 0.9), result(square(40, 1), 0.8)]))
    assert curve.scores.tolist() == [0.9, 0.8]
    np.testing.assert_allclose(curve.precision, [1, 2 / 3])
    np.testing.assert_allclose(curve.recall, [1 / 3, 2 / 3])
    np.testing.assert_allclose(curve.f1, [0.5, 2 / 3])
    assert curve.best == 1


def test_a_threshold_lets_its_own_score_pass():
    assert round_down(0.7999) == "0.799" and float(round_down(0.3164)) <= 0.3164


def test_correct_results_agree_with_the_evaluator(make):
    """Of one class and image, precision is 1 up to the recall at which the first mistake comes."""
    dataset = make([truth(square(left, 1)) for left in (1, 40, 70)], images=1, classes=("a",))
    results = [result(square(1, 1), 0.9), result(square(40, 2), 0.8), result(square(1, 35), 0.7)]
    curve = mistakes.score_curve(mistakes.match_results(dataset, results))
    assert evaluate(dataset, results)["segm_AP50"] == pytest.approx(67 / 101)
    assert curve.precision[1] == 1 and curve.recall[-1] == pytest.approx(2 / 3)


def test_rle_of_every_kind_of_segmentation():
    mask = square(10, 20, 5)
    runs = np.diff(np.flatnonzero(np.diff(np.r_[0, mask.T.ravel(), 0])), prepend=0).tolist()
    runs.append(mask.size - sum(runs))
    expected = mask_to_rle(mask)["counts"].encode()
    for segmentation in ([[10, 20, 15, 20, 15, 25, 10, 25]],
                         {"size": [60, 100], "counts": runs}):
        assert segmentation_to_rle(segmentation, mask.shape)["counts"] == expected
    assert segmentation_to_rle(mask_to_rle(mask), mask.shape) == mask_to_rle(mask)


class Checker(HTMLParser):
    """Fails where tags do not match; collects what the page loads."""

    def __init__(self):
        super().__init__()
        self.open, self.sources = [], []

    def handle_starttag(self, tag, attrs):
        self.sources += [value for name, value in attrs if name in ("src", "href", "data")]
        if tag not in VOID_TAGS:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def report(dataset, results, tmp_path, iou_types=("segm", "bbox")):
    """(text of the report, its images), after checks that hold for every report."""
    path = tmp_path / "report.html"
    write_report(path, dataset, results, precisions(dataset, results, iou_types), FACTS)
    text = path.read_text(encoding="utf-8")
    checker = Checker()
    checker.feed(text)
    plain = re.sub(r"data:image[^\"]*", "", text).lower()
    assert checker.open == [] and not re.search("http|url|<script|<link|nan", plain)
    assert all(source.startswith("data:image/jpeg;base64,") for source in checker.sources)
    images = [cv2.imdecode(np.frombuffer(base64.b64decode(source.split(",")[1]), np.uint8),
                           cv2.IMREAD_COLOR) for source in checker.sources]
    assert all(max(image.shape) <= SIDE for image in images)
    return text, images


def cells(text, first):
    """The cells of the first table row that begins with `first`."""
    row = re.search(rf'<tr><td class="text">{re.escape(first)}</td>(.*?)</tr>', text)[1]
    return re.findall(r"<td.*?>(.*?)</td>", row)


def test_report_of_one_result_of_each_kind(make, tmp_path):
    text, images = report(make(OBJECTS), ONE_OF_EACH, tmp_path)
    assert "tiny &lt;b&gt;" in text and "a.pdparams" in text
    assert "<b>Score threshold 0.900</b>" in text
    assert [cells(text, kind)[1] for kind in
            ("correct", "localisation", "wrong class", "missed objects")] == ["1", "0", "0", "2"]
    assert cells(text, "masks")[0] == "0.500" and cells(text, "masks")[-1] == "-"
    assert cells(text, "b")[:2] == ["2", "0.000"]
    assert cells(text, "b")[4:] == ["1 of 1", "1 of 1", "-", "0", "-"]
    assert len(images) == 4 and images[0].shape == (384, 640, 3)
    assert text.index("1.png") < text.index("2.png")                 # one mistake each: the first


def test_colours_tell_found_from_missed_and_kinds(make, tmp_path):
    _, (truth_image, found_image, *_) = report(make(OBJECTS), ONE_OF_EACH, tmp_path)
    found, missed = truth_image[70, 70].astype(int), truth_image[70, 320].astype(int)
    assert found[1] > found[2] + 20 and missed[2] > missed[1] + 20   # green, red
    right = found_image[100, 100].astype(int)
    assert right[1] > right[2] + 20 and np.ptp(found_image[100, 400].astype(int)) < 12


@pytest.mark.parametrize("objects, results, classes", [
    (OBJECTS, [], ("a", "b")), ([], ONE_OF_EACH, ("a", "b")), ([], [], ("a",)),
    (OBJECTS[:1], ONE_OF_EACH[:1], ("a",)), (OBJECTS[2:3], ONE_OF_EACH[5:], ("a",)),
    (OBJECTS, ONE_OF_EACH, [f"kïnd <{number}> & co" for number in range(80)]),
], ids=["no results", "no objects", "nothing", "perfect", "crowd alone", "80 classes"])
def test_report_in_every_situation(make, tmp_path, objects, results, classes):
    text, images = report(make(objects, classes=classes), results, tmp_path)
    assert text.count("<tr>") == 2 + 1 + 6 + 1 + 1 + len(classes)
    if not results:
        assert "No result is correct" in text and len(images) == 2 * bool(objects) * 2
    if not objects:
        assert cells(text, "masks") == ["-"] * 6
    if len(classes) == 80:
        assert "kïnd &lt;79&gt; &amp; co" in text


def test_masks_alone(make, tmp_path):
    text, _ = report(make(OBJECTS), ONE_OF_EACH, tmp_path, ("segm",))
    assert '<td class="text">boxes</td>' not in text and cells(text, "a")[3] == "-"


@pytest.mark.parametrize("size", [(60, 100), (1, 1), (3000, 40), (900, 1400), (3, 70000)])
def test_drawn_images_are_bounded_and_empty_masks_do_no_harm(size):
    whole, empty = np.ones(size, bool), np.zeros(size, bool)
    image = drawn(np.zeros((*size, 3), np.uint8), [(mask_to_rle(whole), "#ff0000", "all"),
                                                   (mask_to_rle(empty), "#00ff00", "none")])
    assert max(image.shape[:2]) == SIDE
    assert (image[..., 2] > 50).any() and not (image[..., 1] > image[..., 2]).any()


def test_lines_lie_where_they_should():
    text = line_chart([("up <1>", "#123456", [0, 1], [0, 1]), ("none", "#654321", [], [])],
                      "x", "y", (0.5, "half"))
    assert 'points="46.0,256.0 446.0,12.0"' in text and "up &lt;1&gt;" in text
    assert text.count("<polyline") == 1 and "M246.0 12" in text and "none" in text


def test_a_report_that_cannot_be_written_is_one_error(make, tmp_path):
    (tmp_path / "file").write_text("x")
    dataset = make(OBJECTS)
    with pytest.raises(UserError, match="report.html"):
        write_report(tmp_path / "file/report.html", dataset, [], precisions(dataset, []), FACTS)
