"""The families of checkpoints as data: how to recognise them and what their networks expect.

Sources: release/2.2 and release/0.5 of PaddleDetection, WXinlong/SOLO, AdelaiDet with detectron2,
and mmdetection 2.x and 3.x.
"""
from dataclasses import dataclass, field

from convert.errors import ConversionError
from convert.naming import ADELAIDET, MMDET, PPDET, STATIC, WXINLONG
from convert.rename import Naming

RGB = {"channel_order": "rgb", "pixel_mean": (123.675, 116.28, 103.53),
       "pixel_std": (58.395, 57.12, 57.375), "resize_library": "cv2"}
TORCH_INPUT = {**RGB, "normalize_first": False, "resized_size_rule": "round"}
# The published files are of release/2.2; 2.6 and later round the size (same tensor names).
PPDET_INPUT = {**RGB, "normalize_first": True, "resized_size_rule": "fractional"}
STATIC_INPUT = {**RGB, "normalize_first": False, "resized_size_rule": "fractional"}
ADELAIDET_INPUT = {"channel_order": "bgr", "pixel_mean": (103.53, 116.28, 123.675),
                   "pixel_std": (1.0, 1.0, 1.0), "resize_library": "pil", "normalize_first": False,
                   "resized_size_rule": "round"}


@dataclass(frozen=True)
class Family:
    """One project's checkpoints.

    `marks`: sets of names, one of which must be in a file.  `variants`: of the ResNets, which no
    shape tells.  `dcn_bias`: whether deformable head convolutions have one.  `aliases`: (prefix,
    prefix of the same tensor).  `prefix` goes before names of a backbone saved alone.
    """

    name: str
    title: str
    naming: Naming
    marks: tuple
    input: dict
    variants: tuple = ("b",)
    dcn_versions: tuple = (0,)
    grouped: bool = False
    mobile: bool = False
    depths: tuple = (18, 34, 50, 101)
    dcn_bias: bool = False
    aliases: tuple = ()
    backbone_only: bool = False
    prefix: str = ""
    ignored: dict = field(default_factory=dict)          # {end or start of a name: reason}

    def recognises(self, names):
        return any(all(name in names for name in mark) for mark in self.marks)

    def builds(self, cfg):
        """Why this project cannot express the network of a config, or "" if it can."""
        limits = (
            (cfg.backbone == "mobilenet_v3" and not self.mobile, "it has no MobileNetV3"),
            (cfg.backbone_groups > 1 and not self.grouped, "it has no ResNeXt"),
            (cfg.norm_groups != 32 or cfg.backbone_width != 64, "its widths are fixed: stem 64, "
             "norms of 32 groups"))
        if cfg.backbone == "resnet":
            dcn = {cfg.backbone_dcn, cfg.head_dcn, cfg.mask_dcn} - {0}
            limits += (
                (cfg.backbone_variant not in self.variants, f"its ResNets are of variant "
                 f"{' or '.join(self.variants)}, not {cfg.backbone_variant}"),
                (cfg.backbone_depth not in self.depths, f"it has no R{cfg.backbone_depth}"),
                (not dcn <= {*self.dcn_versions}, "it lacks these deformable convolutions"))
        return "; ".join(reason for wrong, reason in limits if wrong)


BATCHES = {"num_batches_tracked": "counts training batches, not used"}
CLASSIFIER = {"fc.": "classifier", "fc_0": "classifier", "fc_": "classifier",
              "out.": "classifier", "last_1x1_conv": "classifier", "head.": "classifier"}

FAMILIES = (
    Family("ppdet", "PaddleDetection 2.x", PPDET,
           (("solov2_head.bbox_head.solo_cate.weight",), ("solov2_head.solo_cate.weight",)),
           PPDET_INPUT, ("b", "d"), (0, 2), dcn_bias=True,
           aliases=(("solov2_head.solo_", "solov2_head.bbox_head.solo_"),
                    ("mask_head.conv_pred.", "mask_head.mask_feat_head.conv_pred.0."))),
    Family("ppdet-static", "PaddleDetection 0.5", STATIC,
           (("bbox_head.solo_cate.weight", "mask_feat_head.conv_pred.0_weights"),),
           STATIC_INPUT, ("b", "d"), (0, 2), mobile=True),
    Family("wxinlong", "WXinlong/SOLO", WXINLONG,
           (("bbox_head.solo_cate.weight", "mask_feat_head.conv_pred.0.conv.weight"),),
           TORCH_INPUT, dcn_versions=(0, 1, 2), grouped=True, ignored=BATCHES),
    Family("mmdet3", "mmdetection 2.x or 3.x", MMDET, (("mask_head.conv_cls.weight",),),
           TORCH_INPUT, dcn_versions=(0, 1, 2), grouped=True, ignored=BATCHES),
    Family("adelaidet", "AdelaiDet", ADELAIDET, (("ins_head.cate_pred.weight",),),
           ADELAIDET_INPUT, ("a",), depths=(50, 101),
           ignored={**BATCHES, "pixel_mean": "part of the input settings",
                    "pixel_std": "part of the input settings"}),
    Family("torchvision", "a ResNet of torchvision", WXINLONG, (("layer1.0.conv1.weight",),),
           TORCH_INPUT, backbone_only=True, prefix="backbone.", ignored={**BATCHES, **CLASSIFIER}),
    Family("ppdet-backbone", "a ResNet of PaddleDetection 2.x", PPDET,
           (("res2.res2a.branch2a.conv.weight",), ("backbone.res2.res2a.branch2a.conv.weight",)),
           PPDET_INPUT, ("b", "d"), (0, 2), backbone_only=True, prefix="backbone.",
           ignored=CLASSIFIER),
    Family("ppdet-static-backbone", "an ImageNet backbone of Paddle 1.x", STATIC,
           (("res2a_branch2a_weights",), ("conv2_expand_weights",)), STATIC_INPUT, ("b", "d"),
           (0, 2), mobile=True, backbone_only=True, ignored=CLASSIFIER),
)
BY_NAME = {family.name: family for family in FAMILIES}
EXPORTS = tuple(family.name for family in FAMILIES if not family.backbone_only)


def recognise(names):
    """The Family of a file by the names of its tensors.  Raises ConversionError."""
    for family in FAMILIES:
        if family.recognises(names):
            return family
    shown = ", ".join(list(names)[:8])
    raise ConversionError(
        f"no family of SOLOv2 checkpoints has these {len(names)} tensors ({shown}, ...); known are "
        + ", ".join(f"{family.name} ({family.title})" for family in FAMILIES))


def family_named(name):
    """The Family called `name`.  Raises ConversionError."""
    if name not in BY_NAME:
        raise ConversionError(f"no family '{name}'; expected one of {', '.join(BY_NAME)}")
    return BY_NAME[name]
