"""PaddleDetection 0.5's light model: R50-vd with deformable convolutions at 512."""
from config.base import Base


class Config(Base):
    """SOLOv2-Light R50-vd-DCN, 3x, 512x852; published mask AP 38.8 (PaddleDetection 0.5).

    Weights: PaddleDetection 0.5 solov2_light_r50_vd_fpn_dcn_512_3x.  python eval.py --config=2
    """

    backbone_variant = "d"
    backbone_dcn = 2
    backbone_dcn_stages = (3, 4, 5)
    head_channels = 256
    head_convs = 3
    head_dcn = 2
    head_dcn_convs = (2,)
    kernel_channels = 128
    drop_block = True
    frozen_stages = 0
    freeze_norm_statistics = False
    freeze_norm_affine = False
    color_distortion = True
    random_crop = True
    scale_ranges = ((1, 64), (32, 128), (64, 256), (128, 512), (256, 2048))
    train_short_sides = (352, 384, 416, 448, 480, 512)
    train_max_side = 852
    test_short_side = 512
    test_max_side = 852
    stage_lr_factors = (0.05, 0.05, 0.05, 0.1, 0.15)   # of the distilled (ssld) backbone
    double_rate_biases = ("fpn", "head_dcn")
    lr_milestones = (24, 32)       # 180000 and 240000 of 270000 iterations
    ema_decay = 0.9998
    ema_correction = "last"
