"""The families of checkpoints as data: how their tensors are called here.

Rules are (pattern of the foreign name, our name), tried in order; see convert/rename.py.
"""

BATCH_NORM = {"running_mean": "_mean", "running_var": "_variance", "weight": "weight", "bias": "bias"}


def torch_norm(match, name):
    return f"{name}.{BATCH_NORM[match['stat']]}"


def wxinlong_head(match):
    branch = {"cate": "category", "kernel": "kernel"}[match["branch"]]
    return f"head.{branch}_tower.{match['i']}"


STAT = r"(?P<stat>weight|bias|running_mean|running_var)"

MMDET_BACKBONE = (
    (r".*\.num_batches_tracked", None),
    (r"backbone\.conv1\.weight", "backbone.stem.0.conv.weight"),
    (rf"backbone\.bn1\.{STAT}", lambda m: torch_norm(m, "backbone.stem.0.norm")),
    (r"backbone\.layer(?P<l>\d)\.(?P<b>\d+)\.conv(?P<c>\d)\.conv_offset\.(?P<p>weight|bias)",
     lambda m: f"backbone.res{int(m['l']) + 1}.{m['b']}.conv{m['c']}.conv.offset.{m['p']}"),
    (r"backbone\.layer(?P<l>\d)\.(?P<b>\d+)\.conv(?P<c>\d)\.weight",
     lambda m: f"backbone.res{int(m['l']) + 1}.{m['b']}.conv{m['c']}.conv.weight"),
    (rf"backbone\.layer(?P<l>\d)\.(?P<b>\d+)\.bn(?P<c>\d)\.{STAT}",
     lambda m: torch_norm(m, f"backbone.res{int(m['l']) + 1}.{m['b']}.conv{m['c']}.norm")),
    (r"backbone\.layer(?P<l>\d)\.(?P<b>\d+)\.downsample\.0\.weight",
     lambda m: f"backbone.res{int(m['l']) + 1}.{m['b']}.shortcut.proj.conv.weight"),
    (rf"backbone\.layer(?P<l>\d)\.(?P<b>\d+)\.downsample\.1\.{STAT}",
     lambda m: torch_norm(m, f"backbone.res{int(m['l']) + 1}.{m['b']}.shortcut.proj.norm")),
    (r"neck\.lateral_convs\.(\d)\.conv\.(weight|bias)", r"fpn.lateral.\1.\2"),
    (r"neck\.fpn_convs\.(\d)\.conv\.(weight|bias)", r"fpn.output.\1.\2"),
)

WXINLONG = MMDET_BACKBONE + (
    (r"bbox_head\.cate_convs\.(\d)\.conv\.conv_offset\.(.+)", r"head.category_tower.\1.conv.offset.\2"),
    (r"bbox_head\.kernel_convs\.(\d)\.conv\.conv_offset\.(.+)", r"head.kernel_tower.\1.conv.offset.\2"),
    (r"bbox_head\.cate_convs\.(\d)\.conv\.weight", r"head.category_tower.\1.conv.weight"),
    (r"bbox_head\.kernel_convs\.(\d)\.conv\.weight", r"head.kernel_tower.\1.conv.weight"),
    (r"bbox_head\.cate_convs\.(\d)\.gn\.(.+)", r"head.category_tower.\1.norm.\2"),
    (r"bbox_head\.kernel_convs\.(\d)\.gn\.(.+)", r"head.kernel_tower.\1.norm.\2"),
    (r"bbox_head\.solo_cate\.(.+)", r"head.category_pred.\1"),
    (r"bbox_head\.solo_kernel\.(.+)", r"head.kernel_pred.\1"),
    (r"mask_feat_head\.convs_all_levels\.(\d)\.conv(\d)\.conv\.conv_offset\.(.+)",
     r"mask_feature.levels.\1.\2.conv.offset.\3"),
    (r"mask_feat_head\.convs_all_levels\.(\d)\.conv(\d)\.conv\.weight", r"mask_feature.levels.\1.\2.conv.weight"),
    (r"mask_feat_head\.convs_all_levels\.(\d)\.conv(\d)\.gn\.(.+)", r"mask_feature.levels.\1.\2.norm.\3"),
    (r"mask_feat_head\.conv_pred\.0\.conv\.conv_offset\.(.+)", r"mask_feature.pred.conv.offset.\1"),
    (r"mask_feat_head\.conv_pred\.0\.conv\.weight", r"mask_feature.pred.conv.weight"),
    (r"mask_feat_head\.conv_pred\.0\.gn\.(.+)", r"mask_feature.pred.norm.\1"),
)


def ppdet_block(name):
    """PaddleDetection's block name behind its stage -> index: res4a -> 0, res4b -> 1, res4b7 -> 7."""
    letter, number = name[0], name[1:]
    return int(number) if number else ord(letter) - ord("a")


PPDET_BRANCH = {"a": "conv1", "b": "conv2", "c": "conv3"}

PPDET2 = (
    (r".*@@", None),
    (r"backbone\.conv1\.conv1\.(.+)", r"backbone.stem.0.\1"),
    (r"backbone\.conv1\.conv1_(?P<i>\d)\.(?P<p>.+)", lambda m: f"backbone.stem.{int(m['i']) - 1}.{m['p']}"),
    (r"backbone\.(res\d)\.res\d(?P<k>[a-z]\d*)\.branch2(?P<b>[abc])\.conv_offset\.(?P<p>.+)",
     lambda m: f"backbone.{m[1]}.{ppdet_block(m['k'])}.{PPDET_BRANCH[m['b']]}.conv.offset.{m['p']}"),
    (r"backbone\.(res\d)\.res\d(?P<k>[a-z]\d*)\.branch2(?P<b>[abc])\.(?P<p>.+)",
     lambda m: f"backbone.{m[1]}.{ppdet_block(m['k'])}.{PPDET_BRANCH[m['b']]}.{m['p']}"),
    (r"backbone\.(res\d)\.res\d(?P<k>[a-z]\d*)\.short\.(?:conv\.)?(?P<p>(?:conv|norm)\.[^.]+)",
     lambda m: f"backbone.{m[1]}.{ppdet_block(m['k'])}.shortcut.proj.{m['p']}"),
    (r"neck\.fpn_inner_res(?P<l>\d)_sum(?:_lateral)?\.(?P<p>.+)", lambda m: f"fpn.lateral.{int(m['l']) - 2}.{m['p']}"),
    (r"neck\.fpn_res(?P<l>\d)_sum\.(?P<p>.+)", lambda m: f"fpn.output.{int(m['l']) - 2}.{m['p']}"),
    (r"solov2_head\.bbox_head\.cate_convs\.(\d)\.conv\.conv_offset\.(.+)", r"head.category_tower.\1.conv.offset.\2"),
    (r"solov2_head\.bbox_head\.kernel_convs\.(\d)\.conv\.conv_offset\.(.+)", r"head.kernel_tower.\1.conv.offset.\2"),
    (r"solov2_head\.bbox_head\.cate_convs\.(\d)\.conv\.(?:conv_dcn\.)?(.+)", r"head.category_tower.\1.conv.\2"),
    (r"solov2_head\.bbox_head\.kernel_convs\.(\d)\.conv\.(?:conv_dcn\.)?(.+)", r"head.kernel_tower.\1.conv.\2"),
    (r"solov2_head\.bbox_head\.cate_convs\.(\d)\.norm\.(.+)", r"head.category_tower.\1.norm.\2"),
    (r"solov2_head\.bbox_head\.kernel_convs\.(\d)\.norm\.(.+)", r"head.kernel_tower.\1.norm.\2"),
    (r"solov2_head\.(?:bbox_head\.)?solo_cate\.(.+)", r"head.category_pred.\1"),
    (r"solov2_head\.(?:bbox_head\.)?solo_kernel\.(.+)", r"head.kernel_pred.\1"),
    (r"mask_head\.conv_pre_feat\d\.mask_feat_head\.convs_all_levels\.(\d)\.conv(\d)\.conv\.conv_offset\.(.+)",
     r"mask_feature.levels.\1.\2.conv.offset.\3"),
    (r"mask_head\.conv_pre_feat\d\.mask_feat_head\.convs_all_levels\.(\d)\.conv(\d)\.conv\.(?:conv_dcn\.)?(.+)",
     r"mask_feature.levels.\1.\2.conv.\3"),
    (r"mask_head\.conv_pre_feat\d\.mask_feat_head\.convs_all_levels\.(\d)\.conv(\d)\.norm\.(.+)",
     r"mask_feature.levels.\1.\2.norm.\3"),
    (r"mask_head\.(?:mask_feat_head\.)?conv_pred(?:\.0)?\.conv\.conv_offset\.(.+)", r"mask_feature.pred.conv.offset.\1"),
    (r"mask_head\.(?:mask_feat_head\.)?conv_pred(?:\.0)?\.conv\.(?:conv_dcn\.)?(.+)", r"mask_feature.pred.conv.\1"),
    (r"mask_head\.(?:mask_feat_head\.)?conv_pred(?:\.0)?\.norm\.(.+)", r"mask_feature.pred.norm.\1"),
)
