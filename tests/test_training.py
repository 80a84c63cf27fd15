"""Training: schedule, overfitting one batch, resume equals uninterrupted, bad losses stop."""
import json
import math
import os
import signal

import numpy as np
import paddle
import pytest

from config import get_config
from model.solov2 import build_solov2
from tests.builders import TINY, make_trainer, tiny_config
from tools.data.loader import train_loader
from tools.data.splits import open_dataset
from tools.errors import UserError
from tools.training.gradients import add_gradients
from tools.training.optimizer import (
    build_optimizer,
    learning_rate_at,
    norm_parameter_names,
    schedule_steps,
)
from tools.training.run_state import checkpoint_paths, find_checkpoint
from tools.training.start import resume_training
from tools.weights.weights_file import (
    load_pretrained,
    load_weights,
    meta_of,
    read_weights,
    save_weights,
    to_arrays,
)


def test_learning_rate_table():
    """12 epochs of 117266 images at batch 16: PaddleDetection's 1x schedule."""
    cfg = get_config(0, epochs=12, lr_milestones=(8, 11))
    steps = schedule_steps(cfg, 117266)
    assert steps == 87949
    table = {0: 0.0, 1: 1e-5, 500: 0.005, 999: 0.00999, 1000: 0.01, 58632: 0.01, 58633: 0.001,
             80619: 0.001, 80620: 0.0001, 87948: 0.0001}
    for step, rate in table.items():
        assert learning_rate_at(cfg, step, steps) == pytest.approx(rate), step
    assert learning_rate_at(cfg.replace(batch_size=4), 1000, steps) == pytest.approx(0.0025)


def test_cosine_schedule():
    """Half a period of the cosine from the peak to 0, times the warm-up."""
    cfg = get_config(0, lr_schedule="cosine", warmup_steps=100, learning_rate=0.02)
    table = {0: 0.0, 50: 0.01 * (1 + math.cos(math.pi * 0.05)) / 2, 500: 0.01,
             250: 0.02 * (2 + math.sqrt(2)) / 4, 1000: 0.0}
    for step, rate in table.items():
        assert learning_rate_at(cfg, step, 1000) == pytest.approx(rate, abs=1e-9), step


def test_adamw_by_hand():
    """Two steps of Loshchilov and Hutter's algorithm 2; norms are not decayed."""
    cfg = tiny_config(optimizer="adamw", weight_decay=0.1, grad_clip_norm=0.0,
                      stage_lr_factors=(0.5, 1.0, 1.0, 1.0, 1.0))
    model = build_solov2(cfg)
    optimizer, parameters = build_optimizer(cfg, model), dict(model.named_parameters())
    cases = {"backbone.stem.0.conv.weight": (0.5, 0.1), "fpn.lateral.0.weight": (1.0, 0.1),
             "head.kernel_tower.0.norm.weight": (1.0, 0.0)}
    expected, moments = {}, {name: (0.0, 0.0) for name in cases}
    for name in cases:
        expected[name] = parameters[name].numpy().astype(np.float64)
    optimizer.set_lr(0.01)
    for step in (1, 2):
        sum((parameters[name] ** 2).sum() for name in cases).backward()
        for name, (factor, decay) in cases.items():
            gradient, (mean, square) = 2 * expected[name], moments[name]
            mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient ** 2
            moments[name] = mean, square
            change = mean / (1 - 0.9 ** step) / (np.sqrt(square / (1 - 0.999 ** step)) + 1e-8)
            expected[name] = expected[name] * (1 - 0.01 * factor * decay) - 0.01 * factor * change
        optimizer.step()
        optimizer.clear_grad()
    for name in cases:
        np.testing.assert_allclose(parameters[name].numpy(), expected[name], rtol=1e-4, atol=1e-6,
                                   err_msg=name)


@pytest.mark.parametrize("changed, named", [
    ({"optimizer": "lamb"}, "optimizer=.*lamb.*muon"),
    ({"lr_schedule": "poly"}, "lr_schedule=.*poly.*cosine")])
def test_unknown_optimizers_and_schedules_are_refused(tiny_cfg, changed, named):
    with pytest.raises(UserError, match=named):
        make_trainer(tiny_cfg.replace(**changed), 2)


def test_norms_are_not_decayed_and_momentum_is_coupled():
    cfg = get_config("quickstart", **TINY, grad_clip_norm=0.0)
    model = build_solov2(cfg)
    norms = norm_parameter_names(model)
    optimizer = build_optimizer(cfg, model)
    optimizer.set_lr(0.5)
    before = {name: p.numpy().copy() for name, p in model.named_parameters() if not p.stop_gradient}
    for p in model.parameters():
        if not p.stop_gradient:
            (p * 0.0).sum().backward()
    optimizer.step()
    for name, p in model.named_parameters():
        if name in before:
            factor = 1.0 if p.name in norms else 1 - 0.5 * 1e-4
            np.testing.assert_allclose(p.numpy(), before[name] * factor, rtol=1e-6, err_msg=name)
    assert any(".norm." in name for name in before)


def test_one_batch_overfits(tiny_cfg):
    cfg = tiny_cfg.replace(learning_rate=0.05, warmup_steps=5, lr_milestones=(),
                           checkpoint_every=1000)
    dataset = open_dataset(cfg, "train")
    batch = next(iter(train_loader(dataset, cfg, 0, 1)))
    trainer = make_trainer(cfg, 60, lambda first, end: [batch] * (end - first))
    trainer.run()
    records = [json.loads(line) for line in open(f"{cfg.run_dir}/log.jsonl", encoding="utf-8")]
    first, last = records[0]["loss"], records[-1]["loss"]
    assert last < 0.5 * first, (first, last)
    assert {"step", "lr", "mask", "category", "data_s", "step_s", "eta_s"} <= set(records[0])


@pytest.mark.parametrize("changed", [
    {}, {"ema_decay": 0.9}, {"optimizer": "adamw", "lr_schedule": "cosine", "smooth_masks": True},
    {"optimizer": "muon", "momentum": 0.95}])
def test_resume_equals_uninterrupted(tiny_cfg, changed):
    tiny_cfg = tiny_cfg.replace(**changed)
    whole = make_trainer(tiny_cfg, 6)
    whole.run()
    expected = to_arrays(whole.model.state_dict())
    part_cfg = tiny_cfg.replace(output_dir=tiny_cfg.output_dir + "_part")
    part = make_trainer(part_cfg, 6)
    part.cfg = part_cfg

    class Killed(Exception):
        pass

    def stop_after_three(first, end):
        batches = train_loader(open_dataset(part_cfg, "train"), part_cfg, first, end)
        for number, batch in enumerate(batches):
            if number == 3:
                raise Killed
            yield batch

    part.make_batches = stop_after_three
    with pytest.raises(Killed):
        part.run()
    resumed = make_trainer(part_cfg.replace(), 6)
    paddle.seed(999)                                       # whatever the new process drew before
    resume_training(resumed)
    assert resumed.step == 2
    resumed.run()
    for name, tensor in resumed.model.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), expected[name], err_msg=name)
    last, _ = read_weights(f"{part_cfg.run_dir}/last.pdparams")
    for name, array in read_weights(f"{tiny_cfg.run_dir}/last.pdparams")[0].items():
        np.testing.assert_array_equal(last[name], array, err_msg=name)
    assert len(checkpoint_paths(part_cfg.run_dir)) == 3


def test_resume_refuses_another_run(tiny_cfg):
    trainer = make_trainer(tiny_cfg, 2)
    trainer.run()
    with pytest.raises(UserError, match="num_steps 2 in the checkpoint, 9 now"):
        resume_training(make_trainer(tiny_cfg, 9))
    with pytest.raises(UserError, match="optimizer momentum in the checkpoint, adamw now"):
        resume_training(make_trainer(tiny_cfg.replace(optimizer="adamw"), 2))
    with pytest.raises(UserError, match="nothing to resume"):
        find_checkpoint(tiny_cfg.run_dir + "/none", "auto")


def test_a_loss_that_is_not_finite_names_the_images(tiny_cfg):
    dataset = open_dataset(tiny_cfg, "train")
    batch = next(iter(train_loader(dataset, tiny_cfg, 0, 1)))
    trainer = make_trainer(tiny_cfg, 2, lambda first, end: [batch])
    trainer.model.head.category_pred.bias.set_value(np.full(6, np.nan, np.float32))
    with pytest.raises(UserError) as error:
        trainer.run()
    assert all(name in str(error.value) for name in batch["file_names"])


def test_a_batch_without_objects_trains(tiny_cfg):
    dataset = open_dataset(tiny_cfg, "train")
    batch = next(iter(train_loader(dataset, tiny_cfg, 0, 1)))
    empty = paddle.zeros([0], dtype="int64")
    background = paddle.full_like(batch["category_targets"], -1)
    batch = {**batch, "category_targets": background, "cells": empty, "cell_masks": empty,
             "object_masks": batch["object_masks"][:0], "rows_per_image": [0, 0]}
    trainer = make_trainer(tiny_cfg, 10, lambda first, end: [batch])
    before = to_arrays(trainer.model.state_dict())
    values = trainer.train_step(batch)
    assert values["mask"] == 0 and np.isfinite(values["loss"])
    trainer.step = 2                                       # past the step whose rate is 0
    trainer.train_step(batch)
    after = to_arrays(trainer.model.state_dict())
    assert not np.array_equal(before["head.category_pred.bias"], after["head.category_pred.bias"])
    assert all(np.isfinite(array).all() for array in after.values())


def gradients(cfg, batch):
    """Losses and gradients of one batch, by the name of the parameter."""
    paddle.seed(cfg.seed)
    model = build_solov2(cfg)
    model.train()
    losses = add_gradients(cfg, model, paddle.amp.GradScaler(enable=False), batch)
    return losses.numpy(), {name: parameter.grad.numpy() for name, parameter
                            in model.named_parameters() if parameter.grad is not None}


def test_parts_of_a_batch_add_up(tiny_cfg):
    """Also where one part has no object; the statistics of trained norms would differ."""
    cfg = tiny_cfg.replace(batch_size=4, freeze_norm_statistics=True, frozen_stages=1)
    batch = next(iter(train_loader(open_dataset(cfg, "train"), cfg, 0, 1)))
    without = batch["rows_per_image"][3]
    keep = slice(0, len(batch["cells"]) - without)
    background = batch["category_targets"].clone()
    background[3] = -1
    batch = {**batch, "category_targets": background, "cells": batch["cells"][keep],
             "cell_masks": batch["cell_masks"][keep],
             "rows_per_image": [*batch["rows_per_image"][:3], 0]}
    losses, whole = gradients(cfg, batch)
    part_losses, parts = gradients(cfg.replace(accumulate_steps=4), batch)
    np.testing.assert_allclose(part_losses, losses, rtol=1e-5)
    assert whole.keys() == parts.keys() and len(whole) > 50
    for name, gradient in whole.items():
        np.testing.assert_allclose(parts[name], gradient, rtol=1e-3, atol=1e-6, err_msg=name)


def test_mixed_precision_scales_gradients_and_not_losses(tiny_cfg):
    """What runs without a GPU: the scale of a scaler, and losses of float16 outputs in float32."""
    class Scaler:
        def scale(self, loss):
            assert loss.dtype == paddle.float32
            return loss * 1024

    class HalfOutputs(paddle.nn.Layer):
        def __init__(self, model):
            super().__init__()
            self.model = model

        def forward(self, images):
            outputs = self.model(images)
            return {name: [level.astype("float16") for level in value] if isinstance(value, list)
                    else value.astype("float16") for name, value in outputs.items()}

    batch = next(iter(train_loader(open_dataset(tiny_cfg, "train"), tiny_cfg, 0, 1)))
    losses, expected = gradients(tiny_cfg, batch)
    paddle.seed(tiny_cfg.seed)
    model = build_solov2(tiny_cfg)
    model.train()
    ours = add_gradients(tiny_cfg, HalfOutputs(model), Scaler(), batch)
    np.testing.assert_allclose(ours.numpy(), losses, rtol=1e-2)
    for name in ("head.category_pred.weight", "mask_feature.pred.conv.weight"):
        gradient = dict(model.named_parameters())[name].grad.numpy() / 1024
        largest = np.abs(expected[name]).max()
        np.testing.assert_allclose(gradient, expected[name], rtol=0.05, atol=0.02 * largest)


def test_sigterm_saves_after_the_step(tiny_cfg):
    dataset = open_dataset(tiny_cfg, "train")
    batch = next(iter(train_loader(dataset, tiny_cfg, 0, 1)))

    def batches(first, end):
        for step in range(first, end):
            if step == 2:
                os.kill(os.getpid(), signal.SIGTERM)
            yield batch

    handler = signal.getsignal(signal.SIGTERM)
    trainer = make_trainer(tiny_cfg, 10, batches)
    trainer.run()
    assert trainer.step == 3 and signal.getsignal(signal.SIGTERM) is handler
    resumed = make_trainer(tiny_cfg, 10, batches)
    resume_training(resumed)
    assert resumed.step == 3
    assert not os.path.exists(f"{tiny_cfg.run_dir}/last.pdparams")


def test_weights_round_trip_and_misfits(tiny_cfg, tmp_path):
    model = build_solov2(tiny_cfg)
    path = str(tmp_path / "w.pdparams")
    save_weights(path, to_arrays(model.state_dict()), meta_of(tiny_cfg, list("abcdef")))
    other = build_solov2(tiny_cfg)
    assert load_weights(other, path)["class_names"] == list("abcdef")
    for name, tensor in other.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), model.state_dict()[name].numpy())
    three = build_solov2(tiny_cfg.replace(num_classes=3))
    shapes = r"head.category_pred.weight: \[6, 16, 3, 3\] in the file, \[3, 16, 3, 3\]"
    with pytest.raises(UserError, match=shapes):
        load_weights(three, path)
    fresh = sorted(name for name, _, _ in load_pretrained(three, path).shapes)
    assert fresh == ["head.category_pred.bias", "head.category_pred.weight"]
    np.testing.assert_array_equal(three.state_dict()["fpn.lateral.0.weight"].numpy(),
                                  model.state_dict()["fpn.lateral.0.weight"].numpy())


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "missing", "foreign"])
def test_bad_weights_files_are_one_sentence(tiny_cfg, tmp_path, damage):
    path = tmp_path / "w.pdparams"
    arrays = to_arrays(build_solov2(tiny_cfg).state_dict())
    save_weights(str(path), arrays, meta_of(tiny_cfg, ["a"]))
    whole = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "foreign":
        paddle.save({"w": paddle.zeros([2])}, str(path))
    else:
        path.write_bytes({"cut": whole[:len(whole) // 2], "empty": b"", "text": b"hello"}[damage])
    with pytest.raises(UserError, match="w.pdparams"):
        read_weights(str(path))
