"""SGD with momentum, decay groups, and the learning-rate schedule."""
import paddle
import paddle.nn as nn


def schedule_steps(cfg, images_per_epoch):
    """Number of steps of a run: `max_steps`, or the epochs over the data set."""
    return cfg.max_steps or max(1, cfg.epochs * images_per_epoch // cfg.batch_size)


def learning_rate_at(cfg, step, num_steps):
    """The rate of step 0, 1, ...: linear warm-up, then decay at the milestones.

    Both count from step 0.  Milestones are epochs of `cfg.epochs`, so that they scale with
    `max_steps` too.
    """
    base = cfg.learning_rate * cfg.batch_size / cfg.reference_batch_size
    passed = sum(step >= round(milestone / cfg.epochs * num_steps)
                 for milestone in cfg.lr_milestones)
    rate = base * cfg.lr_decay ** passed
    if step < cfg.warmup_steps:
        rate *= cfg.warmup_start + (1 - cfg.warmup_start) * step / cfg.warmup_steps
    return rate


def norm_parameter_names(model):
    """Names of the parameters of norm layers, which are not decayed."""
    return {parameter.name for layer in model.sublayers()
            if isinstance(layer, (nn.GroupNorm, nn.BatchNorm2D))
            for parameter in layer.parameters(include_sublayers=False)}


def build_optimizer(cfg, model):
    """Momentum over the trainable parameters, with weight decay on all but the norms.

    The decay is coupled, that is, added to the gradient.
    """
    norms = norm_parameter_names(model)
    trainable = [p for p in model.parameters() if not p.stop_gradient]
    decayed = [p for p in trainable if p.name not in norms]
    undecayed = [p for p in trainable if p.name in norms]
    groups = [{"params": decayed, "weight_decay": cfg.weight_decay},
              {"params": undecayed, "weight_decay": 0.0}]
    clip = nn.ClipGradByGlobalNorm(cfg.grad_clip_norm) if cfg.grad_clip_norm else None
    return paddle.optimizer.Momentum(learning_rate=0.0, momentum=cfg.momentum, grad_clip=clip,
                                     parameters=[group for group in groups if group["params"]])
