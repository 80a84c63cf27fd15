"""The recipes: what each config freezes, learns at which rate and decays, and its schedule."""
import paddle
import pytest

from config import get_config
from model.solov2 import build_solov2
from tools.training.optimizer import build_optimizer, learning_rate_at, parameter_rules

COCO_IMAGES = 117266           # of train2017 with objects
# config: {parameter: None if frozen, else (factor of the rate, weight decay)}
RULES = {
    0: {"backbone.stem.0.conv.weight": None, "backbone.res2.0.conv1.conv.weight": None,
        "backbone.res3.0.conv1.conv.weight": (1, 1e-4), "backbone.res5.2.conv3.norm.weight": None,
        "backbone.res3.0.conv1.norm.bias": None, "fpn.lateral.0.bias": (1, 1e-4),
        "head.kernel_tower.0.conv.weight": (1, 1e-4), "head.kernel_tower.0.norm.weight": (1, 0),
        "head.category_pred.bias": (1, 1e-4), "mask_feature.pred.norm.bias": (1, 0)},
    1: {"backbone.stem.0.norm.weight": None, "backbone.res2.2.conv3.norm.bias": None,
        "backbone.res3.0.conv1.norm.bias": (1, 1e-4),
        "backbone.res5.0.conv1.conv.weight": (1, 1e-4),
        "fpn.lateral.0.bias": (1, 1e-4), "head.kernel_tower.0.norm.weight": (1, 1e-4)},
    2: {"backbone.stem.0.conv.weight": (0.05, 1e-4), "backbone.res2.0.conv1.norm.weight": (0.05, 0),
        "backbone.res4.0.conv2.conv.weight": (0.1, 1e-4),
        "backbone.res4.0.conv2.conv.offset.weight": (1, 1e-4), "fpn.output.3.bias": (2, 0),
        "fpn.output.3.weight": (1, 1e-4), "head.kernel_tower.2.conv.offset.bias": (2, 0),
        "head.category_pred.bias": (1, 1e-4)},
    4: {"backbone.res5.2.conv2.conv.weight": (1, 1e-4), "backbone.res5.2.conv2.norm.weight": None,
        "backbone.res5.2.conv2.conv.offset.bias": (1, 1e-4), "fpn.output.0.bias": (1, 1e-4),
        "head.kernel_tower.1.conv.bias": (2, 0), "head.kernel_tower.1.conv.offset.bias": (2, 0),
        "head.kernel_tower.1.conv.offset.weight": (1, 1e-4),
        "mask_feature.pred.conv.offset.bias": (2, 0), "mask_feature.levels.3.2.conv.bias": (2, 0)},
    5: {"backbone.stem.0.conv.weight": (0.25, 1e-5), "backbone.blocks.0.expand.norm.weight": None,
        "backbone.blocks.5.excite.reduce.bias": (0.25, 1e-5),
        "backbone.blocks.6.project.conv.weight": (0.5, 1e-5),
        "backbone.blocks.12.depthwise.conv.weight": (0.75, 1e-5),
        "backbone.last.conv.weight": (0.75, 1e-5), "fpn.lateral.0.bias": (2, 0),
        "fpn.lateral.0.weight": (1, 1e-4), "head.kernel_pred.bias": (1, 1e-4)},
    9: {"backbone.res3.0.conv2.conv.offset.bias": (1, 1e-4),
        "head.category_tower.2.conv.offset.bias": (1, 1e-4)},
    12: {"backbone.res3.0.conv1.norm.weight": None, "head.kernel_tower.0.norm.weight": (1, 0)},
    14: {"backbone.stem.2.norm.weight": None, "backbone.res2.0.conv1.conv.weight": None,
         "backbone.res3.0.conv2.conv.weight": (0.05, 1e-4),
         "backbone.res3.0.conv2.norm.bias": (0.05, 0),
         "backbone.res5.0.shortcut.proj.conv.weight": (0.15, 1e-4),
         "backbone.res5.0.conv2.conv.offset.weight": (1, 1e-4), "fpn.output.3.bias": (1, 1e-4),
         "mask_feature.levels.0.0.conv.offset.bias": (2, 0)},
}
# config: {step: rate} over the whole schedule at the recipe's own batch size
RATES = {
    0: {0: 0, 500: 0.005, 1000: 0.01, 175898: 0.01, 175899: 1e-3, 241861: 1e-4, 263847: 1e-4},
    1: {0: 1e-4, 250: 0.00505, 500: 0.01, 197885: 0.01, 197886: 1e-3, 241861: 1e-4},
    3: {0: 0, 999: 0.00999, 1000: 0.01, 58632: 0.01, 58633: 1e-3, 80619: 1e-3, 80620: 1e-4},
    4: {0: 0, 1000: 0.005, 2000: 0.01, 175899: 1e-3},
    5: {0: 0, 500: 0.01, 1000: 0.02, 87948: 0.02, 87949: 2e-3, 117266: 2e-4},
    12: {0: 1e-4, 500: 0.00505, 1000: 0.01, 205214: 0.01, 244303: 1e-3, 244304: 1e-4},
}
# The rules do not depend on the widths.
NARROW = {"backbone_width": 8, "fpn_channels": 32, "head_channels": 32, "kernel_channels": 32,
          "mask_channels": 32, "norm_groups": 4}
STATISTICS_MOVE = {0: False, 1: False, 2: True, 4: False, 5: False, 9: False, 12: False, 14: True}


@pytest.fixture(scope="module", params=RULES)
def built(request):
    cfg = get_config(request.param, **NARROW)
    return request.param, cfg, build_solov2(cfg)


def test_rate_and_decay_of_parameters(built):
    number, cfg, model = built
    rules = parameter_rules(cfg, model)
    parameters = dict(model.named_parameters())
    for name, rule in RULES[number].items():
        assert name in parameters, name
        assert rules.get(name) == (rule and pytest.approx(rule)), name
        assert parameters[name].stop_gradient == (rule is None), name


def test_whether_running_statistics_move(built):
    number, _, model = built
    norms = [layer for layer in model.backbone.sublayers()
             if isinstance(layer, paddle.nn.BatchNorm2D)]
    model.train()
    assert {not norm._use_global_stats for norm in norms} == {STATISTICS_MOVE[number]}


@pytest.mark.parametrize("number", RATES)
def test_learning_rate_over_the_schedule(number):
    cfg = get_config(number)
    num_steps = cfg.epochs * COCO_IMAGES // cfg.batch_size
    for step, rate in RATES[number].items():
        assert learning_rate_at(cfg, step, num_steps) == pytest.approx(rate), step


def test_the_optimizer_follows_the_rules(tiny_cfg):
    """One step without momentum: p - rate * factor * (gradient + decay * p)."""
    cfg = tiny_cfg.replace(stage_lr_factors=(0.0, 0.5, 1.0, 1.0, 1.0), norm_weight_decay=0.25,
                           weight_decay=0.5, backbone_decay_factor=0.5, grad_clip_norm=0.0,
                           double_rate_biases=("fpn",))
    model = build_solov2(cfg)
    optimizer = build_optimizer(cfg, model)
    optimizer.set_lr(0.1)
    names = {"backbone.stem.0.conv.weight": (0.0, 0.25), "backbone.res2.0.conv1.norm.weight":
             (0.5, 0.125), "head.kernel_tower.0.norm.weight": (1.0, 0.25), "fpn.lateral.0.bias":
             (2.0, 0.0), "fpn.lateral.0.weight": (1.0, 0.5)}
    parameters = dict(model.named_parameters())
    before = {name: parameters[name].numpy() + 0 for name in names}
    sum(parameters[name].sum() for name in names).backward()
    optimizer.step()
    for name, (factor, decay) in names.items():
        expected = before[name] - 0.1 * factor * (1 + decay * before[name])
        assert parameters[name].numpy() == pytest.approx(expected, rel=1e-5, abs=1e-7), name


def test_gradients_are_clipped_by_the_norm_of_all_of_them(tiny_cfg):
    cfg = tiny_cfg.replace(grad_clip_norm=1.0, weight_decay=0.0)
    model = build_solov2(cfg)
    optimizer = build_optimizer(cfg, model)
    optimizer.set_lr(1.0)
    weight, scale = model.fpn.lateral[0].weight, model.mask_feature.pred.norm.weight
    before = weight.numpy() + 0, scale.numpy() + 0
    (weight.sum() + scale.sum()).backward()
    optimizer.step()
    change = [paddle.to_tensor(old - new.numpy()) for old, new in
              zip(before, (weight, scale), strict=True)]
    norm = sum(float((part ** 2).sum()) for part in change) ** 0.5
    assert norm == pytest.approx(1.0, rel=1e-5)


def test_nothing_flows_into_frozen_stages(tiny_cfg):
    """Neither a gradient of their weights, nor of the maps that they hand on: that costs time."""
    model = build_solov2(tiny_cfg.replace(frozen_stages=2))
    model.train()
    images = paddle.rand([1, 3, 64, 64])
    c2, c3, *_ = model.backbone(images)
    assert c2.stop_gradient and not c3.stop_gradient
