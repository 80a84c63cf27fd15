"""PaddleDetection 2.x's light model: R50-vd with deformable convolutions at 512."""
from config.base import Base
from config.solov2_light_r50_vd_fpn_dcn_512_3x import Config as LightVd


class Config(LightVd):
    """SOLOv2-Light R50-vd-DCN of PaddleDetection 2.x, 3x, 512x852; published mask AP 39.0.

    Config 2 with deformable convolutions in the mask branch too, a bias in those of the heads, the
    stem and res2 frozen (their running statistics move all the same), and the scale ranges of the
    large models.  On several GPUs the norms of the backbone are synchronised, as in release 2.2,
    which published the weights (2.7.1 has plain BatchNorms there).
    Weights: PaddleDetection solov2_r50_enhance_coco.  python eval.py --config=14
    """

    mask_dcn = 2
    dcn_bias = True
    frozen_stages = 2
    scale_ranges = Base.scale_ranges
    double_rate_biases = ("head_dcn",)
    lr_milestones = (24, 33)
