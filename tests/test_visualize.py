"""Drawing: what is touched and what is not, degenerate masks, labels inside the image and apart."""
import itertools

import cv2
import numpy as np
import pytest

from model.instances import Instances
from tools.inference import text, visualize
from tools.inference.labels import (
    Label,
    draw_label,
    largest_part,
    legend_labels,
    overlap,
    place_label,
)
from tools.inference.text import OPENCV_HAS_FONTS, drawable_name, find_font
from tools.inference.visualize import color_of, draw

NAMES = ("circle", "long class name with spaces")


def instances_of(*boxes, size=(200, 300), scores=None, classes=None):
    """Instances whose masks are the rectangles (x1, y1, x2, y2)."""
    crops = [(y1, x1, np.ones((y2 - y1, x2 - x1), bool)) for x1, y1, x2, y2 in boxes]
    scores = np.linspace(0.9, 0.5, len(boxes)) if scores is None else scores
    return Instances(scores, classes or [0] * len(boxes), crops, size)


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)


def test_nothing_found_is_a_plain_copy(image):
    drawn = draw(image, instances_of(), NAMES, 0.3)
    assert np.array_equal(drawn, image) and drawn is not image


def test_below_the_threshold_is_not_drawn(image):
    found = instances_of((50, 80, 120, 150), (200, 100, 260, 160), scores=[0.9, 0.3])
    only_first = instances_of((50, 80, 120, 150), scores=[0.9])
    assert np.array_equal(draw(image, found, NAMES, 0.5), draw(image, only_first, NAMES, 0.5))
    assert not np.array_equal(draw(image, found, NAMES, 0.3), draw(image, found, NAMES, 0.5))


def test_fill_is_translucent_and_local(image):
    before = image.copy()
    drawn = draw(image, instances_of((100, 60, 180, 140)), NAMES, 0.3)
    assert np.array_equal(image, before) and drawn.dtype == np.uint8 and drawn.shape == image.shape
    expected = image[100, 150] * (1 - visualize.OPACITY) + np.array(color_of(0)) * visualize.OPACITY
    assert np.abs(drawn[100, 150] - expected).max() <= 1
    assert np.array_equal(drawn[170:], image[170:])
    assert np.array_equal(drawn[:, 190:], image[:, 190:])


def test_small_objects_stay_visible_on_large_ones():
    image = np.zeros((200, 300, 3), np.uint8)
    drawn = draw(image, instances_of((140, 90, 160, 110), (20, 30, 280, 190)), NAMES, 0.3)
    share = visualize.OPACITY                          # of the small one, drawn over the large one
    expected = share * np.array(color_of(0)) + (1 - share) * share * np.array(color_of(1))
    assert np.abs(drawn[100, 150] - expected).max() <= 2


def test_colours_are_distinct_and_belong_to_the_rank():
    colors = [np.array(color_of(rank)) for rank in range(12)]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(colors, 2)) > 25
    assert all(0 <= channel <= 255 for color in colors for channel in color)
    assert color_of(3) == color_of(3)


@pytest.mark.parametrize("size, box", [
    ((200, 300), (0, 0, 1, 1)), ((200, 300), (299, 199, 300, 200)), ((1, 40), (3, 0, 9, 1)),
    ((40, 1), (0, 3, 1, 9)), ((1, 1), (0, 0, 1, 1)), ((7, 5), (0, 0, 5, 7))])
def test_degenerate_masks_and_images(size, box):
    image = np.zeros((*size, 3), np.uint8)
    drawn = draw(image, instances_of(box, size=size), NAMES, 0.3)
    assert drawn.shape == image.shape and drawn[box[1], box[0]].any()


def test_empty_mask_is_left_out(image):
    empty = Instances([0.9], [0], [(0, 0, np.zeros((0, 0), bool))], (200, 300))
    assert np.array_equal(draw(image, empty, NAMES, 0.3), image)


def test_gray_image_becomes_bgr(image):
    gray = np.ascontiguousarray(image[..., 0])
    drawn = draw(gray, instances_of((100, 60, 180, 140)), NAMES, 0.3)
    assert drawn.shape == (200, 300, 3) and np.array_equal(drawn[190], np.stack([gray[190]] * 3, 1))
    assert np.array_equal(draw(gray[..., None], instances_of(), NAMES, 0.3)[..., 1], gray)


@pytest.mark.parametrize("shape, dtype", [((200, 300, 3), np.float32), ((200, 300, 4), np.uint8),
                                          ((300, 200, 3), np.uint8)])
def test_wrong_image_is_refused(shape, dtype):
    with pytest.raises(ValueError, match="expected|both must"):
        draw(np.zeros(shape, dtype), instances_of(), NAMES, 0.3)


def inside(label, size):
    x1, y1, x2, y2 = label.box
    return 0 <= x1 < x2 <= size[1] and 0 <= y1 < y2 <= size[0]


@pytest.mark.parametrize("size", [(100, 110), (480, 640), (2160, 3840)])
@pytest.mark.parametrize("fx, fy", list(itertools.product((0, 0.5, 1), repeat=2)))
def test_label_stays_inside(size, fx, fy):
    top, left = int(fy * (size[0] - 4)), int(fx * (size[1] - 4))
    for name in NAMES:
        label = place_label(f"{name} 0.87", (9, 9, 9), (top, left, np.ones((4, 4), bool)), size, [])
        assert label is None and size[1] == 110 or inside(label, size)


def test_text_stays_in_its_box():
    for size in ((120, 160), (480, 640), (1500, 2000)):
        canvas = np.zeros((*size, 3), np.uint8)
        crop = (size[0] // 2, size[1] // 2, np.ones((9, 9), bool))
        label = place_label("gjpqy|W 0.87", (9, 9, 9), crop, size, [])
        draw_label(canvas, label)
        x1, y1, x2, y2 = label.box
        assert canvas[y1:y2, x1:x2].max() > 200
        canvas[y1:y2, x1:x2] = 0
        assert not canvas.any()


def test_labels_avoid_each_other():
    crop, labels = (200, 300, np.ones((60, 60), bool)), []
    for _ in range(4):
        labels.append(place_label("person 0.87", (9, 9, 9), crop, (480, 640), labels))
    assert not any(overlap(a.box, b.box) for a, b in itertools.combinations(labels, 2))


def test_overlap():
    assert overlap((0, 0, 4, 4), (2, 3, 9, 9)) == 2
    assert overlap((0, 0, 4, 4), (4, 0, 9, 9)) == 0


def test_label_grows_with_the_image():
    crop = (10, 10, np.ones((9, 9), bool))
    small, large = (place_label("a 0.5", (9, 9, 9), crop, size, []) for size in
                    ((480, 640), (2160, 3840)))
    assert large.scale > 3 * small.scale


@pytest.mark.parametrize("color, ink", [((0, 255, 255), 0), ((120, 0, 40), 255)])
def test_text_is_black_or_white_by_luminance(monkeypatch, color, ink):
    inks = []
    monkeypatch.setattr(cv2, "putText", lambda *args: inks.append(args[5]))
    draw_label(np.zeros((50, 50, 3), np.uint8),
                         Label("a", color, (0, 0, 20, 20), (2, 15), 0.5, 1))
    assert inks == [(ink,) * 3]


@pytest.mark.parametrize("name, shown", [("dog", "dog"), ("two\nlines", "two lines"),
                                         ("", "class 0"), ("\uffff", "class 0")])
def test_names_that_can_be_drawn_and_not(name, shown):
    assert drawable_name((name,), 0) == shown


@pytest.mark.parametrize("name, without", [("café", "cafe"), ("苹果", "class 0"),
                                           ("Яблоко", "class 0")])
def test_names_in_other_scripts_wherever_there_is_a_font(name, without):
    drawable = OPENCV_HAS_FONTS or find_font(frozenset(name))
    assert drawable_name((name,), 0) == (name if drawable else without)


def test_a_font_of_the_system_draws_what_opencv_cannot(monkeypatch):
    monkeypatch.setattr(text, "by_opencv", str.isascii)
    if find_font(frozenset("Яблоко")) is None:
        pytest.skip("no font with Cyrillic letters on this computer")
    canvas = np.zeros((480, 640, 3), np.uint8)
    label = place_label("Яблоко 0.87", (9, 9, 9), (200, 300, np.ones((9, 9), bool)), (480, 640), [])
    draw_label(canvas, label)
    x1, y1, x2, y2 = label.box
    assert canvas[y1:y2, x1:x2].max() > 200
    canvas[y1:y2, x1:x2] = 0
    assert not canvas.any()


def test_label_sits_at_the_largest_part():
    mask = np.zeros((400, 600), bool)
    mask[0, 0] = mask[300:360, 400:500] = True         # a stray speck far from the object
    top, left, part = largest_part((10, 20, mask))
    assert (top, left, part.shape) == (310, 420, (60, 100)) and part.all()
    label = place_label("circle 0.87", (9, 9, 9), (0, 0, mask), (400, 600), [])
    assert label.box[1] > 240 and label.box[0] > 300


def test_tiny_images_are_not_covered_by_labels():
    image = np.zeros((64, 64, 3), np.uint8)
    drawn = draw(image, instances_of((20, 20, 44, 44), size=(64, 64)), NAMES, 0.3)
    assert not drawn[:15].any() and not drawn[50:].any() and drawn[32, 32].any()


def test_colors_of_classes_and_tracks(image):
    found = instances_of((10, 80, 60, 150), (200, 100, 260, 160), (100, 20, 150, 60),
                         classes=[0, 1, 0])
    colors, legend = visualize.colors_of(found, np.arange(3), NAMES, "class")
    assert colors == [color_of(0), color_of(1), color_of(0)]
    assert legend == [(color_of(0), "circle: 2"), (color_of(1), f"{NAMES[1]}: 1")]
    with pytest.raises(ValueError, match="'track' in a video"):
        draw(image, found, NAMES, 0.3, "track")
    found.track_ids = np.array([7, 3, 9])
    colors, legend = visualize.colors_of(found, np.arange(3), NAMES, "track")
    assert colors == [color_of(7), color_of(3), color_of(9)]
    assert [text for _, text in legend] == [f"#3 {NAMES[1]}", "#7 circle", "#9 circle"]
    assert not np.array_equal(draw(image, found, NAMES, 0.3, "track"),
                              draw(image, found, NAMES, 0.3, "class"))


def test_legend_takes_a_free_corner_and_counts_what_does_not_fit():
    taken = [(0, 0, 640, 200), (0, 100, 300, 480)]
    entries = [(color_of(index), f"class {index}: 1") for index in range(50)]
    labels = legend_labels(entries, (480, 640), taken)
    assert all(inside(label, (480, 640)) and label.box[1] >= 190 and label.box[0] > 300
               for label in labels)
    assert labels[-1].text == f"+ {50 - len(labels) + 1}" and len(labels) > 5
    assert legend_labels(entries, (40, 40), []) == [] and legend_labels([], (480, 640), []) == []


def test_ground_truth_has_no_score(image, monkeypatch):
    texts = []
    monkeypatch.setattr(visualize, "place_label", lambda text, *_: texts.append(text))
    draw(image, instances_of((100, 60, 180, 140)), NAMES, 0.0, with_scores=False)
    draw(image, instances_of((100, 60, 180, 140)), NAMES, 0.0)
    assert texts == ["circle", "circle 0.90"]
