"""The training rules that WXinlong/SOLO and mmdetection share; not a model of its own."""
from config.base import Base


class TorchRecipe(Base):
    """What differs from PaddleDetection's rules, which are the defaults.

    The statistics of the backbone's norms stay, their scales and shifts learn from res3 on, every
    parameter decays, and gradients are clipped.  Not imitated, for all configs have the targets and
    losses of PaddleDetection: WXinlong and AdelaiDet average the mask loss over all (cell, object)
    pairs, also those whose mask vanishes at stride 4 (we leave these out); mmdetection divides its
    sum by the number of distinct positive cells, and warms up from a third of the rate; the
    torch of 2020 truncated the division that finds a centre's cell, which differs on cell borders.
    """

    freeze_norm_affine = False
    norm_weight_decay = 1e-4
    grad_clip_norm = 35.0
    lr_milestones = (27, 33)
    warmup_steps = 500
    warmup_start = 0.01
