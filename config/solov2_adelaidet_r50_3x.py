"""SOLOv2 R50 as AdelaiDet trains it."""
from config.base import Base


class Config(Base):
    """SOLOv2 R50-FPN of AdelaiDet, 3x, 800x1333; published mask AP 37.6.

    detectron2's ResNet: the stride in the 1x1 convolutions, BGR input with the mean subtracted and
    not divided by a deviation, resized by Pillow.  Weights: AdelaiDet SOLOv2_R50_3x.
    python eval.py --config=12
    """

    channel_order = "bgr"
    pixel_mean = (103.53, 116.28, 123.675)
    pixel_std = (1.0, 1.0, 1.0)
    resize_library = "pil"
    backbone_variant = "a"
    lr_milestones = (28, 100 / 3)  # 210000 and 250000 of 270000 iterations
    warmup_start = 0.01
