"""The dumped start and batches are all that another implementation needs to get our losses."""
import json

import numpy as np
import paddle
import pytest

from config import get_config
from model.losses import solov2_loss
from model.solov2 import build_solov2
from model.targets import build_targets
from tests.builders import TINY
from tools.compare_training import main
from tools.errors import UserError
from tools.training.gradients import TARGET_TENSORS
from tools.training.optimizer import parameter_rules
from tools.weights.weights_file import load_weights, to_arrays

MILESTONES = {4: [3], 20: [10, 15]}


@pytest.fixture
def overrides(tiny_cfg):
    settings = {**TINY, "num_workers": 1, "grad_clip_norm": 0.0, "output_dir": tiny_cfg.output_dir,
                "train_json": tiny_cfg.train_json, "train_images": tiny_cfg.train_images}
    return ["-o", *(f"{key}={value}" for key, value in settings.items())]


def arrays_of(path):
    with np.load(path) as file:                            # plain arrays: nothing is unpickled
        return dict(file)


@pytest.mark.parametrize("steps", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_another_loop_gets_the_same_losses(overrides, tiny_cfg, tmp_path, capsys, steps):
    """A loop of its own here: targets from the dumped masks, momentum written out.

    In a long run at a low rate, since differences of rounding grow with it.
    """
    if steps > 4:
        overrides = [*overrides, "learning_rate=0.003"]
    dump = tmp_path / "dump"
    main(["--steps", str(steps), "--dump", str(dump), "--milestones",
          *map(str, MILESTONES[steps]), *overrides])
    assert "start: random weights" in capsys.readouterr().out
    with open(f"{tiny_cfg.run_dir}/log.jsonl", encoding="utf-8") as file:
        records = [json.loads(line) for line in file]
    with open(f"{tiny_cfg.run_dir}/gradient_norms.jsonl", encoding="utf-8") as file:
        norms = [json.loads(line) for line in file]
    assert [record["step"] for record in records] == list(range(1, steps + 1))
    cfg = get_config("quickstart", **TINY)
    model = build_solov2(cfg)
    load_weights(model, dump / "start.pdparams")
    start, end = arrays_of(dump / "start.npz"), arrays_of(dump / "end.npz")
    assert all(np.array_equal(start[name], array)
               for name, array in to_arrays(model.state_dict()).items())
    rules = parameter_rules(cfg, model)
    model.train()
    velocity = {}
    for step, record in enumerate(records):
        batch = arrays_of(dump / f"batch_{step:05d}.npz")
        loss = loss_of(cfg, model, batch)
        assert float(loss) == pytest.approx(record["loss"], rel=1e-4)
        loss.backward()
        gradients = {name: float((parameter.grad.numpy().astype(np.float64) ** 2).sum() ** 0.5)
                     for name, parameter in model.named_parameters() if parameter.grad is not None}
        assert norms[step]["parameters"] == pytest.approx(gradients, rel=1e-3, abs=1e-5)
        whole = sum(norm ** 2 for norm in gradients.values()) ** 0.5
        assert norms[step]["gradient_norm"] == pytest.approx(whole, rel=1e-3)
        with paddle.no_grad():
            for name, parameter in model.named_parameters():
                if name in rules:
                    factor, decay = rules[name]
                    gradient = parameter.grad + decay * parameter
                    velocity[name] = 0.9 * velocity.get(name, 0) + gradient
                    parameter.set_value(parameter - factor * record["lr"] * velocity[name])
        model.clear_gradients()
    for name, array in to_arrays(model.state_dict()).items():
        np.testing.assert_allclose(array, end[name], rtol=1e-3, atol=1e-5, err_msg=name)
    assert len({record["loss"] for record in records}) == steps
    if steps == 4:
        assert [record["lr"] for record in records] == pytest.approx([0, 0.015, 0.03, 0.003])


def loss_of(cfg, model, batch):
    """The loss of a dumped batch, whose targets are built anew and compared."""
    owners = batch["object_images"]
    objects = [(batch["masks"][owners == image, :height, :width].astype(bool),
                batch["boxes"][owners == image], batch["class_indices"][owners == image])
               for image, (height, width) in enumerate(batch["resized_sizes"])]
    targets = build_targets(objects, batch["images"].shape[2:], cfg.num_grids, cfg.scale_ranges,
                            cfg.center_region)
    for name, array in targets.items():
        np.testing.assert_array_equal(array, batch[name], err_msg=name)
    tensors = {name: paddle.to_tensor(targets[name]) for name in TARGET_TENSORS}
    losses = solov2_loss(model(paddle.to_tensor(batch["images"])), tensors,
                         batch["rows_per_image"].tolist())
    return losses["mask"] + losses["category"]


def test_mistakes(overrides, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/a").write_bytes(b"")
    with pytest.raises(UserError, match="is not empty"):
        main(["--dump", str(tmp_path / "full"), *overrides])
    with pytest.raises(SystemExit):                        # argparse says what it expected
        main(["--steps", "0", *overrides])
