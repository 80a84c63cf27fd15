"""SGD with momentum, AdamW or Muon; rate and decay of each parameter; the schedule of the rate."""
import math
import re

import numpy as np
import paddle
import paddle.nn as nn

from model.layers import DeformConv
from tools.errors import UserError, shown
from tools.training.muon import Muon

OPTIMIZERS, SCHEDULES = ("momentum", "adamw", "muon"), ("steps", "cosine")
NORMS = (nn.GroupNorm, nn.BatchNorm2D, nn.SyncBatchNorm)
# Where PaddleDetection doubles the rate of biases and does not decay them.
DOUBLED_BIASES = {"fpn": r"fpn\..*\.bias$",
                  "head_dcn": r"(head|mask_feature)\..*\.conv\.(offset\.)?bias$"}


def schedule_steps(cfg, images_per_epoch):
    """Number of steps of a run: `max_steps`, or the epochs over the data set."""
    return cfg.max_steps or max(1, cfg.epochs * images_per_epoch // cfg.batch_size)


def peak_rate(cfg):
    """The learning rate after the warm-up, for the batch of this run."""
    return cfg.learning_rate * cfg.batch_size / cfg.reference_batch_size


def learning_rate_at(cfg, step, num_steps):
    """The rate of step 0, 1, ...: linear warm-up times the schedule.

    Both count from step 0.  "cosine" is half a period down to 0; "steps" decays at the milestones,
    epochs of `cfg.epochs`, so that they scale with `max_steps` too.
    """
    rate = peak_rate(cfg)
    if cfg.lr_schedule == "cosine":
        rate *= 0.5 + 0.5 * math.cos(math.pi * step / num_steps)
    else:
        passed = sum(step >= round(milestone / cfg.epochs * num_steps)
                     for milestone in cfg.lr_milestones)
        rate *= cfg.lr_decay ** passed
    if step < cfg.warmup_steps:
        rate *= cfg.warmup_start + (1 - cfg.warmup_start) * step / cfg.warmup_steps
    return rate


def norm_parameter_names(model):
    """Names of the scales and shifts of norm layers."""
    return {parameter.name for layer in model.sublayers() if isinstance(layer, NORMS)
            for parameter in layer.parameters(include_sublayers=False)}


def parameter_rules(cfg, model):
    """{name: (factor of the learning rate, weight decay)} of the parameters that are trained.

    Sources: PaddleDetection's ParamAttr of each layer; mmdetection and AdelaiDet for their configs.
    """
    norms, rules = norm_parameter_names(model), {}
    factors = {parameter.name: factor
               for stage, factor in zip(model.backbone.stages(), cfg.stage_lr_factors, strict=True)
               for parameter in stage.parameters()}
    for name, parameter in model.named_parameters():
        if any(re.match(DOUBLED_BIASES[kind], name) for kind in cfg.double_rate_biases):
            rules[name] = 2.0, 0.0
        else:
            decay = cfg.norm_weight_decay if parameter.name in norms else cfg.weight_decay
            if parameter.name in factors:
                decay *= cfg.backbone_decay_factor
            # What a deformable convolution adds is not pretrained and learns at the full rate.
            rules[name] = (1.0 if ".offset." in name else factors.get(parameter.name, 1.0)), decay
    return {name: rules[name] for name, parameter in model.named_parameters()
            if not parameter.stop_gradient}


def build_optimizer(cfg, model):
    """The optimizer of the trainable parameters, by `parameter_rules`.

    The decay of "momentum" is coupled, that is, added to the gradient; "adamw" and "muon" take
    `cfg.weight_decay` off every parameter whose rule has a decay at all.  The rules are written
    into the parameters rather than into groups, because Paddle would clip the gradients of each
    group apart.
    """
    rules, trained = parameter_rules(cfg, model), []
    for name, parameter in model.named_parameters():
        if name in rules:
            parameter.optimize_attr["learning_rate"], decay = rules[name]
            if cfg.optimizer == "momentum":
                parameter.regularizer = paddle.regularizer.L2Decay(decay)
            trained.append(parameter)
    clip = nn.ClipGradByGlobalNorm(cfg.grad_clip_norm) if cfg.grad_clip_norm else None
    if cfg.optimizer == "momentum":
        return paddle.optimizer.Momentum(learning_rate=0.0, momentum=cfg.momentum, grad_clip=clip,
                                         parameters=trained)
    decayed = {parameter.name for name, parameter in model.named_parameters()
               if name in rules and rules[name][1]}
    settings = {"learning_rate": 0.0, "weight_decay": cfg.weight_decay, "grad_clip": clip,
                "parameters": trained, "apply_decay_param_fun": decayed.__contains__}
    if cfg.optimizer == "muon":
        return Muon(matrix_names(model), cfg.momentum, **settings)
    return paddle.optimizer.AdamW(**settings)


def matrix_names(model):
    """Names of the weights that Muon treats as matrices: of all convolutions with one group.

    The offsets of deformable convolutions, which start at 0 and should stay small, are left out.
    """
    return {layer.weight.name for name, layer in model.named_sublayers()
            if isinstance(layer, (nn.Conv2D, DeformConv)) and not name.endswith(".offset")
            and number_of_groups(layer) == 1}


def number_of_groups(layer):
    return layer.groups if isinstance(layer, DeformConv) else layer._groups


def optimizer_state(optimizer, model):
    """{slot: array} of an optimizer, by the names of the model's state dict."""
    names = {parameter.name: name for name, parameter in model.named_parameters()}
    # Before the first step after a resume these are still arrays.
    return {rename_slot(slot, names): np.asarray(value)
            for slot, value in optimizer.state_dict().items()}


def load_optimizer_state(optimizer, model, state, source):
    """Set the slots that `optimizer_state` gave; UserError where one is of another model."""
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    for slot, array in state.items():
        name = next((name for name in shapes if slot.startswith(name + "_")), None)
        if name is None or (array.size > 1 and array.shape != shapes[name]):
            raise UserError(f"'{source}': the entry {shown(slot)} of its optimizer, of shape "
                            f"{list(array.shape)}, does not fit the model")
    names = {name: parameter.name for name, parameter in model.named_parameters()}
    optimizer.set_state_dict({rename_slot(slot, names): value for slot, value in state.items()})


def rename_slot(slot, names):
    """An optimizer slot "conv2d_3.w_0_velocity_0" with the parameter's name replaced as in `names`.

    Paddle numbers parameters per process, so slots are stored under the names of the state dict.
    """
    for old in sorted(names, key=len, reverse=True):
        if slot.startswith(old + "_"):
            return names[old] + slot[len(old):]
    return slot
