"""The configurations: position in CONFIGS = the number that `--config` takes.

Append, never reorder.
"""
import difflib
import importlib

from config.base import Base, ConfigError, known_key, parse_value

CONFIGS = (
    "solov2_r50_fpn_8gpu_3x",                    # 0
    "solov2_light_448_r50_fpn_8gpu_3x",          # 1
    "solov2_light_r50_vd_fpn_dcn_512_3x",        # 2
    "solov2_r50_fpn_1x",                         # 3
    "solov2_r101_vd_fpn_3x",                     # 4
    "solov2_mobilenetv3_fpn_448_3x",             # 5
    "solov2_r101_fpn_3x",                        # 6
    "solov2_light_448_r34_fpn_3x",               # 7
    "solov2_light_448_r18_fpn_3x",               # 8
    "solov2_light_512_dcn_r50_fpn_3x",           # 9
    "solov2_r101_dcn_fpn_3x",                    # 10
    "solov2_x101_dcn_fpn_3x",                    # 11
    "solov2_adelaidet_r50_3x",                   # 12
    "solov2_adelaidet_r101_3x",                  # 13
    "solov2_r50_enhance",                        # 14
    "quickstart",                                # 15
    "own_dataset",                               # 16
)
DEFAULT_CONFIG = "quickstart"


def config_name(spec):
    """The name behind a number (2, "2") or a name; ConfigError names the nearest one otherwise."""
    text = str(spec)
    if text.isdigit() and int(text) < len(CONFIGS):
        return CONFIGS[int(text)]
    if text in CONFIGS:
        return text
    nearest = difflib.get_close_matches(text, CONFIGS, n=1, cutoff=0.0)
    hint = f"; did you mean '{nearest[0]}'?" if nearest and not text.lstrip("-").isdigit() else ""
    raise ConfigError(f"no config '{text}': expected 0..{len(CONFIGS) - 1} or a name{hint} "
                      "(python train.py --help lists them)")


def config_class(spec):
    """The class of a variant, e.g. config_class(2)."""
    return importlib.import_module(f"config.{config_name(spec)}").Config


def get_config(spec: str | int = DEFAULT_CONFIG, **overrides) -> Base:
    """An instance of the variant `spec` (number or name) with settings overridden.

    get_config(2); get_config("quickstart", num_classes=3).
    Raises ConfigError for unknown names, settings or types.
    """
    cfg = config_class(spec)()
    cfg.name = config_name(spec)
    return cfg.replace(**overrides)


def parse_overrides(cfg, assignments):
    """["lr_decay=0.5", ...] as typed keyword arguments for `cfg.replace`."""
    overrides = {}
    for text in assignments:
        key, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"-o needs key=value, got '{text}'")
        overrides[key] = parse_value(key, value, getattr(cfg, known_key(cfg, key)))
    return overrides


def list_configs():
    """One line per config that exists: number, name, first line of its docstring."""
    lines = []
    for number, name in enumerate(CONFIGS):
        summary = config_class(name).__doc__.strip().splitlines()[0]
        lines.append(f"{number:3d}  {name:37s} {summary}")
    return "\n".join(lines)
