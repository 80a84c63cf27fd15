"""SOLOv2 R50-FPN 1x: the short schedule at one scale."""
from config.base import Base


class Config(Base):
    """SOLOv2 R50-FPN, 1x, 800x1333; published mask AP 35.5 (PaddleDetection), 34.8 (WXinlong).

    The network of config 0 trained for 12 epochs at one scale; mmdetection publishes 34.8 too.
    Weights: PaddleDetection solov2_r50_fpn_1x (static 0.5) and solov2_r50_fpn_1x_coco (2.x),
    WXinlong SOLOv2_R50_1x, mmdetection solov2_r50_fpn_1x.
    python eval.py --config=3
    """

    train_short_sides = (800,)
    epochs = 12
    lr_milestones = (8, 11)
