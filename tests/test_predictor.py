"""The predictor: one path from pixels to instances, and weights that do not fit."""
import numpy as np
import paddle
import pytest

from config import get_config
from model.solov2 import build_solov2
from tests.builders import TINY
from tools.data.transforms import pad_to_divisor
from tools.errors import UserError
from tools.inference.predictor import Predictor
from tools.weights.weights_file import meta_of, save_weights, to_arrays

NAMES = ["circle", "square"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Weights of a tiny network that finds something everywhere."""
    paddle.seed(3)
    cfg = get_config("quickstart", **TINY, num_classes=2)
    model = build_solov2(cfg)
    model.head.category_pred.bias.set_value(np.float32([0.5, -8]))
    bias = np.random.default_rng(0).normal(0, 1, 8).astype(np.float32)
    model.head.kernel_pred.bias.set_value(bias)
    path = str(tmp_path_factory.mktemp("weights") / "tiny.pdparams")
    save_weights(path, to_arrays(model.state_dict()), meta_of(cfg, NAMES, family="own"))
    return path


@pytest.fixture
def cfg():
    return get_config("quickstart", **TINY)


@pytest.mark.parametrize("size", [(64, 64), (50, 91), (120, 33), (1, 40), (40, 1), (1, 1)])
def test_any_shape_gives_masks_of_its_own_size(weights, cfg, size):
    image = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    found = Predictor(cfg, weights, engine="dygraph")(image)
    assert found.masks.shape == (len(found), *size) and found.masks.dtype == bool
    assert found.scores.dtype == np.float32 and found.class_indices.dtype == np.int64
    assert found.boxes.shape == (len(found), 4) and found.boxes.dtype == np.float32
    assert (np.diff(found.scores) <= 0).all() and (found.class_indices == 0).all()


def test_tensor_and_image_give_the_same(weights, cfg):
    predictor = Predictor(cfg, weights, engine="dygraph")
    image = np.random.default_rng(2).integers(0, 256, (70, 90, 3), np.uint8)
    direct = predictor(image)
    tensor, resized_size = predictor.preprocess(image)
    images = pad_to_divisor([tensor, tensor], 32)
    first, second = predictor.predict_tensor(images, [resized_size] * 2, [(70, 90), (35, 45)])
    assert len(direct) == len(first) == len(second) > 0
    np.testing.assert_allclose(first.scores, direct.scores, rtol=1e-5)
    assert (first.masks != direct.masks).mean() < 1e-3
    assert second.masks.shape[1:] == (35, 45)


def test_prediction_leaves_no_gradient_and_the_mode_as_it_was(weights, cfg):
    predictor = Predictor(cfg, weights, engine="dygraph")
    predictor.engine.model.train()
    before = predictor.engine.model.backbone.stem[0].norm._mean.numpy().copy()
    outputs = predictor.network(np.zeros((1, 3, 64, 64), np.float32))
    assert predictor.engine.model.training and outputs["mask_features"].stop_gradient
    mean = predictor.engine.model.backbone.stem[0].norm._mean
    np.testing.assert_array_equal(mean.numpy(), before)


def test_nothing_found(weights, cfg):
    predictor = Predictor(cfg.replace(score_threshold=0.99), weights, engine="dygraph")
    found = predictor(np.zeros((30, 40, 3), np.uint8))
    assert len(found) == 0 and found.masks.shape == (0, 30, 40) and found.to_rle() == []


def test_the_file_says_the_classes_and_a_wrong_wish_is_an_error(weights, cfg):
    assert Predictor(cfg, weights).class_names == tuple(NAMES)
    with pytest.raises(UserError, match="has 2 classes, 3 were asked for"):
        Predictor(cfg.replace(num_classes=3), weights)


def test_another_network_is_an_error_even_if_the_shapes_fit(weights, cfg):
    with pytest.raises(UserError, match=r"num_grids: \(8, 6, 4, 3, 2\) in the file"):
        Predictor(cfg.replace(num_grids=(9, 6, 4, 3, 2)), weights)


def test_missing_weights(cfg):
    with pytest.raises(UserError, match="no weights file 'nowhere.pdparams'"):
        Predictor(cfg, "nowhere.pdparams")
    with pytest.raises(UserError, match="python -m convert --config solov2_r50_fpn_1x --download"):
        Predictor(get_config(3, weights="weights/absent.pdparams"))


def test_the_input_settings_of_the_file_win(weights, cfg):
    assert Predictor(cfg.replace(channel_order="bgr"), weights).cfg.channel_order == "rgb"
