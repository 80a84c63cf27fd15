"""SOLOv2 with R101."""
from config.torch_recipe import TorchRecipe


class Config(TorchRecipe):
    """SOLOv2 R101-FPN, 3x, 800x1333; published mask AP 39.1 (WXinlong, mmdetection).

    Weights: WXinlong SOLOv2_R101_3x, mmdetection solov2_r101_fpn_ms-3x.
    python eval.py --config=6
    """

    backbone_depth = 101
