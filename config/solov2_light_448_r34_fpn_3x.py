"""SOLOv2-Light 448 with R34."""
from config.solov2_light_448_r50_fpn_8gpu_3x import Config as Light448


class Config(Light448):
    """SOLOv2-Light R34-FPN, 3x, 448x768; published mask AP 32.0 (WXinlong), 31.9 (mmdetection).

    Config 1 with another backbone.  Weights: WXinlong SOLOv2_LIGHT_448_R34_3x, mmdetection
    solov2-light_r34_fpn_ms-3x.  python eval.py --config=7
    """

    backbone_depth = 34
