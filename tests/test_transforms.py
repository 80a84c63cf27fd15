"""Pre-processing against the stored outputs of the original readers; transforms by hand."""
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from config import get_config
from model.targets import mass_centers
from tests.samples import sample
from tools.data.transforms import (
    Normalize,
    Preprocess,
    Resize,
    pad_to_divisor,
    resize_image,
    resized_size,
)
from tools.errors import UserError

GOLDEN = Path(__file__).resolve().parents[2] / "shared" / "golden" / "data"
needs_golden = pytest.mark.skipif(not GOLDEN.is_dir(), reason="needs ../shared/golden")

RGB = {"channel_order": "rgb", "pixel_mean": (123.675, 116.28, 103.53),
       "pixel_std": (58.395, 57.12, 57.375), "resize_library": "cv2", "normalize_first": False,
       "resized_size_rule": "round", "test_short_side": 800, "test_max_side": 1333}
PADDLE_22 = {**RGB, "normalize_first": True, "resized_size_rule": "fractional"}
FAMILIES = {
    "wxinlong_800": RGB,
    "adelaidet_800": {**RGB, "channel_order": "bgr", "pixel_mean": (103.53, 116.28, 123.675),
                      "pixel_std": (1.0, 1.0, 1.0), "resize_library": "pil"},
    "paddledet05_800": {**RGB, "resized_size_rule": "fractional"},
    "paddledet22_800": PADDLE_22,
    "paddledet22_512": {**PADDLE_22, "test_short_side": 512, "test_max_side": 852},
    "paddledet27_800": {**RGB, "normalize_first": True},
    "paddledet27_512": {**RGB, "normalize_first": True, "test_short_side": 512,
                        "test_max_side": 852},
}


def golden(name):
    data = np.load(GOLDEN / f"preprocess__{name}.npz")
    return data, np.ascontiguousarray(data["original_image"][..., ::-1])


@needs_golden
@pytest.mark.parametrize("name", FAMILIES)
def test_preprocessing_of_the_original_projects(name):
    data, image = golden(name)
    if "pil" in FAMILIES[name].values():
        pytest.importorskip("PIL")
    network_image, size = Preprocess(SimpleNamespace(**FAMILIES[name]))(image)
    np.testing.assert_allclose(size, data["resized_size"], rtol=1e-6)
    padded = pad_to_divisor([network_image], 32)[0]
    assert padded.dtype == np.float32 and list(padded.shape) == data["input_shape"].tolist()
    np.testing.assert_allclose(padded[:, ::4, ::4], data["input_sub4"], rtol=0, atol=1e-5)
    np.testing.assert_allclose([padded.mean(dtype=np.float64), padded.std(dtype=np.float64)],
                               data["input_stats"], rtol=1e-6)


@needs_golden
@pytest.mark.parametrize("name", ["wxinlong_800", "adelaidet_800"])
def test_resized_pixels_are_bit_equal(name):
    data, image = golden(name)
    if name.startswith("adelaidet"):
        pytest.importorskip("PIL")
    resized, _ = resize_image(image, 800, 1333, FAMILIES[name]["resize_library"])
    np.testing.assert_array_equal(resized[::4, ::4, ::-1], data["resized_image_sub4"])


@needs_golden
@pytest.mark.parametrize("name", [name for name in FAMILIES if name.startswith("paddledet2")])
def test_training_resize_of_paddledetection(name):
    data, image = golden(name)
    count, height, width = data["train_original_mask_shape"]
    masks = np.unpackbits(data["train_original_mask_packed"], axis=-1)[..., :width].astype(bool)
    before = {"image": image, "masks": masks, "boxes": data["train_original_box"]}
    short_side, max_side = data["train_target_size"].tolist()
    after = Resize(short_side, max_side, "cv2", FAMILIES[name]["resized_size_rule"])(before, None)
    np.testing.assert_array_equal(after["image"][::4, ::4, ::-1], data["train_resized_image_sub4"])
    np.testing.assert_array_equal(np.packbits(after["masks"], axis=-1), data["train_mask_packed"])
    np.testing.assert_allclose(after["boxes"], data["train_box"], rtol=1e-6)
    normalized = Normalize("rgb", RGB["pixel_mean"], RGB["pixel_std"]).normalize(after["image"])
    np.testing.assert_allclose(normalized.transpose(2, 0, 1)[:, ::4, ::4],
                               data["train_input_sub4"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("size, rule, expected", [
    ((480, 640), "round", (800, 1067)), ((640, 480), "round", (1067, 800)),
    ((300, 1000), "round", (400, 1333)), ((800, 1333), "round", (800, 1333)),
    ((480, 640), "two_steps", (800, 1067)), ((300, 1000), "two_steps", (400, 1333)),
    ((100, 100), "two_steps", (800, 800)), ((480, 640), "fractional", (800, 640 * 800 / 480))])
def test_resized_size(size, rule, expected):
    found = resized_size(size, 800, 1333, rule)
    assert found == pytest.approx(expected, rel=1e-12)
    assert all(isinstance(side, float if rule == "fractional" else int) for side in found)


def test_wrong_names_are_refused():
    with pytest.raises(UserError, match="resized_size_rule 'up'"):
        resized_size((4, 4), 8, 8, "up")
    with pytest.raises(UserError, match="resize_library 'gd'"):
        resize_image(np.zeros((4, 4, 3), np.uint8), 8, 8, "gd")
    with pytest.raises(UserError, match="channel_order 'gbr'"):
        Normalize("gbr", (0, 0, 0), (1, 1, 1))


def test_normalize_is_the_formula_in_the_channel_order():
    image = sample()["image"]
    mean, std = (10.0, 20.0, 30.0), (2.0, 3.0, 4.0)
    rgb = Normalize("rgb", mean, std).normalize(image)
    assert rgb.dtype == np.float32 and rgb.shape == image.shape
    np.testing.assert_allclose(rgb, (image[..., ::-1] - np.array(mean)) / std, rtol=1e-6)
    np.testing.assert_allclose(Normalize("rgb", mean, std).normalize(np.float32(image)), rgb)
    bgr = Normalize("bgr", mean, std).normalize(image)
    np.testing.assert_allclose(bgr, (image - np.array(mean)) / std, rtol=1e-6)


def test_pillow_resizes_floats_as_it_resizes_bytes():
    pytest.importorskip("PIL")
    image = sample()["image"]
    floats, size = resize_image(np.float32(image), 25, 100, "pil")
    assert floats.dtype == np.float32 and floats.shape == (*size, 3)
    np.testing.assert_allclose(floats, resize_image(image, 25, 100, "pil")[0], atol=1)


def test_resize_scales_and_clips_boxes_and_keeps_objects():
    before = sample()
    before["boxes"][0] = [-5, 3, 70, 50]
    after = Resize(20, 1000)(before, None)
    assert after["image"].shape == (20, 30, 3) and after["masks"].shape == (3, 20, 30)
    np.testing.assert_array_equal(after["boxes"][0], [0, 1.5, 30, 20])
    np.testing.assert_array_equal(after["boxes"][1:], before["boxes"][1:] / 2)
    assert after["boxes"].dtype == np.float32 and after["masks"].dtype == bool


def test_a_mask_may_vanish_when_it_shrinks():
    before = sample(count=1)
    before["masks"][:] = False
    before["masks"][0, 1, 1] = True
    after = Resize(10, 1000)(before, None)
    assert after["masks"].shape == (1, 10, 15) and not after["masks"].any()


def test_pad_fills_right_and_bottom_with_zeros():
    images = [np.ones((3, 5, 9), np.float32), np.ones((3, 8, 4), np.float32)]
    batch = pad_to_divisor(images, 8)
    assert batch.shape == (2, 3, 8, 16) and batch.dtype == np.float32
    assert batch[0].sum() == images[0].size and batch[0, :, :5, :9].all()
    assert batch[1].sum() == images[1].size and batch[1, :, :8, :4].all()


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 2)])
def test_extreme_images_can_be_preprocessed(size):
    settings = SimpleNamespace(**{**RGB, "test_short_side": 64, "test_max_side": 96})
    image, resized = Preprocess(settings)(np.zeros((*size, 3), np.uint8))
    assert image.shape == (3, *resized) and min(resized) >= 1


@pytest.mark.parametrize("rule", ["round", "fractional"])
@pytest.mark.parametrize("size", [(1, 4000), (4000, 1), (1, 1), (7, 900)])
def test_extreme_shapes_keep_at_least_a_pixel(size, rule):
    cfg = get_config("quickstart", resized_size_rule=rule)
    image, resized = Preprocess(cfg)(np.full((*size, 3), 128, np.uint8))
    assert min(image.shape[1:]) >= 1 and min(resized) >= 1
    assert abs(image.shape[1] - resized[0]) <= 1 and abs(image.shape[2] - resized[1]) <= 1


@pytest.mark.parametrize("exact, shift", [(False, (0.2, 0.6)), (True, (-0.06, 0.06))])
def test_masks_stay_on_their_image_where_that_is_asked_for(exact, shift):
    """The mean way from the object in the image to its mask, in pixels of the result."""
    rng, moved = np.random.default_rng(0), []
    for side in rng.integers(50, 150, 60).tolist():
        mask = np.zeros((1, 100, 100), bool)
        top, left = rng.integers(10, 60, 2)
        mask[0, top:top + 23, left:left + 31] = True
        sample = {"image": np.repeat(np.uint8(mask[0] * 200)[..., None], 3, 2), "masks": mask,
                  "boxes": np.float32([[left, top, left + 31, top + 23]])}
        resized = Resize(side, side, exact=exact)(sample, None)
        weights = resized["image"][..., 0] / 200
        center = [(weights.sum(axis) @ np.arange(side)) / weights.sum() for axis in (1, 0)]
        moved += [one[0] - other for one, other in
                  zip(mass_centers(resized["masks"])[:2], center, strict=True)]
    assert shift[0] <= np.mean(moved) <= shift[1], moved
