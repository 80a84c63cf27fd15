"""What the original projects computed with known weights: a part of it, for everybody.

tests/golden/NAME.npz holds, for a checkpoint that tests/golden/checkpoints.py makes, outputs of the
original code on a synthetic image: every 16th to 64th channel, and all final results.
"""
import numpy as np
import paddle
import pytest

from config import get_config
from model.losses import solov2_loss
from model.targets import build_targets
from tests.golden.checkpoints import FOLDER, weights
from tests.golden_data import unpack
from tests.parity import (
    EVERY_COMPACT,
    best_matches,
    decoder_of,
    final_rows,
    input_from_pixels,
    network_of,
    relative_errors,
    resized_input,
)
from tools.data.transforms import Preprocess, pad_to_divisor

MODELS = {"wxinlong__SOLOv2_LIGHT_448_R50_3x": 3452, "wxinlong__SOLOv2_LIGHT_512_DCN_R50_3x": 2127,
          "adelaidet__SOLOv2_R50_3x": 3053, "mmdet3__solov2_r50_fpn_1x": 2387}
PADDLE = {"paddledet2__solov2_r50_enhance_coco": "ppdet",
          "paddledet05__solov2_mobilenetv3_fpn_448_3x": "ppdet-static"}
INPUTS = {"paddledet22_800": {"normalize_first": True, "resized_size_rule": "fractional"},
          "paddledet27_800": {"normalize_first": True},
          "paddledet05_800": {"resized_size_rule": "fractional"}, "wxinlong_800": {}}


@pytest.mark.parametrize("name", PADDLE)
def test_network_and_results_of_paddledetection(name):
    """Dynamic and static graph, with deformable convolutions and with a MobileNetV3."""
    data = np.load(FOLDER / f"{name}.npz")
    model, cfg, conversion = network_of(name, weights(name))
    assert conversion.meta["family"] == PADDLE[name]
    images, resized_size = input_from_pixels(cfg, data)
    outputs, errors = relative_errors(model, images, data, EVERY_COMPACT)
    worst = max(errors, key=errors.get)
    assert errors[worst] < 2e-4, f"{worst}: {errors[worst]:.1e} of its standard deviation"
    instances = decoder_of(cfg)(outputs, [resized_size], [data["original_size"]])[0]
    found, others = best_matches(instances, data)
    assert found >= 0.95 * len(data["labels"]) and others <= 0.05 * len(data["labels"])


@pytest.mark.parametrize("name, candidates", MODELS.items())
def test_network_and_results(name, candidates):
    """From the pixels to the masks, with more than 500 candidates and more than 100 results."""
    data = np.load(FOLDER / f"{name}.npz")
    model, cfg, _ = network_of(name, weights(name))
    images, resized_size = resized_input(cfg, data)
    outputs, errors = relative_errors(model, images, data, EVERY_COMPACT)
    worst = max(errors, key=errors.get)
    assert errors[worst] < 1e-4, f"{worst}: {errors[worst]:.1e} of its standard deviation"
    decoder = decoder_of(cfg)
    cells, *_ = decoder.candidates([level[0].numpy() for level in outputs["category_logits"]])
    # Points NMS compares neighbours for equality, so noise may switch a single low cell.
    assert abs(len(cells) - candidates) <= 2 and candidates == data["n_candidates"]
    instances = decoder(outputs, [resized_size], [data["original_size"]])[0]
    differences, pixels = final_rows(instances, data)
    assert len(instances) == 100 and differences.max() < 1e-4 and pixels < 2e-4
    decoder.score_threshold = 0.999
    nothing = decoder(outputs, [resized_size], [data["original_size"]])[0]
    assert len(nothing) == 0 and nothing.masks.shape == (0, *data["original_size"])


def test_losses_of_paddledetection():
    """Forward pass, targets and losses of PaddleDetection 2.2 on a batch of two."""
    name = "paddledet2__solov2_r50_fpn_3x_coco"
    data = np.load(FOLDER / f"train__{name}.npz")
    model, cfg, _ = network_of(name, weights(name))
    objects = [(unpack(data, f"masks_{b}"), data[f"boxes_{b}"], data[f"labels_{b}"])
               for b in (0, 1)]
    targets = build_targets(objects, data["input"].shape[2:], cfg.num_grids, cfg.scale_ranges)
    rows = np.bincount(targets["object_images"][targets["cell_masks"]], minlength=2).tolist()
    with paddle.no_grad():
        losses = solov2_loss(model(paddle.to_tensor(data["input"])), {
            key: paddle.to_tensor(value) for key, value in targets.items()}, rows)
    assert float(losses["mask"]) == pytest.approx(float(data["loss_mask"]), rel=1e-4)
    assert float(losses["category"]) == pytest.approx(float(data["loss_category"]), rel=1e-4)


@pytest.mark.parametrize("name", [*INPUTS, "adelaidet_800"])
def test_network_input(name):
    """One image through the reader of each family: every 16th row and column, and the moments."""
    data = np.load(FOLDER / "preprocess.npz")
    cfg = get_config(0, **INPUTS[name]) if name in INPUTS else get_config("solov2_adelaidet_r50_3x")
    if cfg.resize_library == "pil":
        pytest.importorskip("PIL")
    image, size = Preprocess(cfg)(np.ascontiguousarray(data["original_image"][..., ::-1]))
    np.testing.assert_allclose(size, data[f"{name}.resized_size"], rtol=1e-6)
    padded = pad_to_divisor([image], 32)[0]
    assert padded.shape == tuple(data[f"{name}.input_shape"])
    np.testing.assert_allclose(padded[:, ::16, ::16], data[f"{name}.input_sub16"],
                               rtol=0, atol=2e-5)
    np.testing.assert_allclose([padded.mean(dtype=np.float64), padded.std(dtype=np.float64)],
                               data[f"{name}.input_stats"], rtol=1e-6)
