"""How each project calls its tensors: tables of (their name, our name), read in both directions."""
from convert.rename import Naming, Rule

SAME = {"weight": "weight", "bias": "bias"}
TORCH_NORM = {**SAME, "running_mean": "_mean", "running_var": "_variance"}
PADDLE_NORM = {**SAME, "_mean": "_mean", "_variance": "_variance"}
STATIC_NORM = {"scale": "weight", "offset": "bias", "mean": "_mean", "variance": "_variance"}
LETTERS = {letter: str(i) for i, letter in enumerate("abcdef")}          # blocks of a stage
NUMBERED = {"a": "0", **{f"b{i}": str(i) for i in range(1, 36)}}         # more than ten: a, b1, ..
BRANCHES = {"a": "1", "b": "2", "c": "3"}
LATE = {"3": "3", "4": "4", "5": "5"}                                    # stages with a stride
DEEP = "backbone.res{s}.6.conv1.conv.weight"       # exists in a stage of more than six blocks
VD = "backbone.stem.2.conv.weight"                 # exists in the variant d
MOBILE = "backbone.last.conv.weight"

# An offset beside its convolution ("conv2_offset") is how files of early 2020 call it.

# -- torch: mmdetection 1.0 (WXinlong), 2.x and 3.x, torchvision ----------------------------------

BLOCK = "backbone.layer{l}.{b}"
OUR_BLOCK = "backbone.res{l+1}.{b}"
TORCH_RESNET = (
    Rule("backbone.conv1.weight", "backbone.stem.0.conv.weight"),
    Rule("backbone.bn1.{stat}", "backbone.stem.0.norm.{stat}"),
    Rule(f"{BLOCK}.conv{{c}}.weight", f"{OUR_BLOCK}.conv{{c}}.conv.weight"),
    Rule(f"{BLOCK}.conv{{c}}.conv_offset.{{p}}", f"{OUR_BLOCK}.conv{{c}}.conv.offset.{{p}}"),
    Rule(f"{BLOCK}.conv{{c}}_offset.{{p}}", f"{OUR_BLOCK}.conv{{c}}.conv.offset.{{p}}"),
    Rule(f"{BLOCK}.bn{{c}}.{{stat}}", f"{OUR_BLOCK}.conv{{c}}.norm.{{stat}}"),
    Rule(f"{BLOCK}.downsample.0.weight", f"{OUR_BLOCK}.shortcut.proj.conv.weight"),
    Rule(f"{BLOCK}.downsample.1.{{stat}}", f"{OUR_BLOCK}.shortcut.proj.norm.{{stat}}"),
)
MMDET_NECK = (
    Rule("neck.lateral_convs.{i}.conv.{p}", "fpn.lateral.{i}.{p}"),
    Rule("neck.fpn_convs.{i}.conv.{p}", "fpn.output.{i}.{p}"),
)


def conv_norm(theirs, ours, norm="gn"):
    """Rules of a convolution, plain or deformable, and its norm, as mmdetection names them."""
    return (Rule(f"{theirs}.conv.weight", f"{ours}.conv.weight"),
            Rule(f"{theirs}.conv.conv_offset.{{p}}", f"{ours}.conv.offset.{{p}}"),
            Rule(f"{theirs}.conv_offset.{{p}}", f"{ours}.conv.offset.{{p}}"),
            Rule(f"{theirs}.{norm}.{{p}}", f"{ours}.norm.{{p}}"))


WXINLONG = Naming((
    *TORCH_RESNET, *MMDET_NECK,
    *conv_norm("bbox_head.{tower}_convs.{i}", "head.{tower}_tower.{i}"),
    Rule("bbox_head.solo_{tower}.{p}", "head.{tower}_pred.{p}"),
    *conv_norm("mask_feat_head.convs_all_levels.{l}.conv{j}", "mask_feature.levels.{l}.{j}"),
    *conv_norm("mask_feat_head.conv_pred.0", "mask_feature.pred"),
), {"p": SAME, "stat": TORCH_NORM, "tower": {"cate": "category", "kernel": "kernel"}})

MMDET = Naming((
    *TORCH_RESNET, *MMDET_NECK,
    *conv_norm("mask_head.{tower}_convs.{i}", "head.{tower}_tower.{i}"),
    Rule("mask_head.conv_{tower}.{p}", "head.{tower}_pred.{p}"),
    *conv_norm("mask_head.mask_feature_head.convs_all_levels.{l}.conv{j}",
               "mask_feature.levels.{l}.{j}"),
    *conv_norm("mask_head.mask_feature_head.conv_pred", "mask_feature.pred"),
), {"p": SAME, "stat": TORCH_NORM, "tower": {"cls": "category", "kernel": "kernel"}})

# -- detectron2 and AdelaiDet: layers of a tower are numbered convolution, norm, ReLU, .. ---------

ADELAIDET = Naming((
    Rule("backbone.bottom_up.stem.conv1.weight", "backbone.stem.0.conv.weight"),
    Rule("backbone.bottom_up.stem.conv1.norm.{stat}", "backbone.stem.0.norm.{stat}"),
    Rule("backbone.bottom_up.res{s}.{b}.conv{c}.weight", "backbone.res{s}.{b}.conv{c}.conv.weight"),
    Rule("backbone.bottom_up.res{s}.{b}.conv{c}.norm.{stat}",
         "backbone.res{s}.{b}.conv{c}.norm.{stat}"),
    Rule("backbone.bottom_up.res{s}.{b}.shortcut.weight",
         "backbone.res{s}.{b}.shortcut.proj.conv.weight"),
    Rule("backbone.bottom_up.res{s}.{b}.shortcut.norm.{stat}",
         "backbone.res{s}.{b}.shortcut.proj.norm.{stat}"),
    Rule("backbone.fpn_lateral{i+2}.{p}", "fpn.lateral.{i}.{p}"),
    Rule("backbone.fpn_output{i+2}.{p}", "fpn.output.{i}.{p}"),
    Rule("ins_head.{tower}_tower.{3*i}.weight", "head.{tower}_tower.{i}.conv.weight"),
    Rule("ins_head.{tower}_tower.{3*i+1}.{p}", "head.{tower}_tower.{i}.norm.{p}"),
    Rule("ins_head.{tower}_pred.{p}", "head.{tower}_pred.{p}"),
    Rule("mask_head.convs_all_levels.{l}.conv{j}.0.weight",
         "mask_feature.levels.{l}.{j}.conv.weight"),
    Rule("mask_head.convs_all_levels.{l}.conv{j}.1.{p}", "mask_feature.levels.{l}.{j}.norm.{p}"),
    Rule("mask_head.conv_pred.0.weight", "mask_feature.pred.conv.weight"),
    Rule("mask_head.conv_pred.1.{p}", "mask_feature.pred.norm.{p}"),
), {"p": SAME, "stat": TORCH_NORM, "tower": {"cate": "category", "kernel": "kernel"}})

# -- PaddleDetection 2.x, dynamic graph -----------------------------------------------------------


def ppdet_block(block, only_with=""):
    """Rules of the residual blocks whose letters are the words of the field `block`."""
    theirs = f"backbone.res{{s}}.res{{s}}{{{block}}}.branch2{{c}}"
    ours = f"backbone.res{{s}}.{{{block}}}.conv{{c}}"
    return (Rule(f"{theirs}.conv.weight", f"{ours}.conv.weight", only_with),
            Rule(f"{theirs}.conv_offset.{{p}}", f"{ours}.conv.offset.{{p}}", only_with),
            Rule(f"{theirs}.norm.{{stat}}", f"{ours}.norm.{{stat}}", only_with))


def ppdet_conv_norm(theirs, ours):
    """As `conv_norm`; a deformable convolution hides under another name and has a bias."""
    return (Rule(f"{theirs}.conv.conv_offset.{{p}}", f"{ours}.conv.offset.{{p}}"),
            Rule(f"{theirs}.conv.conv_dcn.{{p}}", f"{ours}.conv.{{p}}",
                 f"{ours}.conv.offset.weight"),
            Rule(f"{theirs}.conv.weight", f"{ours}.conv.weight"),
            Rule(f"{theirs}.norm.{{p}}", f"{ours}.norm.{{p}}"))


PPDET = Naming((
    Rule("backbone.conv1.conv1_{i+1}.conv.weight", "backbone.stem.{i}.conv.weight", VD),
    Rule("backbone.conv1.conv1_{i+1}.norm.{stat}", "backbone.stem.{i}.norm.{stat}", VD),
    Rule("backbone.conv1.conv1.conv.weight", "backbone.stem.0.conv.weight"),
    Rule("backbone.conv1.conv1.norm.{stat}", "backbone.stem.0.norm.{stat}"),
    *ppdet_block("deep", DEEP), *ppdet_block("block"),
    Rule("backbone.res{late}.res{late}a.short.conv.conv.weight",
         "backbone.res{late}.0.shortcut.proj.conv.weight", VD),
    Rule("backbone.res{late}.res{late}a.short.conv.norm.{stat}",
         "backbone.res{late}.0.shortcut.proj.norm.{stat}", VD),
    Rule("backbone.res{s}.res{s}a.short.conv.weight",
         "backbone.res{s}.0.shortcut.proj.conv.weight"),
    Rule("backbone.res{s}.res{s}a.short.norm.{stat}",
         "backbone.res{s}.0.shortcut.proj.norm.{stat}"),
    Rule("neck.fpn_inner_res5_sum.{p}", "fpn.lateral.3.{p}"),
    Rule("neck.fpn_inner_res{i+2}_sum_lateral.{p}", "fpn.lateral.{i}.{p}"),
    Rule("neck.fpn_res{i+2}_sum.{p}", "fpn.output.{i}.{p}"),
    *ppdet_conv_norm("solov2_head.bbox_head.{tower}_convs.{i}", "head.{tower}_tower.{i}"),
    Rule("solov2_head.bbox_head.solo_{tower}.{p}", "head.{tower}_pred.{p}"),
    *ppdet_conv_norm("mask_head.conv_pre_feat{l}.mask_feat_head.convs_all_levels.{l}.conv{j}",
                     "mask_feature.levels.{l}.{j}"),
    *ppdet_conv_norm("mask_head.mask_feat_head.conv_pred.0", "mask_feature.pred"),
), {"p": SAME, "stat": PADDLE_NORM, "block": LETTERS, "deep": NUMBERED, "c": BRANCHES, "late": LATE,
    "tower": {"cate": "category", "kernel": "kernel"}})

# -- PaddleDetection 0.5, static graph: flat names ------------------------------------------------


def static_block(block, only_with=""):
    theirs, ours = f"{{s}}{{{block}}}_branch2{{c}}", f"backbone.res{{s}}.{{{block}}}.conv{{c}}"
    return (Rule(f"res{theirs}_weights", f"{ours}.conv.weight", only_with),
            Rule(f"res{theirs}_conv_offset.{{dcn}}", f"{ours}.conv.offset.{{dcn}}", only_with),
            Rule(f"bn{theirs}_{{stat}}", f"{ours}.norm.{{stat}}", only_with))


def static_conv_norm(theirs, ours):
    return (Rule(f"{theirs}_weights", f"{ours}.conv.weight"),
            Rule(f"{theirs}_conv_offset.{{dcn}}", f"{ours}.conv.offset.{{dcn}}"),
            Rule(f"{theirs}.gn_{{gn}}", f"{ours}.norm.{{gn}}"))


STATIC = Naming((
    Rule("conv1_bn_{stat}", "backbone.stem.0.norm.{stat}", MOBILE),
    Rule("conv{b+2}_{part}_weights", "backbone.blocks.{b}.{part}.conv.weight"),
    Rule("conv{b+2}_{part}_bn_{stat}", "backbone.blocks.{b}.{part}.norm.{stat}"),
    Rule("conv{b+2}_se_{se}_{excite}", "backbone.blocks.{b}.excite.{se}.{excite}"),
    Rule("conv_last_weights", "backbone.last.conv.weight"),
    Rule("conv_last_bn_{stat}", "backbone.last.norm.{stat}"),
    Rule("conv1_{i+1}_weights", "backbone.stem.{i}.conv.weight", VD),
    Rule("bnv1_{i+1}_{stat}", "backbone.stem.{i}.norm.{stat}", VD),
    Rule("conv1_weights", "backbone.stem.0.conv.weight"),
    Rule("bn_conv1_{stat}", "backbone.stem.0.norm.{stat}"),
    *static_block("deep", DEEP), *static_block("block"),
    Rule("res{s}a_branch1_weights", "backbone.res{s}.0.shortcut.proj.conv.weight"),
    Rule("bn{s}a_branch1_{stat}", "backbone.res{s}.0.shortcut.proj.norm.{stat}"),
    Rule("fpn_inner_mv3_3_{w}", "fpn.lateral.3.{w}", MOBILE),
    Rule("fpn_inner_mv3_{i}_lateral_{w}", "fpn.lateral.{i}.{w}", MOBILE),
    Rule("fpn_mv3_{i}_{w}", "fpn.output.{i}.{w}", MOBILE),
    Rule("fpn_inner_res5_sum_{w}", "fpn.lateral.3.{w}"),
    Rule("fpn_inner_res{i+2}_sum_lateral_{w}", "fpn.lateral.{i}.{w}"),
    Rule("fpn_res{i+2}_sum_{w}", "fpn.output.{i}.{w}"),
    *static_conv_norm("bbox_head.{tower}_convs.{i}", "head.{tower}_tower.{i}"),
    Rule("bbox_head.solo_{tower}.{p}", "head.{tower}_pred.{p}"),
    *static_conv_norm("mask_feat_head.convs_all_levels.{l}.conv{j}", "mask_feature.levels.{l}.{j}"),
    *static_conv_norm("mask_feat_head.conv_pred.0", "mask_feature.pred"),
), {"p": SAME, "w": {"w": "weight", "b": "bias"}, "stat": STATIC_NORM,
    "gn": {"scale": "weight", "offset": "bias"}, "dcn": {"w_0": "weight", "b_0": "bias"},
    "excite": {"weights": "weight", "offset": "bias"}, "se": {"1": "reduce", "2": "expand"},
    "part": {"expand": "expand", "depthwise": "depthwise", "linear": "project"},
    "block": LETTERS, "deep": NUMBERED, "c": BRANCHES,
    "tower": {"cate": "category", "kernel": "kernel"}})
