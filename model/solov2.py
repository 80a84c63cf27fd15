"""SOLOv2 (Wang et al. 2020, "Dynamic and Fast Instance Segmentation").  Start here.

`SOLOv2.forward` is the whole network; only `build_solov2` assembles it from a config.
"""
import paddle.nn as nn

from model.fpn import FPN
from model.head import SOLOv2Head
from model.layers import freeze_layers
from model.mask_feature import MaskFeature
from model.mobilenet_v3 import MobileNetV3
from model.resnet import ResNet


class SOLOv2(nn.Layer):
    """images float32 [N, 3, H, W], normalised, H and W multiples of 32 -> raw outputs:

      category_logits  5 x [N, C, S, S]
      kernels          5 x [N, E, S, S]
      mask_features    [N, E, H/4, W/4]
    The same in train and eval.  The mask of a cell is sigmoid(<its kernel, mask features>).
    """

    def __init__(self, backbone, fpn, head, mask_feature):
        super().__init__()
        self.backbone, self.fpn, self.head, self.mask_feature = backbone, fpn, head, mask_feature

    def forward(self, images):
        pyramid = self.fpn(self.backbone(images))                           # p2..p6
        category_logits, kernels = self.head(pyramid)
        mask_features = self.mask_feature(pyramid[:4])
        return {"category_logits": category_logits, "kernels": kernels,
                "mask_features": mask_features}

    def features(self, images):
        """The intermediate maps by name: "c2".."c5" of the backbone, "p2".."p6" of the pyramid."""
        stages = self.backbone(images)
        pyramid = self.fpn(stages)
        return {**{f"c{i}": c for i, c in enumerate(stages, start=2)},
                **{f"p{i}": p for i, p in enumerate(pyramid, start=2)}}


def build_backbone(cfg):
    if cfg.backbone == "resnet":
        return ResNet(cfg.backbone_depth, cfg.backbone_variant, cfg.backbone_width,
                      cfg.backbone_groups, cfg.backbone_group_width, cfg.backbone_dcn,
                      cfg.backbone_dcn_stages, cfg.freeze_norm_statistics)
    if cfg.backbone == "mobilenet_v3":
        return MobileNetV3(cfg.freeze_norm_statistics)
    raise ValueError(f"backbone '{cfg.backbone}' is not known; expected 'resnet' or 'mobilenet_v3'")


def build_solov2(cfg):
    """The network of a config, freshly initialised, with what the config freezes frozen."""
    backbone = build_backbone(cfg)
    freeze_layers(backbone, cfg.frozen_stages, cfg.freeze_norm_affine)
    fpn = FPN(backbone.channels, cfg.fpn_channels)
    head = SOLOv2Head(cfg.fpn_channels, cfg.num_classes, cfg.num_grids, cfg.head_channels,
                      cfg.head_convs, cfg.kernel_channels, cfg.norm_groups, cfg.head_dcn,
                      cfg.head_dcn_convs, cfg.dcn_bias, cfg.drop_block)
    mask_feature = MaskFeature(cfg.fpn_channels, cfg.mask_channels, cfg.kernel_channels,
                               cfg.norm_groups, cfg.mask_dcn, cfg.dcn_bias)
    return SOLOv2(backbone, fpn, head, mask_feature)
