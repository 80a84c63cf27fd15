"""The training rules that WXinlong/SOLO and mmdetection share; not a model of its own."""
from config.base import Base


class TorchRecipe(Base):
    """What differs from PaddleDetection's rules, which are the defaults.

    The statistics of the backbone's norms stay, their scales and shifts learn from res3 on, and
    every parameter decays.  mmdetection warms up from a third of the rate instead of a hundredth.
    """

    freeze_norm_affine = False
    norm_weight_decay = 1e-4
    grad_clip_norm = 35.0
    lr_milestones = (27, 33)
    warmup_steps = 500
    warmup_start = 0.01
