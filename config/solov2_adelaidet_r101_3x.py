"""SOLOv2 R101 as AdelaiDet trains it."""
from config.solov2_adelaidet_r50_3x import Config as AdelaiDetR50


class Config(AdelaiDetR50):
    """SOLOv2 R101-FPN of AdelaiDet, 3x, 800x1333; published mask AP 39.0.

    Config 12 with another backbone.  Weights: AdelaiDet SOLOv2_R101_3x.
    python eval.py --config=13
    """

    backbone_depth = 101
