"""A checkpoint of another project -> weights of ours: recognise, rename, compare, describe."""
from dataclasses import dataclass, field, replace

import numpy as np

from config import CONFIGS, get_config
from convert.coco_classes import COCO_CLASSES
from convert.errors import ConversionError
from convert.families import FAMILIES, family_named, recognise
from convert.fit import by_schedule, class_count, configs_of, expected_shapes, fits_among
from convert.places import names_by_place
from convert.report import class_text, count_lines, input_text
from tools.weights.misfit import SHOWN, find_misfit
from tools.weights.weights_file import meta_of

EXPORTER = "ppdet"                 # the family of exported models: PaddleDetection and PaddleX


@dataclass
class Conversion:
    """Weights in our names, ready to save, and what happened on the way."""

    arrays: dict
    meta: dict
    config: str                    # "" for a backbone alone
    lines: list = field(default_factory=list)            # the report


def convert(source, config=None, family=None, num_classes=None, class_names=None):
    """The Conversion of a Source (convert/readers.py).  Raises ConversionError.

    `config` and `family` overrule what the tensors tell; `num_classes` accepts another count than
    the config's; `class_names` for it.
    """
    if source.program is not None and not any(f.recognises(source.arrays) for f in FAMILIES):
        source, how = with_names(source, family, config), "by the places of its parameters"
    else:
        how = "as given" if family else "by its tensor names"
    kind = family_named(family) if family else recognise(source.arrays)
    arrays, dropped, unknown = rename_all(source.arrays, kind)
    lines = [f"family: {kind.name}, {kind.title} ({how}); {source.layout}"]
    if kind.backbone_only:
        return convert_backbone(source, kind, arrays, dropped, unknown, lines)
    fits = fits_among(configs_of(kind, config), arrays, unknown, kind)
    fit = by_schedule(fits, source.path.stem)
    names = names_of_classes(class_count(arrays), get_config(fit.config), num_classes, class_names,
                             source.class_names)
    check_aliases(source.arrays, kind)
    arrays = {key: checked(key, array) for key, array in fit.arrays.items()}
    settings = {**kind.input, **source.input}
    cfg = get_config(fit.config).replace(num_classes=len(names), **settings)
    meta = meta_of(cfg, names, family=kind.name, source=source.path.name,
                   source_sha256=source.sha256, **batches_tracked(source.arrays))
    others = [other.config for other in fits if other is not fit]
    lines += [f"config: {fit.config} ({how_chosen(config, len(arrays), others)})",
              *count_lines(len(arrays) - len(fit.filled), dropped, fit.filled, source.extras),
              f"classes: {len(names)} ({class_text(names)})", f"input: {input_text(settings)}"]
    return Conversion(arrays, meta, fit.config, lines)


def with_names(source, family, config):
    """An exported model whose parameters have automatic names, with those of PaddleDetection."""
    kind = family_named(family or EXPORTER)
    configs = configs_of(kind, config)
    ours = names_by_place(source.arrays, source.program, configs)
    theirs = kind.naming.to_theirs(ours.values())
    return replace(source, arrays={theirs[ours[name]]: array
                                   for name, array in source.arrays.items()})


def how_chosen(config, count, others):
    """Why it is this config: given as `config`, or by its `count` tensors, shared with `others`."""
    if config is not None:
        return "as given"
    shared = f"; {', '.join(others)} has the same network" if others else ""
    return f"by all {count} names and shapes{shared}"


def rename_all(arrays, family):
    """({our name: ndarray}, {reason: [their names]}, unknown tensors) under a family's rules."""
    dropped, candidates, unknown = {}, {}, []
    for name in arrays:
        reason = next((reason for mark, reason in family.ignored.items()
                       if name.endswith(mark) or name.startswith(mark)), "")
        original = aliased(name, family)
        if original != name and original in arrays:
            reason = "second name of a tensor"
        if reason:
            dropped.setdefault(reason, []).append(name)
        else:
            candidates[name] = original
    renamed = family.naming.to_ours(candidates.values())
    result = {}
    for name, original in candidates.items():
        ours = renamed.get(original)
        if ours is None or ours in result:
            unknown.append(f"{name} {list(arrays[name].shape)}")
        else:
            result[ours] = arrays[name]
    return result, dropped, unknown


def aliased(name, family):
    """The name that the rules know: aliases replaced, the prefix of a bare backbone added."""
    for prefix, original in family.aliases:
        if name.startswith(prefix):
            return original + name[len(prefix):]
    if family.prefix and not name.startswith(family.prefix):
        return family.prefix + name
    return name


def check_aliases(arrays, family):
    """ConversionError if two names of one tensor hold different values."""
    for name, array in arrays.items():
        original = aliased(name, family)
        if original != name and original in arrays and not np.array_equal(array, arrays[original]):
            raise ConversionError(f"'{name}' and '{original}' are one tensor in "
                                  f"{family.title}, but differ in the file")


def checked(name, array):
    """`array` as float32, with finite values: damage often shows there.

    Half precision widens exactly; other types are refused.
    """
    if array.dtype not in (np.float32, np.float16):
        raise ConversionError(f"'{name}' has type {array.dtype}, expected float32 or float16")
    low, high = array.min(initial=0), array.max(initial=0)
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ConversionError(f"'{name}' holds values that are not finite; the file is damaged")
    if name.endswith("._variance") and low < 0:
        raise ConversionError(f"'{name}' holds a negative variance; the file is damaged")
    return array.astype(np.float32, copy=False)


def names_of_classes(count, cfg, num_classes, given, stored):
    """The class names for `count` classes: those given, those stored in the file, or COCO's.

    ConversionError where nobody agreed to that count.
    """
    agreed = num_classes or cfg.num_classes
    if count != agreed:
        asked = "--num-classes" if num_classes else f"config {cfg.name}"
        raise ConversionError(f"the file has {count} classes, {asked} says {agreed}; if that is "
                              f"meant, pass --num-classes {count}")
    if given and len(given) != count:
        raise ConversionError(f"{len(given)} class names for {count} classes")
    if given or len(stored) == count:
        return tuple(given or stored)
    if count == len(COCO_CLASSES):
        return COCO_CLASSES
    return tuple(f"class {i}" for i in range(count))


def convert_backbone(source, family, arrays, dropped, unknown, lines):
    """The Conversion of an ImageNet backbone: all of a config's backbone but the offsets."""
    for name in CONFIGS:
        cfg = get_config(name)
        if family.builds(cfg):
            continue
        expected = {key: shape for key, shape in expected_shapes(name, None).items()
                    if key.startswith("backbone.") and ".offset." not in key}
        if not unknown and not find_misfit(arrays, expected):
            break
    else:
        raise ConversionError(
            f"the {len(arrays)} tensors of this backbone ({family.title}) fit none of the configs; "
            f"not understood: {', '.join(unknown[:SHOWN]) or 'none'}")
    check_aliases(source.arrays, family)
    arrays = {key: checked(key, array) for key, array in arrays.items()}
    meta = meta_of(cfg.replace(**family.input), (), family=family.name, source=source.path.name,
                   source_sha256=source.sha256, backbone_only=True)
    lines += [f"config: the backbone of {name} and alike, for training: -o pretrained=FILE",
              *count_lines(len(arrays), dropped, [], source.extras)]
    return Conversion(arrays, meta, "", lines)


def batches_tracked(arrays):
    """torch's counters, which only the way back needs."""
    counts = {name: count_of(array) for name, array in arrays.items()
              if name.endswith(".num_batches_tracked") and array.size == 1}
    counts = {name: count for name, count in counts.items() if count is not None}
    return {"num_batches_tracked": counts} if counts else {}


def count_of(array):
    """The number of batches in an array of one number of any type, None if it is no count."""
    number = array.reshape(-1)[0].item()
    return int(number) if 0 <= number < 2**63 else None       # NaN is not
