"""SOLOv2-Light 448 with R50."""
from config.torch_recipe import TorchRecipe


class Config(TorchRecipe):
    """SOLOv2-Light R50-FPN, 3x, 448x768; published mask AP 33.7 (WXinlong/SOLO).

    Weights: WXinlong SOLOv2_LIGHT_448_R50_3x, mmdetection solov2-light_r50_fpn_ms-3x.
    python eval.py --config=1
    """

    head_channels = 256
    head_convs = 2
    kernel_channels = 128
    scale_ranges = ((1, 56), (28, 112), (56, 224), (112, 448), (224, 896))
    train_short_sides = (352, 384, 416, 448, 480, 512)
    train_max_side = 768
    test_short_side = 448
    test_max_side = 768
