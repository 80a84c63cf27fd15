"""What a weights file of ours may hold: checked once, when it is read.

Nothing behind this needs to doubt a type, a length or a number, and no network is built for class
names that have no tensors.
"""
import json
import math

import numpy as np

from tools.errors import UserError, is_short, shown

CATEGORY = "head.category_pred.weight"     # its first side is the number of classes
KINDS = {"config": str, "class_names": list, "network": dict, "input": dict}
CHOICES = {"channel_order": ("rgb", "bgr"), "resize_library": ("cv2", "pil"),
           "resized_size_rule": ("round", "fractional"), "normalize_first": (False, True)}
MAX_META = 4 << 20         # characters; a hundred thousand class names have 2 million
MAX_NAME = 1000            # characters of a class name or a config
MAX_ITEMS = 64             # of a setting of the network
MAX_NUMBER = 1e6           # of an input setting


def parse_meta(text):
    """The description in a weights file as a dict.  UserError says what it lacks."""
    try:
        meta = json.loads(text) if len(text) <= MAX_META else None
    except (ValueError, RecursionError):
        meta = None
    lacking = [key for key, kind in KINDS.items()
               if not isinstance(meta, dict) or not isinstance(meta.get(key), kind)]
    if lacking:
        raise UserError(f"does not state its {', '.join(lacking)}")
    check_class_names(meta["class_names"])
    check_counts(meta.get("num_batches_tracked", {}))
    for key in ("config", "family", "source", "source_sha256"):
        if not is_name(meta.get(key, "")):
            raise UserError(f"states a senseless {key}")
    for key, value in meta["network"].items():
        if not is_setting(value):
            raise UserError(f"states a senseless network: {shown(key)}")
    for key, value in meta["input"].items():
        check_input(key, value)
    return meta


def is_name(value):
    return type(value) is str and len(value) <= MAX_NAME


def check_class_names(names):
    """UserError unless all are texts of a sensible length."""
    wrong = next((name for name in names if not is_name(name)), None)
    if wrong is not None or None in names:
        raise UserError(f"has a class name that is no text of at most {MAX_NAME} characters: "
                        f"{shown(wrong)}")


def check_counts(counts):
    """UserError unless these are torch's counters, {name: number of batches}."""
    if type(counts) is not dict or not all(type(n) is int and 0 <= n < 2**63
                                           for n in counts.values()):
        raise UserError("states senseless numbers of batches")


def is_setting(value):
    """Whether a value of the network's settings is short: a number, a word, or a list of these."""
    if type(value) is list:
        return len(value) <= MAX_ITEMS and all(
            is_short(item) or (type(item) is list and len(item) <= MAX_ITEMS
                               and all(map(is_short, item))) for item in value)
    return is_short(value) or (type(value) is str and len(value) <= MAX_ITEMS)


def check_input(key, value):
    """UserError unless a setting of the network's input is one that images can be fed with."""
    if key in CHOICES:
        good = type(value) is type(CHOICES[key][0]) and value in CHOICES[key]
    elif key in ("pixel_mean", "pixel_std"):
        good = type(value) is list and len(value) == 3 and all(map(is_pixel_value, value)) and (
            key == "pixel_mean" or min(value) > 0)
    else:
        good = is_setting(value)
    if not good:
        raise UserError(f"states a senseless input: {shown(key)} {shown(value)}")


def is_pixel_value(value):
    return type(value) in (int, float) and math.isfinite(value) and abs(value) <= MAX_NUMBER


def check_arrays(arrays):
    """UserError unless these are {printable name: array of finite float32 numbers}."""
    for name, array in arrays.items():
        if type(name) is not str or len(name) > MAX_NAME or not name.isprintable():
            raise UserError(f"holds a tensor with a senseless name: {shown(name)}")
        if not isinstance(array, np.ndarray):
            raise UserError(f"holds entries that are not arrays: {shown(name)}")
        if array.dtype != np.float32:
            raise UserError(f"holds '{shown(name)}' as {array.dtype}, expected float32")
        low, high = array.min(initial=0), array.max(initial=0)
        if not (math.isfinite(low) and math.isfinite(high)):
            raise UserError(f"holds numbers in '{shown(name)}' that are not finite")
        if name.endswith("._variance") and low < 0:
            raise UserError(f"holds a negative variance in '{shown(name)}'")


def check_classes(meta, arrays):
    """UserError unless the file has as many class names as its last category convolution has
    classes, or is a backbone alone."""
    if meta.get("backbone_only") is True:
        return
    shape = arrays[CATEGORY].shape if CATEGORY in arrays else ()
    if len(shape) != 4 or shape[0] != len(meta["class_names"]) or not shape[0]:
        raise UserError(f"has {len(meta['class_names'])} class names and a tensor '{CATEGORY}' of "
                        f"shape {list(shape)}, which do not fit")
