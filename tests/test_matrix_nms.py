"""Matrix NMS against the formula of the paper in a slow loop."""
import numpy as np
import pytest

from model.matrix_nms import count_bits, matrix_nms


def slow_nms(masks, classes, scores, kernel, sigma):
    def iou(i, j):
        if classes[i] != classes[j]:
            return 0.0
        return (masks[i] & masks[j]).sum() / (masks[i] | masks[j]).sum()

    decayed = []
    for j in range(len(scores)):
        decay = 1.0
        for i in range(j):
            covered = max((iou(k, i) for k in range(i)), default=0.0)
            own = iou(i, j)
            if kernel == "gaussian":
                factor = np.exp(-sigma * own ** 2) / np.exp(-sigma * covered ** 2)
            else:
                factor = (1 - own) / (1 - covered)
            decay = min(decay, factor)
        decayed.append(scores[j] * decay)
    return decayed


def run(masks, classes, scores, kernel="gaussian", sigma=2.0):
    crops = [(0, 0, mask) for mask in masks]
    return matrix_nms(crops, classes, scores.astype(np.float32), kernel, sigma)


@pytest.mark.parametrize("kernel", ["gaussian", "linear"])
@pytest.mark.parametrize("seed", range(5))
def test_equals_the_loop(kernel, seed):
    rng = np.random.default_rng(seed)
    masks = rng.random((12, 6, 7)) < 0.5
    masks[:, 0, 0] = True
    classes, scores = rng.integers(0, 3, 12), np.sort(rng.random(12))[::-1].copy()
    expected = slow_nms(masks, classes, scores, kernel, 2.0)
    np.testing.assert_allclose(run(masks, classes, scores, kernel), expected, rtol=1e-5)


def test_a_duplicate_decays_and_another_class_does_not():
    mask = np.ones((3, 4, 4), bool)
    scores = run(mask, np.array([0, 0, 1]), np.array([0.9, 0.8, 0.7]))
    np.testing.assert_allclose(scores, [0.9, 0.8 * np.exp(-2), 0.7], rtol=1e-6)


def test_one_instance_and_a_wrong_kernel():
    assert run(np.ones((1, 2, 2), bool), np.array([0]), np.array([0.4])) == pytest.approx([0.4])
    with pytest.raises(ValueError, match="nms_kernel"):
        run(np.ones((1, 2, 2), bool), np.array([0]), np.array([0.4]), "cosine")


@pytest.mark.parametrize("numpy_2", [True, False])
def test_bits_are_counted_with_either_numpy(numpy_2, monkeypatch):
    words = np.random.default_rng(0).integers(0, 1 << 63, (3, 5), np.uint64, endpoint=True)
    expected = [[bin(word).count("1") for word in row] for row in words.tolist()]
    if not numpy_2:
        monkeypatch.delattr(np, "bitwise_count", raising=False)
    assert count_bits(words).tolist() == np.sum(expected, 1).tolist()
