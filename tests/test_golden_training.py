"""Losses, gradients and one optimizer step against PaddleDetection 2.2 on the same batch."""
import numpy as np
import paddle
import pytest

from config import get_config
from convert.naming import PPDET
from model.losses import solov2_loss
from model.solov2 import build_solov2
from model.targets import build_targets
from tests.golden_data import golden, golden_weights, unpack
from tools.training.optimizer import build_optimizer

# The second has rates per stage, double-rate biases and statistics that move, in frozen stages too.
CONFIGS = {"paddledet2__solov2_r50_fpn_3x_coco": "solov2_r50_fpn_8gpu_3x",
           "paddledet2__solov2_r50_enhance_coco": "solov2_r50_enhance"}


@pytest.fixture(scope="module", params=CONFIGS)
def run(request):
    """(data, {official: our name}, model after one step, losses, gradients, weights before)."""
    data = golden(f"train__{request.param}")
    arrays = golden_weights(request.param)
    ours = PPDET.to_ours(arrays)
    cfg = get_config(CONFIGS[request.param], drop_block=False)
    model = build_solov2(cfg)
    model.set_state_dict({ours[name]: array for name, array in arrays.items() if name in ours})
    model.train()
    optimizer = build_optimizer(cfg, model)
    objects = [(unpack(data, f"masks_{b}"), data[f"boxes_{b}"], data[f"labels_{b}"])
               for b in (0, 1)]
    targets = build_targets(objects, data["input"].shape[2:], cfg.num_grids, cfg.scale_ranges)
    rows = np.bincount(targets["object_images"][targets["cell_masks"]], minlength=2).tolist()
    losses = solov2_loss(model(paddle.to_tensor(data["input"])),
                         {key: paddle.to_tensor(value) for key, value in targets.items()}, rows)
    (losses["mask"] + losses["category"]).backward()
    gradients = {name: parameter.grad.numpy() for name, parameter in model.named_parameters()
                 if parameter.grad is not None}
    before = {name: parameter.numpy().copy() for name, parameter in model.named_parameters()}
    optimizer.set_lr(0.01)
    optimizer.step()
    return data, ours, model, losses, gradients, before


def tolerance(gradients, plain):
    """`plain`, or more where deformable convolutions sample: their gradient jumps at pixels."""
    return 5e-3 if any(".offset." in name for name in gradients) else plain


def test_losses(run):
    data, _, _, losses, _, _ = run
    assert float(losses["mask"]) == pytest.approx(float(data["loss_mask"]), rel=1e-4)
    assert float(losses["category"]) == pytest.approx(float(data["loss_category"]), rel=1e-4)


def test_what_is_trained_and_every_gradient_norm(run):
    data, ours, _, _, gradients, _ = run
    official = zip(data["parameter_names"], data["gradient_norms"], data["trainable"], strict=True)
    rel = tolerance(gradients, 1e-3)
    for name, norm, trainable in official:
        if ours[name].endswith(("_mean", "_variance")):
            continue
        assert (ours[name] in gradients) == bool(trainable), name
        if trainable:
            assert np.linalg.norm(gradients[ours[name]]) == pytest.approx(norm, rel=rel), name


def test_one_step_changes_every_parameter_as_there(run):
    data, ours, model, _, gradients, before = run
    rel = tolerance(gradients, 2e-3)
    after = dict(model.named_parameters())
    for name, norm in zip(data["parameter_names"], data["step_norms"], strict=True):
        change = np.linalg.norm(after[ours[name]].numpy() - before[ours[name]])
        assert change == pytest.approx(norm, rel=rel, abs=1e-7), name
    for key in data.files:
        if key.startswith("after_step."):
            name = ours[key.removeprefix("after_step.")]
            np.testing.assert_allclose(after[name].numpy(), data[key], rtol=1e-4, atol=1e-6)


def test_running_statistics(run):
    data, ours, model, _, _, _ = run
    state = model.state_dict()
    keys = [key for key in data.files if key.startswith("statistics_after.")]
    assert keys
    for key in keys:
        name = ours[key.removeprefix("statistics_after.")]
        np.testing.assert_allclose(state[name].numpy(), data[key], rtol=1e-6, atol=1e-7)
