"""Losses by hand, against slow formulas, and without any object."""
import numpy as np
import paddle
import paddle.nn.functional as F
import pytest

from model import losses
from model.losses import category_loss, dice_loss, flatten_cells, solov2_loss


def test_dice_by_hand():
    logits = paddle.to_tensor([[50.0, 50.0, -50.0, -50.0]] * 2)              # probabilities 1 1 0 0
    masks = paddle.to_tensor([[1.0, 0.0, 0.0, 0.0], [0.0] * 4])
    loss, gradient = dice_loss(logits, masks)
    assert loss.tolist() == pytest.approx([1 - 2 * 1 / (2.001 + 1.001), 0])
    np.testing.assert_allclose(gradient.numpy(), 0, atol=1e-9)              # flat sigmoid; no mask


@pytest.mark.parametrize("elements", [1, 40, 1 << 24])
def test_mask_gradient_in_chunks_is_that_of_autograd(monkeypatch, elements):
    monkeypatch.setattr(losses, "CHUNK_ELEMENTS", elements)
    outputs, targets = outputs_and_targets((5, 4))
    solov2_loss(outputs, targets, [5, 4])["mask"].backward()
    ours = [level.grad.numpy() for level in (*outputs["kernels"], outputs["mask_features"])]
    outputs, targets = outputs_and_targets((5, 4))
    kernels = paddle.gather(flatten_cells(outputs["kernels"]), targets["cells"])
    features = outputs["mask_features"].flatten(2)
    probs = F.sigmoid(paddle.concat([kernels[:5] @ features[0], kernels[5:] @ features[1]]))
    masks = paddle.gather(targets["object_masks"], targets["cell_masks"]).flatten(1)
    masks = masks.astype("float32")
    dice = 2 * (probs * masks).sum(1) / ((probs ** 2).sum(1) + masks.sum(1) + 0.002)
    present = masks.sum(1) > 0
    (3 * (1 - dice)[present].mean()).backward()
    for gradient, level in zip(ours, (*outputs["kernels"], outputs["mask_features"]), strict=True):
        np.testing.assert_allclose(gradient, level.grad.numpy(), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("binary", [True, False])
def test_dice_of_covered_parts_is_that_of_autograd(binary):
    rng = np.random.default_rng(0)
    logits = paddle.to_tensor(rng.standard_normal((4, 30)).astype(np.float32))
    masks = rng.random((4, 30)).astype(np.float32)
    masks = paddle.to_tensor(np.round(masks) if binary else masks)
    logits.stop_gradient = False
    loss, gradient = dice_loss(logits, masks)
    probs = F.sigmoid(logits)
    expected = 1 - 2 * (probs * masks).sum(1) / ((probs ** 2).sum(1) + (masks ** 2).sum(1) + 0.002)
    expected.sum().backward()
    np.testing.assert_allclose(loss.numpy(), expected.numpy(), rtol=1e-5)
    np.testing.assert_allclose(gradient.numpy(), logits.grad.numpy(), rtol=1e-4, atol=1e-7)
    exact = paddle.log(masks / (1 - masks)).clip(-30, 30)         # found as it is: nothing to lose
    assert float(dice_loss(exact, masks)[0].max()) < 2e-4


def test_focal_by_hand():
    logits, targets = np.array([[0.3, -1.2], [2.0, 0.1]], np.float32), np.array([1, -1])
    expected = 0.0
    for row, target in zip(logits, targets, strict=True):
        for index, logit in enumerate(row):
            p = 1 / (1 + np.exp(-logit))
            if index == target:
                expected -= 0.25 * (1 - p) ** 2 * np.log(p)
            else:
                expected -= 0.75 * p ** 2 * np.log(1 - p)
    loss = category_loss(paddle.to_tensor(logits), paddle.to_tensor(targets), paddle.ones([]), 0.25,
                         2.0)
    assert float(loss) == pytest.approx(expected / 2, rel=1e-5)          # one positive cell, plus 1


def outputs_and_targets(rows, seed=0):
    """Two images with `rows` pairs, levels of 3x3 and 2x2 cells, 4 kernel channels, 4x4 masks."""
    rng = np.random.default_rng(seed)

    def tensor(*shape):
        value = paddle.to_tensor(rng.standard_normal(shape).astype(np.float32))
        value.stop_gradient = False
        return value

    outputs = {"category_logits": [tensor(2, 3, 3, 3), tensor(2, 3, 2, 2)],
               "kernels": [tensor(2, 4, 3, 3), tensor(2, 4, 2, 2)],
               "mask_features": tensor(2, 4, 4, 4)}
    cells = np.concatenate([rng.integers(0, 13, count) + 13 * image
                            for image, count in enumerate(rows)])
    masks = rng.integers(0, 2, (3, 4, 4)).astype(np.uint8)
    masks[2] = 0                                             # an object that vanished at stride 4
    category = np.full((2, 13), -1)
    category.reshape(-1)[cells.astype(int)] = 1
    targets = {"category_targets": category, "cells": cells.astype(np.int64),
               "cell_masks": rng.integers(0, 3, len(cells)), "object_masks": masks}
    return outputs, {key: paddle.to_tensor(value) for key, value in targets.items()}


def test_mask_loss_equals_a_loop_over_the_pairs():
    outputs, targets = outputs_and_targets((5, 4))
    kernels = np.concatenate([level.numpy().reshape(2, 4, -1) for level in outputs["kernels"]],
                             axis=2)                                                # [N, E, T]
    features = outputs["mask_features"].numpy()
    expected = []
    for cell, owner in zip(targets["cells"].numpy(), targets["cell_masks"].numpy(), strict=True):
        image, place = divmod(int(cell), 13)
        mask = targets["object_masks"].numpy()[owner].astype(float)
        if mask.sum():
            prob = 1 / (1 + np.exp(-np.tensordot(kernels[image, :, place], features[image], 1)))
            expected.append(1 - 2 * (prob * mask).sum() / ((prob ** 2).sum() + mask.sum() + 0.002))
    ours = solov2_loss(outputs, targets, [5, 4])["mask"]
    assert 0 < len(expected) < 9 and float(ours) == pytest.approx(3 * np.mean(expected), rel=1e-5)


@pytest.mark.parametrize("rows", [(0, 0), (0, 3)])
def test_images_without_objects_keep_the_gradient(rows):
    outputs, targets = outputs_and_targets(rows)
    found = solov2_loss(outputs, targets, list(rows))
    (found["mask"] + found["category"]).backward()
    if rows == (0, 0):
        assert float(found["mask"]) == 0
    for tensor in [*outputs["kernels"], outputs["mask_features"], *outputs["category_logits"]]:
        assert tensor.grad is not None and np.isfinite(tensor.grad.numpy()).all()
    assert any(np.abs(level.grad.numpy()).sum() > 0 for level in outputs["category_logits"])
