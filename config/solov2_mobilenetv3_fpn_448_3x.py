"""PaddleDetection's smallest model: MobileNetV3-large at 448."""
from config.base import Base


class Config(Base):
    """SOLOv2 MobileNetV3-large, 3x, 448x768; published mask AP 30.0 (PaddleDetection 0.5).

    The light heads of config 1.
    Weights: PaddleDetection solov2_mobilenetv3_fpn_448_3x (static 0.5).
    python eval.py --config=5
    """

    backbone = "mobilenet_v3"
    head_channels = 256
    head_convs = 2
    kernel_channels = 128
    drop_block = True
    frozen_stages = 0
    color_distortion = True
    random_crop = True
    scale_ranges = ((1, 56), (28, 112), (56, 224), (112, 448), (224, 896))
    train_short_sides = (352, 384, 416, 448, 480, 512)
    train_max_side = 768
    test_short_side = 448
    test_max_side = 768
    batch_size = 32
    reference_batch_size = 32
    learning_rate = 0.02
    stage_lr_factors = (0.25, 0.25, 0.25, 0.5, 0.75)   # of the distilled (ssld) backbone
    backbone_decay_factor = 0.1
    double_rate_biases = ("fpn",)
    lr_milestones = (24, 32)       # 90000 and 120000 of 135000 iterations
    ema_decay = 0.9998
