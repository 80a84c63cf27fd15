"""The converted checkpoints against what the original projects computed with the same weights.

The values of ../shared/golden; tests/test_golden_compact.py has a part of them for everybody.
"""
import numpy as np
import paddle
import pytest

from tests.golden_data import golden, golden_weights
from tests.parity import (
    EVERY,
    best_matches,
    decoder_of,
    final_rows,
    input_from_pixels,
    network_of,
    relative_errors,
)

MODELS = {
    "paddledet2__solov2_r50_fpn_3x_coco": "solov2_r50_fpn_8gpu_3x",
    "paddledet2__solov2_r50_enhance_coco": "solov2_r50_enhance",
    "paddledet05__solov2_r50_fpn_3x": "solov2_r50_fpn_8gpu_3x",
    "paddledet05__solov2_light_r50_vd_fpn_dcn_512_3x": "solov2_light_r50_vd_fpn_dcn_512_3x",
    "paddledet05__solov2_mobilenetv3_fpn_448_3x": "solov2_mobilenetv3_fpn_448_3x",
    "wxinlong__SOLOv2_R50_3x": "solov2_r50_fpn_8gpu_3x",
    "wxinlong__SOLOv2_LIGHT_448_R50_3x": "solov2_light_448_r50_fpn_8gpu_3x",
    "wxinlong__SOLOv2_LIGHT_512_DCN_R50_3x": "solov2_light_512_dcn_r50_fpn_3x",
    "adelaidet__SOLOv2_R50_3x": "solov2_adelaidet_r50_3x",
    "mmdet3__solov2_r50_fpn_1x": "solov2_r50_fpn_1x",
}
# The original rounds: its c5 is 7e-5 away from a float64 run of this network, ours 2e-5.  This
# moves a pixel of a stride-4 mask across 0.5, and with it the IoU of two nearly equal masks.
NOISY = {"paddledet05__solov2_mobilenetv3_fpn_448_3x"}


@pytest.mark.parametrize("name, config", MODELS.items())
def test_network_and_results(name, config):
    """Features, logits, kernels; then labels, scores and masks; then the same from the pixels."""
    data = golden(name)
    model, cfg, conversion = network_of(name, golden_weights(name))
    assert conversion.config == config and cfg.num_classes == 80
    outputs, errors = relative_errors(model, data["input"], data, EVERY)
    worst = max(errors, key=errors.get)
    assert errors[worst] < 1e-4, f"{worst}: {errors[worst]:.1e} of its standard deviation"

    original_size = data["original_size"]
    instances = decoder_of(cfg)(outputs, [data["resized_size"]], [original_size])[0]
    differences, pixels = final_rows(instances, data)
    if name in NOISY:
        assert differences.max() < 5e-3 and np.count_nonzero(differences > 1e-4) <= 2
    else:
        assert differences.max() < 1e-4
    assert pixels < 2e-4
    report = (f"{name} | {errors[worst]:.1e} | {len(instances)} of {len(data['labels'])} | "
              f"{differences.max():.1e} | {100 * pixels:.4f} %")

    images, resized_size = input_from_pixels(cfg, data)
    assert np.abs(images - data["input"]).max() < 1e-4
    outputs = model(paddle.to_tensor(images))
    instances = decoder_of(cfg)(outputs, [resized_size], [original_size])[0]
    found, others = best_matches(instances, data)
    assert found >= 0.95 * len(data["labels"]) and others <= 0.05 * len(data["labels"])
    print(f"PARITY {report} | {found} found, {others} others")
