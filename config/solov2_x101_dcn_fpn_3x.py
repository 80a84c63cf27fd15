"""SOLOv2 with ResNeXt-101 64x4d, deformable everywhere."""
from config.solov2_r101_dcn_fpn_3x import Config as R101DCN


class Config(R101DCN):
    """SOLOv2 X101-64x4d-DCN-FPN, 3x, 800x1333; published mask AP 42.4 (WXinlong, mmdetection).

    Config 10 with grouped 3x3 convolutions.  Weights: WXinlong SOLOv2_X101_DCN_3x.
    python eval.py --config=11
    """

    backbone_groups = 64
    backbone_group_width = 4
