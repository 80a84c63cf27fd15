"""The configs: fixed numbers, names, typed overrides, errors that say what to do."""
import pytest

from config import (
    CONFIGS,
    config_class,
    config_name,
    get_config,
    list_configs,
    parse_overrides,
)
from config.base import Base, ConfigError, check_value, setting_names

NUMBERS = {0: "solov2_r50_fpn_8gpu_3x", 1: "solov2_light_448_r50_fpn_8gpu_3x",
           2: "solov2_light_r50_vd_fpn_dcn_512_3x", 3: "solov2_r50_fpn_1x",
           4: "solov2_r101_vd_fpn_3x", 5: "solov2_mobilenetv3_fpn_448_3x", 6: "solov2_r101_fpn_3x",
           7: "solov2_light_448_r34_fpn_3x", 8: "solov2_light_448_r18_fpn_3x",
           9: "solov2_light_512_dcn_r50_fpn_3x", 10: "solov2_r101_dcn_fpn_3x",
           11: "solov2_x101_dcn_fpn_3x", 12: "solov2_adelaidet_r50_3x",
           13: "solov2_adelaidet_r101_3x", 14: "solov2_r50_enhance", 15: "quickstart",
           16: "own_dataset"}


def test_numbers_never_change():
    assert dict(enumerate(CONFIGS[:len(NUMBERS)])) == NUMBERS


@pytest.mark.parametrize("name", CONFIGS)
def test_variant_is_complete_and_typed(name):
    """A misspelt setting in a variant would otherwise be ignored in silence."""
    own = {key: value for key, value in vars(config_class(name)).items() if key[0] != "_"}
    assert set(own) <= set(setting_names(Base()))
    for key, value in own.items():
        assert check_value(key, value, getattr(Base, key)) == value
    cfg = get_config(name)
    assert cfg.name == name
    assert len(cfg.num_grids) == len(cfg.strides) == len(cfg.scale_ranges) == 5


def test_list_has_a_line_for_each():
    lines = list_configs().splitlines()
    assert len(lines) == len(CONFIGS)
    for number, (line, name) in enumerate(zip(lines, CONFIGS, strict=True)):
        assert line.split()[:2] == [str(number), name] and len(line.split()) > 3


@pytest.mark.parametrize("spec", [15, "15", "quickstart"])
def test_number_and_name_are_the_same(spec):
    assert get_config(spec).name == "quickstart"


def test_derived_paths():
    assert get_config(15).weights_path == "weights/quickstart.pdparams"
    assert get_config(15, weights="a.pdparams").weights_path == "a.pdparams"
    assert get_config(15, output_dir="runs").run_dir == "runs/quickstart"


@pytest.mark.parametrize("spec, hint", [("17", "0..16"), ("-1", "0..16"), ("", "0..16"),
                                        ("quikstart", "did you mean 'quickstart'")])
def test_wrong_config_name(spec, hint):
    with pytest.raises(ConfigError, match=hint):
        config_name(spec)


@pytest.mark.parametrize("text, key, value", [
    ("batch_size=4", "batch_size", 4),
    ("learning_rate=1", "learning_rate", 1.0),
    ("weight_decay=5e-4", "weight_decay", 5e-4),
    ("shuffle=false", "shuffle", False),
    ("train_json=data/a=b.json", "train_json", "data/a=b.json"),
    ("pretrained=", "pretrained", ""),
    ("lr_milestones=(8,11)", "lr_milestones", (8, 11)),
    ("lr_milestones=8", "lr_milestones", (8,)),
    ("lr_milestones=[8, 11]", "lr_milestones", (8, 11)),
    ("scale_ranges=[[1,96],[48,192],[96,384],[192,768],[384,2048]]", "scale_ranges",
     ((1, 96), (48, 192), (96, 384), (192, 768), (384, 2048)))])
def test_override_has_the_type_of_the_setting(text, key, value):
    cfg = get_config("quickstart")
    parsed = getattr(cfg.replace(**parse_overrides(cfg, [text])), key)
    assert parsed == value and type(parsed) is type(value)


@pytest.mark.parametrize("text, hint", [
    ("batch_sice=4", "'batch_size'"), ("batch_size", "key=value"), ("batch_size=four", "int"),
    ("batch_size=4.5", "int"), ("shuffle=1", "true or false"), ("lr_milestones=a,b", "tuple"),
    ("weights_path=a", "unknown setting"), ("replace=1", "unknown setting")])
def test_wrong_override(text, hint):
    with pytest.raises(ConfigError, match=hint):
        parse_overrides(get_config("quickstart"), [text])


def test_replace_copies():
    cfg = get_config("quickstart")
    other = cfg.replace(seed=7)
    assert (other.seed, other.name) == (7, "quickstart")
    assert get_config("quickstart").seed == cfg.seed != 7
    with pytest.raises(ConfigError, match="nearest"):
        cfg.replace(sede=7)
    with pytest.raises(ConfigError, match="int"):
        get_config("quickstart", seed="7")
    assert other.as_dict()["seed"] == 7 and "run_dir" not in other.as_dict()
