"""SOLOv2 R50-FPN 3x, the paper's main model."""
from config.base import Base


class Config(Base):
    """SOLOv2 R50-FPN, 3x, 800x1333; published mask AP 37.6 (paper), 38.0 (PaddleDetection).

    SOLOv2 table 1; 37.5 on the val set.  Trained by PaddleDetection's rules.
    Weights: PaddleDetection solov2_r50_fpn_3x (static 0.5 and 2.x), WXinlong SOLOv2_R50_3x,
    mmdetection solov2_r50_fpn_ms-3x.
    python eval.py --config=0
    """

    lr_milestones = (24, 33)
