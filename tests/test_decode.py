"""Decoding: up-sampling against the two full steps, points NMS by hand, crowded, empty images."""
import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
from pycocotools import mask as coco_mask

from model.decode import Decoder, points_nms
from model.instances import Instances, extent
from model.paste import paste
from model.soft_masks import SoftMask, sigmoid


def full_paste(prob, resized_size, original_size, threshold):
    """Both bilinear steps over the whole image, as the original projects do it."""
    x = paddle.to_tensor(prob)[None, None]
    h, w = prob.shape
    x = F.interpolate(x, size=[4 * h, 4 * w], mode="bilinear", align_corners=False)
    x = x[:, :, :int(resized_size[0]), :int(resized_size[1])]
    x = F.interpolate(x, size=list(original_size), mode="bilinear", align_corners=False)
    return x.numpy()[0, 0], x.numpy()[0, 0] > threshold


@pytest.mark.parametrize("seed", range(40))
def test_paste_equals_the_full_computation(seed):
    rng = np.random.default_rng(seed)
    h, w = rng.integers(2, 24, 2)
    resized = rng.uniform(1, 4 * h), rng.uniform(1, 4 * w)
    resized = max(resized[0], 1), max(resized[1], 1)
    original = tuple(int(side) for side in rng.integers(1, 150, 2))
    power = rng.uniform(0.5, 8)                                  # from full to nearly empty masks
    prob = rng.random((h, w)).astype(np.float32) ** power
    values, expected = full_paste(prob, resized, original, 0.5)
    ours = paste(prob, (h, w), resized, original, 0.5)
    mask = Instances([1.0], [0], [ours], original).masks[0]
    assert mask.shape == original
    different = mask != expected
    assert not different[np.abs(values - 0.5) > 1e-5].any()


@pytest.mark.parametrize("seed", range(40))
def test_the_kept_part_of_a_mask_gives_the_same_bits(seed):
    """Everything outside the margin of a SoftMask is without effect, borders included."""
    rng = np.random.default_rng(seed)
    h, w = rng.integers(4, 40, 2)
    resized = rng.integers(1, 4 * h + 1), rng.integers(1, 4 * w + 1)
    original = rng.integers(1, 200, 2)
    logits = np.full((h, w), -9, np.float32)
    top, left = rng.integers(0, h), rng.integers(0, w)
    blob = logits[top:top + rng.integers(1, h + 1), left:left + rng.integers(1, w + 1)]
    blob[:] = rng.normal(rng.uniform(-2, 2), 2, blob.shape)
    kept = SoftMask(logits, 0.0)
    ours = paste(sigmoid(kept.logits), (h, w), resized, original, 0.5, kept.top, kept.left)
    full = paste(sigmoid(logits), (h, w), resized, original, 0.5)
    masks = Instances([1, 1], [0, 0], [ours, full], original).masks
    np.testing.assert_array_equal(masks[0], masks[1])
    assert kept.area == (logits > 0).sum()


@pytest.mark.parametrize("mask, expected", [
    ([[1, 0], [1, 1]], (0, 0, 2, 2)), ([[0, 0, 0], [0, 1, 0]], (1, 1, 2, 2)),
    ([[0, 1, 0, 1], [0, 0, 0, 0]], (0, 1, 1, 4)), ([[0, 0]], (0, 0, 0, 0)), ([[]], (0, 0, 0, 0))])
def test_extent_by_hand(mask, expected):
    assert extent(np.array(mask, bool)) == expected


def test_points_nms_by_hand():
    scores = np.float32([[0.5, 0.4, 0.4], [0.6, 0.1, 0.2], [0.1, 0.1, 0.9]])
    # a score survives if its left, upper and upper-left neighbours are not higher
    expected = np.float32([[0.5, 0, 0.4], [0.6, 0, 0], [0, 0, 0.9]])
    np.testing.assert_allclose(points_nms(scores[None])[0], expected)


def raw_outputs(logits, kernels, features):
    return {"category_logits": [paddle.to_tensor(logits)], "kernels": [paddle.to_tensor(kernels)],
            "mask_features": paddle.to_tensor(features)}


def test_nothing_found_is_an_empty_result():
    outputs = raw_outputs(np.full((2, 3, 4, 4), -9, np.float32), np.zeros((2, 2, 4, 4), np.float32),
                          np.zeros((2, 2, 8, 8), np.float32))
    results = Decoder(strides=(8,))(outputs, [(32, 32), (20, 32)], [(50, 60), (1, 3)])
    assert [r.masks.shape for r in results] == [(0, 50, 60), (0, 1, 3)]
    assert results[0].boxes.shape == (0, 4) and results[0].to_rle() == [] and len(results[0]) == 0


def test_a_mask_not_larger_than_its_stride_is_dropped():
    logits, kernels = np.full((1, 1, 2, 2), -9, np.float32), np.zeros((1, 1, 2, 2), np.float32)
    logits[0, 0, 0, 0], kernels[0, 0, 0, 0] = 3, 1
    features = np.full((1, 1, 8, 8), -20, np.float32)
    features[0, 0, :2, :4] = 20                                  # 8 pixels: not more than stride 8
    outputs = raw_outputs(logits, kernels, features)
    assert len(Decoder(strides=(8,))(outputs, [(32, 32)], [(32, 32)])[0]) == 0
    features[0, 0, 2, 0] = 20
    outputs = raw_outputs(logits, kernels, features)
    result = Decoder(strides=(8,))(outputs, [(32, 32)], [(32, 32)])[0]
    assert len(result) == 1 and result.scores[0] == pytest.approx(1 / (1 + np.exp(-3)), rel=1e-5)
    assert result.boxes[0].tolist() == [0, 0, 16, 12]


def test_crowded_image_keeps_the_best_hundred():
    rng = np.random.default_rng(0)
    logits = rng.uniform(0, 3, (1, 80, 12, 12)).astype(np.float32)      # thousands of candidates
    outputs = raw_outputs(logits, rng.standard_normal((1, 8, 12, 12)).astype(np.float32),
                          rng.standard_normal((1, 8, 16, 16)).astype(np.float32))
    result = Decoder(strides=(8,))(outputs, [(64, 60)], [(90, 100)])[0]
    assert len(result) == 100 and (result.scores >= 0.05).all()
    assert (np.diff(result.scores) <= 0).all()
    full = result.masks
    for box, mask in zip(result.boxes, full, strict=True):
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        tight = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1] if len(rows) else [0, 0, 0, 0]
        assert box.tolist() == tight


def test_rle_round_trip_and_select():
    crop = np.array([[True, False], [True, True]])
    found = Instances([0.9, 0.8], [3, 1], [(2, 1, crop), (0, 0, np.zeros((0, 0), bool))], (6, 5))
    for rle, mask in zip(found.to_rle(), found.masks, strict=True):
        np.testing.assert_array_equal(coco_mask.decode(rle).astype(bool), mask)
    assert found.boxes.tolist() == [[1, 2, 3, 4], [0, 0, 0, 0]]
    assert found.select(found.scores > 0.85).class_indices.tolist() == [3]


@pytest.mark.parametrize("seed", range(30))
def test_rle_from_the_crop_is_that_of_pycocotools(seed):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 12, 2)
    top, left = rng.integers(0, height), rng.integers(0, width)
    shape = rng.integers(1, height - top + 1), rng.integers(1, width - left + 1)
    crop = rng.random(shape) < rng.choice([0.1, 0.5, 0.9, 1.0])       # full columns, empty masks
    found = Instances([1], [0], [(top, left, crop)], (height, width))
    expected = coco_mask.encode(np.asfortranarray(found.masks[0], np.uint8))
    assert found.to_rle()[0]["counts"] == expected["counts"].decode()
    assert np.array_equal(found.masks[0][top:top + shape[0], left:left + shape[1]], crop)


@pytest.mark.parametrize("kernel", ["gaussian", "linear"])
@pytest.mark.parametrize("seed", range(12))
def test_drawing_until_nothing_can_change_equals_drawing_everything(seed, kernel, monkeypatch):
    rng = np.random.default_rng(seed)
    grid, channels = 12, 6
    logits = rng.normal(rng.uniform(-4, 0), 2, (1, 3, grid, grid)).astype(np.float32)
    kernels = rng.integers(-3, 4, (1, channels, grid, grid)).astype(np.float32)
    features = rng.integers(-3, 4, (1, channels, 9, 13)).astype(np.float32)   # exact products
    outputs = {"category_logits": [logits], "kernels": [kernels], "mask_features": features}
    decoder = Decoder((8,), max_candidates=int(rng.integers(5, 200)), nms_kernel=kernel,
                      max_per_image=int(rng.integers(1, 40)))
    results = []
    for chunk in (4, 10 ** 6):
        monkeypatch.setattr("model.soft_masks.CHUNK", chunk)
        results += decoder(outputs, [(36, 50)], [(50, 70)])
    lazy, everything = results
    assert len(everything) > 0
    np.testing.assert_array_equal(lazy.scores, everything.scores)
    np.testing.assert_array_equal(lazy.class_indices, everything.class_indices)
    np.testing.assert_array_equal(lazy.masks, everything.masks)
