"""The families of checkpoints as data: how to recognise them and what their networks expect.

Sources: release/2.2 and release/0.5 of PaddleDetection, WXinlong/SOLO, AdelaiDet with detectron2,
and mmdetection 2.x and 3.x.
"""
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from convert.errors import ConversionError
from convert.naming import ADELAIDET, MMDET, PPDET, STATIC, WXINLONG
from convert.rename import Naming
from convert.writers import write_pdparams, write_pdparams_static, write_pth

RGB = {"channel_order": "rgb", "pixel_mean": (123.675, 116.28, 103.53),
       "pixel_std": (58.395, 57.12, 57.375), "resize_library": "cv2"}
TORCH_INPUT = {**RGB, "normalize_first": False, "resized_size_rule": "round"}
# The published files are of release/2.2; 2.6 and later round the size (same tensor names).
PPDET_INPUT = {**RGB, "normalize_first": True, "resized_size_rule": "fractional"}
PADDLEX_INPUT = {**PPDET_INPUT, "resized_size_rule": "round"}
STATIC_INPUT = {**RGB, "normalize_first": False, "resized_size_rule": "fractional"}
ADELAIDET_INPUT = {"channel_order": "bgr", "pixel_mean": (103.53, 116.28, 123.675),
                   "pixel_std": (1.0, 1.0, 1.0), "resize_library": "pil", "normalize_first": False,
                   "resized_size_rule": "round"}


@dataclass(frozen=True)
class Layout:
    """Files of a project: `write(path, tensors, class names)`."""

    suffix: str
    write: Callable


PDPARAMS = Layout(".pdparams", lambda path, tensors, names: write_pdparams(path, tensors))
FLUID = Layout(".pdparams", lambda path, tensors, names: write_pdparams_static(path, tensors))


def pth(wrapper, extras):
    """The Layout of PyTorch: the state dict under `wrapper`, `extras(class names)` beside it."""
    return Layout(".pth", lambda path, tensors, names: write_pth(path, wrapper, tensors,
                                                                 extras(names)))


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
    layout: Layout | None = None                         # how its files are written
    counts_batches: bool = False                         # beside every norm (torch)

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
           PPDET_INPUT, ("b", "d"), (0, 2), dcn_bias=True, layout=PDPARAMS,
           aliases=(("solov2_head.solo_", "solov2_head.bbox_head.solo_"),
                    ("mask_head.conv_pred.", "mask_head.mask_feat_head.conv_pred.0."))),
    Family("ppdet-static", "PaddleDetection 0.5", STATIC,
           (("bbox_head.solo_cate.weight", "mask_feat_head.conv_pred.0_weights"),),
           STATIC_INPUT, ("b", "d"), (0, 2), mobile=True, layout=FLUID),
    Family("wxinlong", "WXinlong/SOLO", WXINLONG,
           (("bbox_head.solo_cate.weight", "mask_feat_head.conv_pred.0.conv.weight"),),
           TORCH_INPUT, dcn_versions=(0, 1, 2), grouped=True, ignored=BATCHES, counts_batches=True,
           layout=pth("state_dict", lambda names: {"meta": {"CLASSES": names}})),
    Family("mmdet3", "mmdetection 2.x or 3.x", MMDET, (("mask_head.conv_cls.weight",),),
           TORCH_INPUT, dcn_versions=(0, 1, 2), grouped=True, ignored=BATCHES, counts_batches=True,
           layout=pth("state_dict", lambda names: {"meta": {"dataset_meta": {"classes": names}}})),
    Family("adelaidet", "AdelaiDet", ADELAIDET, (("ins_head.cate_pred.weight",),),
           ADELAIDET_INPUT, ("a",), depths=(50, 101),
           layout=pth("model", lambda names: {"iteration": 0}),
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
# Tensor names do not tell PaddleX 3 from PaddleDetection 2.2: it is asked for by --family.
FAMILIES += (replace(FAMILIES[0], name="paddlex", title="PaddleX 3, PaddleDetection 2.6 and later",
                     input=PADDLEX_INPUT, layout=None),)
BY_NAME = {family.name: family for family in FAMILIES}
EXPORTS = tuple(family.name for family in FAMILIES if family.layout)


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
