"""Muon: orthogonal updates of convolutions, AdamW for everything else."""
import numpy as np
import paddle
import pytest

from config import get_config
from model.solov2 import build_solov2
from tests.builders import tiny_config
from tools.training.muon import UPDATE_SIZE, orthogonalize
from tools.training.optimizer import build_optimizer, matrix_names


@pytest.mark.parametrize("shape", [(16, 144), (64, 64), (144, 16), (3, 1)])
def test_singular_values_come_near_one_and_directions_stay(shape):
    matrix = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    left, _, right = np.linalg.svd(matrix, full_matrices=False)
    found = orthogonalize(paddle.to_tensor(matrix)).numpy()
    values = np.diag(left.T @ found @ right.T)
    assert values.min() > 0.5 and values.max() < 1.3            # the smallest grow last
    np.testing.assert_allclose(left @ np.diag(values) @ right, found, atol=1e-3)


def test_a_gradient_of_zeros_changes_nothing():
    assert not orthogonalize(paddle.zeros([4, 9])).numpy().any()


def test_two_steps_by_hand():
    """Nesterov's momentum, orthogonalised by an SVD here; size and decay as in AdamW."""
    cfg = tiny_config(optimizer="muon", momentum=0.9, weight_decay=0.1, grad_clip_norm=0.0)
    model = build_solov2(cfg)
    optimizer = build_optimizer(cfg, model)
    weight = model.fpn.output[0].weight
    momentum = 0.0
    optimizer.set_lr(0.01)
    for _ in range(2):
        (weight ** 2).sum().backward()
        before = weight.numpy().astype(np.float64)
        gradient = 2 * before
        momentum = 0.9 * momentum + gradient
        matrix = (gradient + 0.9 * momentum).reshape(len(before), -1)
        left, _, right = np.linalg.svd(matrix, full_matrices=False)
        change = UPDATE_SIZE * max(matrix.shape) ** 0.5 * (left @ right).reshape(before.shape)
        optimizer.step()
        optimizer.clear_grad()
        moved = before * (1 - 0.01 * 0.1) - weight.numpy()
        cosine = (moved * change).sum() / np.linalg.norm(moved) / np.linalg.norm(change)
        assert cosine > 0.97
        assert np.linalg.norm(moved) == pytest.approx(0.01 * np.linalg.norm(change), rel=0.3)


def test_what_is_no_matrix_moves_as_with_adamw():
    moved = []
    for name in ("adamw", "muon"):
        cfg = tiny_config(optimizer=name, weight_decay=0.1, grad_clip_norm=0.0)
        paddle.seed(1)
        model = build_solov2(cfg)
        optimizer = build_optimizer(cfg, model)
        sum((parameter ** 2).sum() for parameter in model.parameters()).backward()
        optimizer.set_lr(0.01)
        optimizer.step()
        matrices = matrix_names(model)
        moved.append({key: parameter.numpy() for key, parameter in model.named_parameters()
                      if parameter.name not in matrices})
    assert any("norm" in key for key in moved[0]) and moved[0].keys() == moved[1].keys()
    for key, value in moved[0].items():
        np.testing.assert_array_equal(moved[1][key], value, err_msg=key)


def test_which_weights_are_matrices():
    """Convolutions, deformable ones too; not their offsets, depthwise ones, nor biases."""
    model = build_solov2(get_config("solov2_light_r50_vd_fpn_dcn_512_3x"))
    names = {parameter.name: name for name, parameter in model.named_parameters()}
    chosen = {names[name] for name in matrix_names(model)}
    assert {"backbone.res3.0.conv2.conv.weight", "head.category_pred.weight"} <= chosen
    assert not any(".offset." in name or name.endswith("bias") or "norm" in name
                   for name in chosen)
    mobile = build_solov2(get_config("solov2_mobilenetv3_fpn_448_3x"))
    chosen = matrix_names(mobile)
    assert all(parameter.shape[1] > 1 for parameter in mobile.parameters()
               if parameter.name in chosen)


def test_the_state_has_one_momentum_per_matrix():
    cfg = tiny_config(optimizer="muon")
    model = build_solov2(cfg)
    optimizer = build_optimizer(cfg, model)
    sum((parameter ** 2).sum() for parameter in model.parameters()).backward()
    optimizer.step()
    slots = [slot for slot in optimizer.state_dict() if "momentum" in slot]
    assert len(slots) == len(matrix_names(model))
