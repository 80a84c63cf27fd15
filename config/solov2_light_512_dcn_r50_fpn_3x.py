"""SOLOv2-Light 512 with deformable convolutions v1."""
from config.torch_recipe import TorchRecipe


class Config(TorchRecipe):
    """SOLOv2-Light R50-DCN-FPN, 3x, 512x852; published mask AP 36.4 (WXinlong).

    Deformable convolutions without modulation in res3..res5 and in the last convolution of both
    towers.  Weights: WXinlong SOLOv2_LIGHT_512_DCN_R50_3x.  python eval.py --config=9
    """

    backbone_dcn = 1
    backbone_dcn_stages = (3, 4, 5)
    head_channels = 256
    head_convs = 3
    head_dcn = 1
    head_dcn_convs = (2,)
    kernel_channels = 128
    scale_ranges = ((1, 64), (32, 128), (64, 256), (128, 512), (256, 2048))
    train_short_sides = (352, 384, 416, 448, 480, 512)
    train_max_side = 852
    test_short_side = 512
    test_max_side = 852
