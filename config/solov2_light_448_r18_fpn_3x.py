"""SOLOv2-Light 448 with R18."""
from config.solov2_light_448_r50_fpn_8gpu_3x import Config as Light448


class Config(Light448):
    """SOLOv2-Light R18-FPN, 3x, 448x768; published mask AP 29.6 (WXinlong), 29.7 (mmdetection).

    Config 1 with another backbone.  Weights: WXinlong SOLOv2_LIGHT_448_R18_3x, mmdetection
    solov2-light_r18_fpn_ms-3x.  python eval.py --config=8
    """

    backbone_depth = 18
