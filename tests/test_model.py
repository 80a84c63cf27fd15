"""The network: shapes for every config, blocks by hand, what is frozen."""
import numpy as np
import paddle
import pytest

from config import CONFIGS, config_class, get_config
from model.layers import DeformConv, DropBlock, append_coordinates
from model.solov2 import build_solov2
from tests.builders import SLIM
from tests.golden_data import golden


@pytest.mark.parametrize("name", CONFIGS)
def test_every_config_builds_and_runs(name):
    """Shapes, and no NaN; with slim widths, so that it takes a moment."""
    cfg = get_config(name, **SLIM)
    model = build_solov2(cfg)
    model.eval()
    images = paddle.randn([2, 3, 64, 96])
    with paddle.no_grad():
        outputs = model(images)
        features = model.features(images)
    logits, sides = outputs["category_logits"], cfg.num_grids
    assert [level.shape for level in logits] == [[2, 5, side, side] for side in sides]
    assert [level.shape for level in outputs["kernels"]] == [[2, 8, side, side] for side in sides]
    assert outputs["mask_features"].shape == [2, 8, 16, 24]
    sizes = [[16, 24], [8, 12], [4, 6], [2, 3], [1, 2]]
    assert [features[f"p{i}"].shape[2:] for i in range(2, 7)] == sizes
    assert [features[f"c{i}"].shape[2:] for i in range(2, 6)] == sizes[:4]
    assert all(bool(paddle.isfinite(level).all()) for level in logits)


def test_the_order_of_the_configs_is_fixed():
    assert CONFIGS[:3] == ("solov2_r50_fpn_8gpu_3x", "solov2_light_448_r50_fpn_8gpu_3x",
                           "solov2_light_r50_vd_fpn_dcn_512_3x")
    assert CONFIGS[14:17] == ("solov2_r50_enhance", "quickstart", "own_dataset")
    assert all(config_class(name).__doc__ for name in CONFIGS)


def test_what_the_recipe_freezes_gets_no_gradient_and_keeps_its_statistics():
    model = build_solov2(get_config(0, **SLIM))
    model.train()
    before = {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()
              if name.endswith("_mean")}
    outputs = model(paddle.randn([2, 3, 64, 64]))
    sum(level.sum() for level in outputs["category_logits"] + outputs["kernels"]).backward()
    for name, parameter in model.named_parameters():
        frozen = name.startswith(("backbone.stem", "backbone.res2")) or (
            name.startswith("backbone") and ".norm." in name)
        assert parameter.stop_gradient == frozen, name
        assert (parameter.grad is None) == (frozen or name.startswith("mask_feature")), name
    for name, tensor in model.state_dict().items():
        if name in before:
            np.testing.assert_array_equal(tensor.numpy(), before[name])


def test_light_dcn_recipe_trains_its_backbone_norms():
    model = build_solov2(get_config(2, **SLIM))
    assert not any(parameter.stop_gradient for name, parameter in model.named_parameters()
                   if not name.endswith(("_mean", "_variance")))


def test_coordinates_by_hand():
    x = append_coordinates(paddle.zeros([1, 1, 2, 3]))
    assert x[0, 1].numpy().tolist() == [[-1, 0, 1]] * 2
    assert x[0, 2].numpy().tolist() == [[-1] * 3, [1] * 3]


@pytest.mark.parametrize("version", [1, 2])
def test_deformable_convolution_with_zero_offsets_is_a_convolution(version):
    conv = DeformConv(4, 6, 3, 2, 1, version, True, None)
    x = paddle.randn([1, 4, 9, 7])
    plain = paddle.nn.functional.conv2d(x, conv.weight, conv.bias, stride=2, padding=1)
    scale = 0.5 if version == 2 else 1.0                                 # sigmoid(0) in v2
    np.testing.assert_allclose(conv(x).numpy(), scale * plain.numpy(), atol=1e-5)


def test_deformable_convolution_shifts_by_its_offsets():
    conv = DeformConv(1, 1, 1, 1, 1, 1, False, paddle.nn.initializer.Constant(1.0))
    conv.offset.bias.set_value(np.float32([1, 0]))                # (dy, dx): read one row below
    x = paddle.arange(12, dtype="float32").reshape([1, 1, 3, 4])
    assert conv(x)[0, 0, 0].numpy().tolist() == [4, 5, 6, 7]


def test_drop_block_of_paddledetection():
    data = golden("train__paddledet2__solov2_r50_enhance_coco")
    x, uniform = (paddle.to_tensor(data[f"dropblock_{key}"]) for key in ("input", "random"))
    dropped = DropBlock().drop(x, uniform)
    np.testing.assert_allclose(dropped.numpy(), data["dropblock_output"], rtol=1e-5, atol=1e-6)


def test_drop_block_is_idle_in_evaluation():
    layer, x = DropBlock(), paddle.randn([1, 8, 12, 12])
    layer.eval()
    assert layer(x) is x
    layer.train()
    assert (layer(x).numpy() == 0).any()
