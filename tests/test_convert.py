"""Recognising, renaming, comparing: every published file, both ways, and what must be refused."""
from pathlib import Path

import numpy as np
import pytest

from config import CONFIGS, get_config
from convert.coco_classes import COCO_CLASSES
from convert.converter import convert
from convert.errors import ConversionError
from convert.export import to_theirs
from convert.families import EXPORTS
from convert.fit import expected_shapes
from convert.published import LICENCES, PUBLISHED, published_for, zoo
from convert.readers import Source
from convert.rename import Naming, Rule
from tests.golden.checkpoints import key_lists

R18 = "wxinlong__SOLOv2_LIGHT_448_R18_3x"
CONFIG_OF = {
    "paddledet2__solov2_r50_fpn_1x_coco": 3, "paddledet2__solov2_r50_fpn_3x_coco": 0,
    "paddledet2__solov2_r101_vd_fpn_3x_coco": 4, "paddledet2__solov2_r50_enhance_coco": 14,
    "paddledet05__solov2_r50_fpn_1x": 3, "paddledet05__solov2_r50_fpn_3x": 0,
    "paddledet05__solov2_r101_vd_fpn_3x": 4, "paddledet05__solov2_mobilenetv3_fpn_448_3x": 5,
    "paddledet05__solov2_light_r50_vd_fpn_dcn_512_3x": 2, "wxinlong__SOLOv2_R50_3x": 0,
    "wxinlong__SOLOv2_R101_3x": 6, "wxinlong__SOLOv2_R101_DCN_3x": 10,
    "wxinlong__SOLOv2_X101_DCN_3x": 11, R18: 8, "wxinlong__SOLOv2_LIGHT_448_R34_3x": 7,
    "wxinlong__SOLOv2_LIGHT_448_R50_3x": 1, "wxinlong__SOLOv2_LIGHT_512_DCN_R50_3x": 9,
    "adelaidet__SOLOv2_R50_3x": 12, "adelaidet__SOLOv2_R101_3x": 13,
    "mmdet3__solov2_r50_fpn_1x": 3, "mmdet3__solov2_r50_fpn_ms-3x": 0,
    "mmdet3__solov2_r101_fpn_ms-3x": 6, "mmdet3__solov2-light_r18_fpn_ms-3x": 8,
    "mmdet3__solov2-light_r34_fpn_ms-3x": 7, "mmdet3__solov2-light_r50_fpn_ms-3x": 1}
BACKBONES = {"paddledet2__ResNet50_cos_pretrained": 265, "paddledet2__ResNet101_vd_pretrained": 530,
             "paddledet2__ResNet50_vd_ssld_v2_pretrained": 275,
             "paddledet05__ResNet50_vd_ssld_pretrained": 275}


def zeros(shape, dtype="float32"):
    """An array that takes no memory."""
    return np.broadcast_to(np.zeros((), dtype), tuple(shape))


def tensors_of(name):
    return {key: zeros(shape, dtype) for key, shape, dtype in key_lists()[name]["tensors"]}


def source(arrays, name="model", class_names=()):
    return Source(Path(f"{name}.pth"), "test", "0" * 64, dict(arrays), [], class_names)


def test_every_published_key_list_is_known():
    assert set(CONFIG_OF) | set(BACKBONES) == set(key_lists())


@pytest.mark.parametrize("name, config", CONFIG_OF.items())
def test_recognised_and_back(name, config):
    """The config is found, and the way back gives exactly the names and shapes of the file."""
    tensors = tensors_of(name)
    result = convert(source(tensors, name))
    assert result.config == CONFIGS[config] == result.meta["config"]
    assert {key: array.shape for key, array in result.arrays.items()} == expected_shapes(
        result.config, 80)
    theirs = to_theirs(result.arrays, result.meta, get_config(config), result.meta["family"])
    assert {key: array.shape for key, array in theirs.items()} == {
        key: array.shape for key, array in tensors.items()}


@pytest.mark.parametrize("name, count", BACKBONES.items())
def test_backbones(name, count):
    result = convert(source(tensors_of(name), name))
    assert result.config == "" and result.meta["backbone_only"] and len(result.arrays) == count
    assert all(key.startswith("backbone.") for key in result.arrays)
    if "paddledet2" in name:                             # the published files may lack the prefix
        bare = {key.removeprefix("backbone."): array for key, array in tensors_of(name).items()}
        assert convert(source(bare, name)).arrays.keys() == result.arrays.keys()
        with pytest.raises(ConversionError, match="fit none"):
            convert(source(dict(list(bare.items())[:-1]), name))


@pytest.mark.parametrize("config, depth", [(8, 18), (7, 34), (0, 50), (6, 101)])
def test_torchvision_backbone(config, depth):
    """torchvision's names are mmdetection's without the prefix, and with a classifier."""
    ours = {name: zeros(shape) for name, shape in expected_shapes(CONFIGS[config], 80).items()}
    theirs = to_theirs(ours, {}, get_config(config), "wxinlong")
    theirs = {name.removeprefix("backbone."): array for name, array in theirs.items()
              if name.startswith("backbone.")}
    result = convert(source({**theirs, "fc.weight": zeros((1000, 512)), "fc.bias": zeros((1000,))}))
    assert set(result.arrays) == {name for name in ours if name.startswith("backbone.")}
    assert any("classifier" in line for line in result.lines)


def test_mobilenet_backbone():
    """Paddle's ImageNet file, without the heads and with a classifier."""
    heads = ("fpn_", "bbox_head.", "mask_feat_head.")
    tensors = {key: array for key, array in
               tensors_of("paddledet05__solov2_mobilenetv3_fpn_448_3x").items()
               if not key.startswith(heads)}
    result = convert(source({**tensors, "fc_weights": zeros((1280, 1000)),
                             "last_1x1_conv_weights": zeros((1280, 960, 1, 1))}))
    assert result.meta["network"]["backbone"] == "mobilenet_v3"
    assert len(result.arrays) == len(tensors)


def test_out_and_back_for_every_config_and_family():
    """Same names after both ways, or a sentence that says why there is no counterpart."""
    possible = set()
    for config in CONFIGS[:15]:
        ours = {name: zeros(shape) for name, shape in expected_shapes(config, None).items()}
        for family in EXPORTS:
            try:
                theirs = to_theirs(ours, {}, get_config(config), family)
            except ConversionError as error:
                assert "has no counterpart of config" in str(error)
                continue
            back = convert(source(theirs, config))
            assert back.config == config and back.arrays.keys() == ours.keys()
            possible.add((CONFIGS.index(config), family))
    static_and_2x = {(n, f) for n in (0, 1, 2, 3, 4, 6, 7, 8, 10, 14) for f in EXPORTS[:2]}
    torch = {(n, f) for n in (0, 1, 3, 6, 7, 8, 9, 10, 11) for f in ("wxinlong", "mmdet3")}
    assert possible == static_and_2x | torch | {(5, "ppdet-static"), (12, "adelaidet"),
                                                (13, "adelaidet")}


def test_bias_of_deformable_convolutions():
    """0.5 has none: zero on the way in, and refused on the way out if it is not zero."""
    result = convert(source(tensors_of("paddledet05__solov2_r101_vd_fpn_3x")))
    name = "head.category_tower.0.conv.bias"
    assert not result.arrays[name].any() and any("set to zero" in line for line in result.lines)
    arrays = {**result.arrays, name: np.ones(512, np.float32)}
    with pytest.raises(ConversionError, match="not zero"):
        to_theirs(arrays, result.meta, get_config(4), "ppdet-static")
    assert "solov2_head.bbox_head.cate_convs.0.conv.conv_dcn.bias" in to_theirs(
        arrays, result.meta, get_config(4), "ppdet")


def test_what_travels_with_the_weights():
    meta = convert(source(tensors_of("adelaidet__SOLOv2_R50_3x"))).meta
    assert meta["class_names"] == list(COCO_CLASSES) and len(set(COCO_CLASSES)) == 80
    assert meta["family"] == "adelaidet" and meta["source_sha256"] == "0" * 64
    assert meta["input"] == {
        "channel_order": "bgr", "pixel_mean": (103.53, 116.28, 123.675), "resize_library": "pil",
        "pixel_std": (1.0, 1.0, 1.0), "normalize_first": False, "resized_size_rule": "round"}
    for name, first, rule in (("paddledet2__solov2_r50_fpn_3x_coco", True, "fractional"),
                              ("paddledet05__solov2_r50_fpn_3x", False, "fractional"),
                              ("mmdet3__solov2_r50_fpn_ms-3x", False, "round")):
        settings = convert(source(tensors_of(name))).meta["input"]
        assert (settings["normalize_first"], settings["resized_size_rule"]) == (first, rule)


def changed(name, **changes):
    """The tensors of a file with some replaced, or removed (None)."""
    tensors = {**tensors_of(name), **{key.replace("__", "."): v for key, v in changes.items()}}
    return source({key: value for key, value in tensors.items() if value is not None}, name)


@pytest.mark.parametrize("changes, hints", [
    ({"neck.extra.weight": zeros((3,))}, ["not in the model (1)", "neck.extra.weight [3]"]),
    ({"neck.fpn_convs.0.conv.bias": None}, ["not in the file (1)", "fpn.output.0.bias [256]"]),
    ({"neck.fpn_convs.0.conv.bias": zeros((9,))}, ["[9] in the file, [256] in the model"]),
    ({"backbone.bn1.weight": zeros((64,), "float64")}, ["float64"]),
    ({"backbone.bn1.bias": np.full(64, np.nan, np.float32)}, ["not finite"]),
    ({"backbone.bn1.running_var": np.full(64, -1, np.float32)}, ["negative variance"]),
    ({"bbox_head.solo_cate.weight": zeros((3, 256, 3, 3)), "bbox_head.solo_cate.bias": zeros((3,))},
     ["3 classes", "--num-classes 3"])])
def test_refused(changes, hints):
    with pytest.raises(ConversionError) as error:
        convert(changed(R18, **changes))
    assert all(hint in str(error.value) for hint in hints)


def test_half_precision_widens():
    bias = np.float16([0.1] * 64)
    result = convert(changed(R18, **{"backbone.bn1.bias": bias}))
    array = result.arrays["backbone.stem.0.norm.bias"]
    assert array.dtype == np.float32 and (array == bias).all()


def test_aliases_must_agree():
    name = "paddledet2__solov2_r50_fpn_3x_coco"
    only_one = {key: array for key, array in tensors_of(name).items()
                if not key.startswith(("solov2_head.bbox_head.solo_", "mask_head.conv_pred."))}
    assert convert(source(only_one)).config == CONFIGS[0]
    with pytest.raises(ConversionError, match="one tensor"):
        convert(changed(name, **{"solov2_head.solo_cate.bias": np.ones(80, np.float32)}))


def test_other_class_counts_need_a_word():
    changes = {"bbox_head.solo_cate.weight": zeros((3, 256, 3, 3)),
               "bbox_head.solo_cate.bias": zeros((3,))}
    result = convert(changed(R18, **changes), num_classes=3)
    assert result.meta["class_names"] == ["class 0", "class 1", "class 2"]
    with pytest.raises(ConversionError, match="3 class names for 80"):
        convert(changed(R18), class_names=("a", "b", "c"))
    named = changed(R18, **changes)
    named.class_names = ("a", "b", "c")
    assert convert(named, num_classes=3).meta["class_names"] == ["a", "b", "c"]
    with pytest.raises(ConversionError, match="2 class names for 3"):
        convert(named, num_classes=3, class_names=("x", "y"))
    with pytest.raises(ConversionError, match="--num-classes says 4"):
        convert(named, num_classes=4)


def test_given_config_and_family():
    tensors = tensors_of("mmdet3__solov2_r50_fpn_ms-3x")
    assert convert(source(tensors), config=3).config == CONFIGS[3]
    with pytest.raises(ConversionError, match="do not fit config solov2_r101_fpn_3x:"):
        convert(source(tensors), config=6)
    with pytest.raises(ConversionError, match="variant b, not a"):
        convert(source(tensors), config=12)
    with pytest.raises(ConversionError, match="no tensor for"):
        convert(source(tensors), family="adelaidet")
    with pytest.raises(ConversionError, match="no family 'detr'; expected one of"):
        convert(source(tensors), family="detr")
    with pytest.raises(ConversionError, match="no family of SOLOv2 checkpoints"):
        convert(source({"layer.weight": zeros((3,))}))


def test_r50_1x_and_3x_are_told_by_the_file_name():
    tensors = tensors_of("mmdet3__solov2_r50_fpn_1x")
    assert convert(source(tensors, "solov2_r50_fpn_1x_coco")).config == "solov2_r50_fpn_1x"
    result = convert(source(tensors, "weights"))
    assert result.config == CONFIGS[0] and "solov2_r50_fpn_1x has the same" in result.lines[1]


def test_names_of_early_2020():
    tensors = {key.replace("conv2.conv_offset", "conv2_offset"): array for key, array in
               tensors_of("wxinlong__SOLOv2_LIGHT_512_DCN_R50_3x").items()}
    assert convert(source(tensors)).config == CONFIGS[9]


def test_templates_by_hand():
    naming = Naming((Rule("a{l}.{3*i+1}.{p}", "b{l+2}.{i}.{p}", "c{l}"),
                     Rule("x{l}.{i}.{p}", "b{l+2}.{i}.{p}")),
                    {"p": {"w": "weight", "b": "bias"}})
    assert naming.to_ours(["a1.7.w", "a1.8.w", "a01.7.w", "a1.7.q"]) == {"a1.7.w": "b3.2.weight"}
    assert naming.to_theirs(["b3.2.bias", "c1"]) == {"b3.2.bias": "a1.7.b"}
    assert naming.to_theirs(["b3.2.bias"]) == {"b3.2.bias": "x1.2.b"}
    assert naming.to_theirs(["b1.2.bias", "b3.2.other"]) == {}


def test_published_addresses():
    assert len({file.address for file in PUBLISHED}) == len(PUBLISHED)
    assert all(file.config in CONFIGS and 20 < file.ap < 50 for file in PUBLISHED)
    assert published_for(CONFIGS[2]).address.startswith("https://paddlemodels.bj.bcebos.com/")
    assert published_for(CONFIGS[0], "mmdet3").sha256 == "fed092d4"
    assert published_for(CONFIGS[0]).sha256 == ""
    with pytest.raises(ConversionError, match="has closed"):
        published_for(CONFIGS[12])
    with pytest.raises(ConversionError, match="nobody published"):
        published_for("quickstart")


@pytest.mark.parametrize("counter, kept", [
    (np.array(np.nan), None), (np.array(np.inf), None), (np.array([7]), 7), (np.array(7.0), 7),
    (np.array(-1), None), (np.array([[3]]), 3), (np.array([1, 2]), None), (np.zeros(0), None),
    (np.array(True), 1), (np.array(2**63, np.uint64), None), (np.array(7, np.float16), 7)])
def test_any_counter_of_batches_converts(counter, kept):
    """torch's counters serve nobody, so that a senseless one is no reason to refuse a file."""
    name = "mmdet3__solov2_r50_fpn_1x"
    key = next(key for key in tensors_of(name) if key.endswith("num_batches_tracked"))
    counts = convert(source({**tensors_of(name), key: counter}, name)).meta["num_batches_tracked"]
    assert counts.get(key) == kept and len(counts) > 10


def test_paddlex_is_paddledetection_with_whole_sizes():
    tensors = tensors_of("paddledet2__solov2_r50_fpn_1x_coco")
    result = convert(source(tensors, "SOLOv2_pretrained"), 3, "paddlex")
    assert result.config == "solov2_r50_fpn_1x"
    assert result.meta["input"]["resized_size_rule"] == "round"
    assert result.meta["input"]["normalize_first"]
    file = published_for("solov2_r50_fpn_1x", "paddlex")
    assert file.file == "SOLOv2_pretrained.pdparams" and file.ap == 35.5
    assert published_for("solov2_r50_fpn_1x").family == "ppdet"


def test_model_zoo_is_the_table_of_published_files():
    """docs/model_zoo.md holds exactly what `zoo` makes of the table."""
    text = (Path(__file__).parent.parent / "docs/model_zoo.md").read_text(encoding="utf-8")
    assert "\n".join(zoo()) in text
    assert all(f"`{family}`" in text for family in LICENCES)
    assert len(zoo()) == len(PUBLISHED) + 2
