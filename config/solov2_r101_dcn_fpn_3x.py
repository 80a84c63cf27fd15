"""SOLOv2 with R101, deformable everywhere."""
from config.torch_recipe import TorchRecipe


class Config(TorchRecipe):
    """SOLOv2 R101-DCN-FPN, 3x, 800x1333; published mask AP 41.4 (WXinlong), 41.2 (mmdetection).

    Modulated deformable convolutions in res3..res5, in both towers and in the mask branch.
    Weights: WXinlong SOLOv2_R101_DCN_3x.  python eval.py --config=10
    """

    backbone_depth = 101
    backbone_dcn = 2
    backbone_dcn_stages = (3, 4, 5)
    head_dcn = 2
    head_dcn_convs = (0, 1, 2, 3)
    mask_dcn = 2
