"""A checkpoint of another project -> weights of ours: recognise, rename, compare, describe."""
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from config import CONFIGS, get_config
from convert.coco_classes import COCO_CLASSES
from convert.errors import ConversionError
from convert.families import family_named, recognise
from convert.report import count_lines, input_text
from tools.errors import shown
from tools.runtime import configure
from tools.weights.misfit import SHOWN, compare
from tools.weights.schema import CATEGORY
from tools.weights.weights_file import meta_of

MAX_BIAS = 4096                    # more numbers are no bias of a convolution
MAX_CLASSES = 100_000              # the largest vocabularies of detection have some ten thousand


@dataclass
class Conversion:
    """Weights in our names, ready to save, and what happened on the way."""

    arrays: dict
    meta: dict
    config: str                    # "" for a backbone alone
    lines: list = field(default_factory=list)            # the report


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
    return compare(source.arrays, expected_shapes(config, class_count(source.arrays)))


def class_count(arrays):
    """The number of classes that the last category convolution tells, or None."""
    shape = arrays[CATEGORY].shape if CATEGORY in arrays else ()
    if len(shape) == 4 and not (0 < shape[0] <= MAX_CLASSES and all(shape)):
        raise ConversionError(f"the file has {shape[0]} classes (a tensor of shape {list(shape)} "
                              f"for {CATEGORY}); expected 1 to {MAX_CLASSES}")
    return shape[0] if len(shape) == 4 else None


def convert(source, config=None, family=None, num_classes=None, class_names=None):
    """The Conversion of a Source (convert/readers.py).  Raises ConversionError.

    `config` and `family` overrule what the tensors tell; `num_classes` accepts another count than
    the config's; `class_names` for it.
    """
    kind = family_named(family) if family else recognise(source.arrays)
    how = "as given" if family else "by its tensor names"
    arrays, dropped, unknown = rename_all(source.arrays, kind)
    lines = [f"family: {kind.name}, {kind.title} ({how}); {source.layout}"]
    if kind.backbone_only:
        return convert_backbone(source, kind, arrays, dropped, unknown, lines)
    name, arrays, note, filled = choose_config(arrays, unknown, kind, config, source.path)
    names = names_of_classes(class_count(arrays), get_config(name), num_classes, class_names,
                             source.class_names)
    check_aliases(source.arrays, kind)
    arrays = {key: checked(key, array) for key, array in arrays.items()}
    cfg = get_config(name).replace(num_classes=len(names), **kind.input)
    meta = meta_of(cfg, names, family=kind.name, source=source.path.name,
                   source_sha256=source.sha256, **batches_tracked(source.arrays))
    lines += [f"config: {name} ({note})"]
    lines += [*count_lines(len(arrays) - len(filled), dropped, filled, source.extras),
              f"classes: {len(names)} ({', '.join(map(shown, names[:2]))}"
              f"{', ...' if len(names) > 2 else ''})", f"input: {input_text(kind.input)}"]
    return Conversion(arrays, meta, name, lines)


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


def choose_config(arrays, unknown, family, config, path):
    """(config name, arrays that fit it exactly, how it was chosen, names filled in)."""
    classes = class_count(arrays)
    if not classes:
        raise ConversionError(f"the file has no tensor for {CATEGORY}: no SOLOv2 of {family.title}")
    names = [get_config(config).name] if config is not None else [
        name for name in CONFIGS if not family.builds(get_config(name))]
    if config is not None and (reason := family.builds(get_config(config))):
        raise ConversionError(f"the file is of {family.title}, which cannot be config {names[0]}: "
                              f"{reason}")
    fits, misfits = [], []
    for name in names:
        expected = expected_shapes(name, classes)
        adapted, filled = adapt_dcn_bias(arrays, expected, family)
        misfit = compare(adapted, expected)
        misfit.unknown += unknown
        (misfits if misfit else fits).append((name, adapted, filled, misfit))
    if not fits:
        name, _, _, misfit = min(misfits, key=lambda item: len(item[3]))
        raise ConversionError(f"the tensors do not fit config {name}"
                              f"{'' if config is not None else ', the nearest'}:{misfit.text()}")
    hinted = [fit for fit in fits if "1x" in fit[0] and "1x" in path.stem]
    name, adapted, filled, _ = (hinted or fits)[0]
    others = [fit[0] for fit in fits if fit[0] != name]
    note = "as given" if config is not None else f"by all {len(adapted)} names and shapes" + (
        f"; {', '.join(others)} has the same network" if others else "")
    return name, adapted, note, filled


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
        if not unknown and not compare(arrays, expected):
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
