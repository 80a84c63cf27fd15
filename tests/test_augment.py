"""Random changes of samples: each by hand, and all of them leave image, masks and boxes aligned."""
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from tests.samples import PAINT, painted, sample
from tools.data import augment
from tools.data.augment import (
    ColorDistortion,
    Compose,
    LargeScaleJitter,
    RandomCrop,
    RandomFlip,
    RandomResize,
    paste_objects,
    train_transforms,
)
from tools.data.masks import masks_to_boxes

SETTINGS = {"channel_order": "rgb", "pixel_mean": (0.0, 0.0, 0.0), "pixel_std": (1.0, 1.0, 1.0),
            "resize_library": "cv2", "resized_size_rule": "round", "smooth_masks": False,
            "color_distortion": False,
            "random_crop": True, "flip_probability": 0.5, "train_short_sides": (32, 48, 130),
            "train_max_side": 160, "jitter_scales": ()}


def transforms(**changes):
    return train_transforms(SimpleNamespace(**{**SETTINGS, **changes}))


def test_random_resize_uses_every_side_and_respects_the_cap():
    resize = RandomResize((10, 20, 30), 40)
    rng = np.random.default_rng(0)
    sizes = {resize(sample(), rng)["image"].shape[:2] for _ in range(60)}
    assert sizes == {(10, 15), (20, 30), (27, 40)}


def test_flip_twice_is_the_identity_and_once_mirrors():
    before = sample()
    once = RandomFlip(1.0)(before, np.random.default_rng(0))
    np.testing.assert_array_equal(once["image"], before["image"][:, ::-1])
    np.testing.assert_array_equal(once["boxes"], masks_to_boxes(once["masks"]))
    twice = RandomFlip(1.0)(once, np.random.default_rng(0))
    for key in ("image", "masks", "boxes"):
        np.testing.assert_array_equal(twice[key], before[key])
    assert RandomFlip(0.0)(before, np.random.default_rng(0)) is before


def test_color_distortion_is_unclipped_float_and_varies():
    before = sample()
    results = [ColorDistortion()(before, np.random.default_rng(k))["image"] for k in range(40)]
    assert all(image.dtype == np.float32 and image.shape == (40, 60, 3) for image in results)
    assert sum(not np.array_equal(image, before["image"]) for image in results) >= 30
    assert max(image.max() for image in results) > 300                       # contrast, not clipped


@pytest.mark.parametrize("change", ["brightness", "contrast", "saturation", "hue"])
def test_distortions_by_the_formulas_of_paddledetection(change):
    """In RGB and float64, as its RandomDistort computes them."""
    image = np.random.default_rng(1).uniform(0, 255, (4, 5, 3)).astype(np.float32)       # BGR
    number = np.random.default_rng(2).uniform(*((-18, 18) if change == "hue" else (0.5, 1.5)))
    rgb = image[..., ::-1].astype(float)
    cos, sin = np.cos(number * np.pi), np.sin(number * np.pi)
    turn = augment.RGB_OF_YIQ @ np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]]) @ augment.YIQ
    grey = (rgb * [0.299, 0.587, 0.114]).sum(2, keepdims=True)
    expected = {"brightness": rgb + number, "contrast": rgb * number, "hue": rgb @ turn.T,
                "saturation": number * rgb + (1 - number) * grey}[change]
    changed = getattr(ColorDistortion, change)(image, np.random.default_rng(2))
    np.testing.assert_allclose(changed[..., ::-1], expected, atol=2e-3)


def test_crop_cuts_everything_alike():
    cropped = 0
    for seed in range(40):
        before = sample(count=4, seed=seed)
        after = RandomCrop()(before, np.random.default_rng(seed))
        if after is before:
            continue
        cropped += 1
        height, width = after["image"].shape[:2]
        assert 0.3 * 40 * 0.7 - 2 <= height <= 40 and 0.3 * 60 * 0.7 - 2 <= width <= 60
        assert after["masks"].shape[1:] == (height, width)
        assert len(after["masks"]) == len(after["boxes"]) == len(after["class_indices"]) > 0
        np.testing.assert_array_equal(after["boxes"], masks_to_boxes(after["masks"]))
        assert set(after["class_indices"]) <= {0, 1, 2, 3}
    assert cropped >= 25


def test_crop_drops_objects_whose_centre_is_outside():
    before = sample(count=1)
    before["boxes"] = np.float32([[0, 0, 10, 10], [30, 20, 50, 40]])
    inside = augment.centers_inside(before["boxes"], (20, 10, 60, 40))
    assert inside.tolist() == [False, True]


def test_crop_drops_objects_without_a_pixel_inside():
    """A ring around the window has its centre inside and no pixel."""
    masks = np.zeros((2, 20, 20), bool)
    masks[0], masks[0, 2:18, 2:18], masks[1, 8:12, 8:12] = True, False, True
    assert augment.centers_inside(masks_to_boxes(masks), (5, 5, 15, 15)).all()
    assert augment.masks_inside(masks, (5, 5, 15, 15)).tolist() == [False, True]


def test_crop_reaches_the_overlap_it_drew(monkeypatch):
    monkeypatch.setattr(augment, "CROP_OVERLAPS", (0.5,))
    best = []
    for seed in range(60):
        before = sample(20, 20, 1, seed)
        after = RandomCrop()(before, np.random.default_rng(seed))
        if after is not before:
            window = np.prod(after["image"].shape[:2])
            shared, area = after["masks"].sum(), before["masks"].sum()
            best.append(shared / (window + area - shared))
    assert best and min(best) >= 0.5


def test_box_iou_by_hand():
    boxes = np.float32([[0, 0, 4, 4], [2, 2, 6, 6], [8, 8, 9, 9]])
    np.testing.assert_allclose(augment.box_iou(boxes, (0, 0, 4, 4)), [1, 4 / 28, 0], rtol=1e-6)


def test_large_scale_jitter_fits_the_square_and_crops_to_it():
    before, shapes = sample(40, 60), []
    for seed in range(60):
        after = LargeScaleJitter((0.5, 2.0), 30)(before, np.random.default_rng(seed))
        shapes.append(after["image"].shape[:2])
        assert max(shapes[-1]) <= 30 and after["masks"].shape[1:] == shapes[-1]
        assert after["masks"].any((1, 2)).all()
    assert (30, 30) in shapes and min(width for _, width in shapes) in (15, 16)
    assert all(abs(height - width * 2 / 3) <= 1 for height, width in shapes if width < 30)


def test_pasting_by_hand(monkeypatch):
    monkeypatch.setattr(augment, "PASTED_SHARE", 1.0)                                # all of them
    host, donor = sample(20, 30, 3), sample(24, 16, 2)
    host["masks"][:], donor["masks"][:] = False, False
    host["masks"][0, 2:6, 2:6] = True                                                # stays
    host["masks"][1, 10:14, 8:12] = True                                             # half covered
    host["masks"][2, 10:12, 5:8] = True                                              # vanishes
    donor["masks"][0, 8:16, 4:10] = True
    donor["masks"][1, 21:24, 0:4] = True                                       # below the host
    after = paste_objects(host, donor, np.random.default_rng(0))
    assert after["class_indices"].tolist() == [0, 1, 0]
    assert after["boxes"].tolist() == [[2, 2, 6, 6], [10, 10, 12, 14], [4, 8, 10, 16]]
    assert after["masks"][2].sum() == 48 and after["masks"][2, 8:16, 4:10].all()
    changed = (after["image"] != host["image"]).any(2)
    assert not changed[~after["masks"][2]].any()
    np.testing.assert_array_equal(after["image"][8:16, 4:10], donor["image"][8:16, 4:10])


def test_pasting_takes_a_random_subset_or_nothing():
    host, donor = sample(count=0), sample(count=6)
    counts = {len(paste_objects(host, donor, np.random.default_rng(seed))["masks"])
              for seed in range(60)}
    assert {2, 3, 4} <= counts
    same = paste_objects(donor, host, np.random.default_rng(0))
    np.testing.assert_array_equal(same["image"], donor["image"])


def pasted(before, rng):
    other = Compose([RandomResize((80, 100), 200), RandomFlip()])(painted(99, first=6), rng)
    return paste_objects(before, other, rng)


@pytest.mark.parametrize("transform", [
    RandomCrop(), RandomResize((40, 90, 150), 200), RandomFlip(), pasted,
    RandomResize((40, 90, 150), 200, "pil"), RandomResize((50, 120), 200, "cv2", "fractional"),
    LargeScaleJitter((0.4, 2.0), 120),
    Compose([transforms(), pasted]), Compose([transforms(jitter_scales=(0.4, 1.2)), pasted]),
], ids=["crop", "resize", "flip", "paste", "pillow", "fractional", "jitter", "all", "all-jitter"])
def test_image_masks_and_boxes_stay_aligned(transform):
    """Every object carries its class as its colour, away from borders that interpolation mixes."""
    cores = 0
    for seed in range(12):
        after = transform(painted(seed), np.random.default_rng(seed))
        image, masks = after["image"].astype(float), after["masks"]
        assert masks.shape == (len(after["boxes"]), *image.shape[:2])
        for mask, box, class_index in zip(masks, after["boxes"], after["class_indices"],
                                          strict=True):
            drawn = np.abs(image - PAINT * class_index).max(2) < 0.5
            assert drawn[core(mask)].all() and mask[core(drawn)].all(), seed
            cores += core(mask).any()
            tight = masks_to_boxes(mask[None])[0]
            assert (box[:2] <= tight[:2] + 2).all() and (box[2:] >= tight[2:] - 2).all(), seed
            assert (box >= 0).all() and (box[2:] <= np.array(mask.shape[::-1]) + 1).all(), seed
    assert cores >= 12


def core(mask):
    """The pixels of a mask that are more than 5 from its border."""
    return cv2.erode(mask.astype(np.uint8), np.ones((11, 11), np.uint8), borderValue=0,
                     borderType=cv2.BORDER_CONSTANT).astype(bool)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_all_training_transforms_in_a_row(count):
    pipeline = transforms(color_distortion=True, train_short_sides=(32, 48), train_max_side=64)
    assert isinstance(pipeline, Compose)
    for seed in range(5):
        before = sample(count=count)
        kept = {key: np.copy(before[key]) for key in ("image", "masks", "boxes")}
        after = pipeline(before, np.random.default_rng(seed))
        again = pipeline(before, np.random.default_rng(seed))
        assert after["image"].dtype == np.float32 and max(after["image"].shape) <= 64
        assert after["masks"].shape == (len(after["boxes"]), *after["image"].shape[:2])
        assert after["boxes"].dtype == np.float32 and after["boxes"].shape[1] == 4
        for key in kept:
            np.testing.assert_array_equal(before[key], kept[key])        # input left alone
            np.testing.assert_array_equal(after[key], again[key])        # same seed, same result
