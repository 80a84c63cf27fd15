"""The way back: our weights in the names and layout of another project, bit for bit."""
import numpy as np

from convert.errors import ConversionError
from convert.families import FAMILIES, family_named
from convert.fit import is_dcn_bias

SUFFIXES = {family.name: family.layout.suffix for family in FAMILIES if family.layout}


def to_theirs(arrays, meta, cfg, name):
    """{their name: ndarray} of our weights for the family `name`.

    `cfg` is the config of the weights.  ConversionError where the project has no such network.
    """
    family = family_named(name)
    if family.layout is None:
        raise ConversionError(f"cannot write {family.title}; expected {', '.join(SUFFIXES)}")
    if reason := family.builds(cfg):
        raise ConversionError(f"{family.title} has no counterpart of config {cfg.name}: {reason}")
    arrays = match_dcn_bias(arrays, family)
    names = family.naming.to_theirs(arrays)
    unknown = [ours for ours in arrays if ours not in names]
    if unknown:
        raise ConversionError(f"{family.title} has no names for {len(unknown)} tensors: "
                              f"{', '.join(unknown[:20])}")
    result = {}
    for ours, array in arrays.items():
        theirs = names[ours]
        result[theirs] = array
        for alias, original in family.aliases:
            if theirs.startswith(original):
                result[alias + theirs[len(original):]] = array
        if family.counts_batches and theirs.endswith(".running_var"):
            counter = theirs.replace("running_var", "num_batches_tracked")
            count = meta.get("num_batches_tracked", {}).get(counter, 0)
            result[counter] = np.array(count, np.int64)
    return result


def match_dcn_bias(arrays, family):
    """`arrays` with the biases of deformable head convolutions that the project has, or without.

    Ones that are missing are zero; ones that are too many must be zero.
    """
    if not family.dcn_bias:
        kept = {name: array for name, array in arrays.items()
                if not is_dcn_bias(name, arrays)}
        lost = [name for name in arrays if name not in kept and arrays[name].any()]
        if lost:
            raise ConversionError(f"{family.title} has no biases in deformable convolutions, but "
                                  f"{len(lost)} of these weights are not zero ({lost[0]}, ...)")
        return kept
    filled = dict(arrays)
    for name, array in arrays.items():
        if name.endswith(".conv.offset.weight") and not name.startswith("backbone."):
            convolution = name.removesuffix("offset.weight")
            filled.setdefault(f"{convolution}bias", np.zeros(
                len(arrays[f"{convolution}weight"]), array.dtype))
    return filled


def export(arrays, meta, cfg, name, path):
    """Write our weights to `path` as the family `name` stores them; returns the tensors written."""
    tensors = to_theirs(arrays, meta, cfg, name)
    family_named(name).layout.write(path, tensors, tuple(meta["class_names"]))
    return tensors
