"""Which config a set of tensors belongs to: the one whose network has exactly these."""
from dataclasses import dataclass
from functools import cache

import numpy as np

from config import CONFIGS, get_config
from convert.errors import ConversionError
from tools.runtime import configure
from tools.weights.misfit import Misfit, find_misfit
from tools.weights.schema import CATEGORY

MAX_BIAS = 4096                    # more numbers are no bias of a convolution
MAX_CLASSES = 100_000              # the largest vocabularies of detection have some ten thousand


@dataclass
class Fit:
    """How tensors in our names suit a config."""

    config: str
    arrays: dict               # as the config wants them
    filled: list               # names of those that the file lacks, set to zero
    misfit: Misfit


@cache
def expected_shapes(config, num_classes):
    """{name: shape} of every tensor of a config's network, without allocating any of them.

    Only here is Paddle needed.  It takes seconds to load, so it is loaded when it comes to that: a
    damaged or foreign file has long been refused.
    """
    configure()
    import paddle

    from model.solov2 import build_solov2

    cfg = get_config(config)
    with paddle.LazyGuard():
        model = build_solov2(cfg.replace(num_classes=num_classes or cfg.num_classes))
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def expected_misfit(source, config):
    """The Misfit between weights of ours and a config with their class count."""
    return find_misfit(source.arrays, expected_shapes(config, class_count(source.arrays)))


def class_count(arrays):
    """The number of classes that the last category convolution tells, or None."""
    shape = arrays[CATEGORY].shape if CATEGORY in arrays else ()
    if len(shape) == 4 and not (0 < shape[0] <= MAX_CLASSES and all(shape)):
        raise ConversionError(f"the file has {shape[0]} classes (a tensor of shape {list(shape)} "
                              f"for {CATEGORY}); expected 1 to {MAX_CLASSES}")
    return shape[0] if len(shape) == 4 else None


def adapt_dcn_bias(arrays, expected, family):
    """(arrays, names filled in): only some projects have biases in deformable head convolutions.

    Missing ones become zero if the family has none; zeros that the config has no place for go.
    """
    filled = [] if family.dcn_bias else [
        name for name in expected if name not in arrays and is_dcn_bias(name, expected)]
    adapted = {name: array for name, array in arrays.items()
               if name in expected or not is_dcn_bias(name, arrays) or array.size > MAX_BIAS
               or array.any()}
    return {**adapted, **{name: np.zeros(expected[name], np.float32) for name in filled}}, filled


def is_dcn_bias(name, names):
    return name.endswith(".conv.bias") and f"{name[:-4]}offset.weight" in names


def fit_to(config, arrays, unknown, family):
    """The Fit of tensors to a config; `unknown`: lines on those that have no name of ours."""
    expected = expected_shapes(config, class_count(arrays))
    adapted, filled = adapt_dcn_bias(arrays, expected, family)
    misfit = find_misfit(adapted, expected)
    misfit.unknown += unknown
    return Fit(config, adapted, filled, misfit)


def fits_among(configs, arrays, unknown, family):
    """The Fits without a misfit, in the order of `configs`.  ConversionError if there is none."""
    if not class_count(arrays):
        raise ConversionError(f"the file has no tensor for {CATEGORY}: no SOLOv2 of {family.title}")
    fits = [fit_to(config, arrays, unknown, family) for config in configs]
    good = [fit for fit in fits if not fit.misfit]
    if not good:
        nearest = min(fits, key=lambda fit: len(fit.misfit))
        raise ConversionError(f"the tensors do not fit config {nearest.config}"
                              f"{', the nearest' if len(configs) > 1 else ''}:"
                              f"{nearest.misfit.text()}")
    return good


def configs_of(family, config=None):
    """Names of the configs that a family can be: `config` alone if it is given.

    ConversionError if the family cannot be that one.
    """
    if config is None:
        return [name for name in CONFIGS if not family.builds(get_config(name))]
    cfg = get_config(config)
    if reason := family.builds(cfg):
        raise ConversionError(f"the file is of {family.title}, which cannot be config {cfg.name}: "
                              f"{reason}")
    return [cfg.name]


def by_schedule(fits, stem):
    """Of configs with one network the one whose schedule (1x, 3x) is in the file's name, or the
    first: nothing in the file tells how long it was trained."""
    return next((fit for fit in fits if fit.config.split("_")[-1] in stem), fits[0])
