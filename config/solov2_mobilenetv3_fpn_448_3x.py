"""PaddleDetection's smallest model: MobileNetV3-large at 448."""
from config.solov2_light_448_r50_fpn_8gpu_3x import Config as Light448


class Config(Light448):
    """SOLOv2 MobileNetV3-large, 3x, 448x768; published mask AP 30.0 (PaddleDetection 0.5).

    The light heads of config 1.
    Weights: PaddleDetection solov2_mobilenetv3_fpn_448_3x (static 0.5).
    python eval.py --config=5
    """

    backbone = "mobilenet_v3"
    frozen_stages = 0
    drop_block = True
    batch_size = 32
    reference_batch_size = 32
    learning_rate = 0.02
    lr_milestones = (24, 32)
    ema_decay = 0.9998
