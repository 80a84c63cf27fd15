"""Drawing: what is touched and what is not, degenerate masks, labels inside the image and apart."""
import itertools

import cv2
import numpy as np
import pytest

from model.instances import Instances
from tools.inference import visualize
from tools.inference.visualize import Label, color_of, draw, overlap, place_label

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
        visualize.draw_label(canvas, label)
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
    visualize.draw_label(np.zeros((50, 50, 3), np.uint8),
                         Label("a", color, (0, 0, 20, 20), (2, 15), 0.5, 1))
    assert inks == [(ink,) * 3]


@pytest.mark.parametrize("name, shown", [("dog", "dog"), ("café", "cafe"), ("苹果", "class 0")])
def test_names_that_the_font_lacks(name, shown):
    assert visualize.ascii_name((name,), 0) == shown
