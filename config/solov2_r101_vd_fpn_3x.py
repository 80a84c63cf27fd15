"""PaddleDetection's strongest model: R101-vd, deformable everywhere."""
from config.base import Base


class Config(Base):
    """SOLOv2 R101-vd-DCN, 3x, 800x1333; published mask AP 42.7 (PaddleDetection 2.x), 42.6 (0.5).

    Modulated deformable convolutions in res3..res5, in both towers and in the mask branch.
    Weights: PaddleDetection solov2_r101_vd_fpn_3x_coco (2.x) and solov2_r101_vd_fpn_3x (static
    0.5, which has no biases in the deformable convolutions of the heads: they become zero).
    python eval.py --config=4
    """

    backbone_depth = 101
    backbone_variant = "d"
    backbone_dcn = 2
    backbone_dcn_stages = (3, 4, 5)
    head_dcn = 2
    head_dcn_convs = (0, 1, 2, 3)
    mask_dcn = 2
    dcn_bias = True
    double_rate_biases = ("head_dcn",)
    lr_milestones = (24, 33)
    warmup_steps = 2000
    ema_decay = 0.9998
    ema_correction = "last"
