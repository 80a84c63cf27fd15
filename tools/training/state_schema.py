"""What a run state must hold, checked once when it is read.

A checkpoint of ours may have been changed on the way: nothing in it is used before its type and
its range are known.  `tools.weights.safe_pickle` has checked the bytes; this checks their meaning.
"""
import math

import numpy as np

from tools.errors import UserError

LARGEST = 2 ** 53                      # of a whole number; far beyond any number of steps
MOST_CLASSES = 1_000_000


def whole(value, low=0, high=LARGEST):
    return type(value) is int and low <= value <= high


def number(value, low=-math.inf, high=math.inf):
    """A finite number within the bounds; True and False are none."""
    return type(value) in (int, float) and math.isfinite(value) and low <= value <= high


def texts(value):
    return (type(value) is list and 0 < len(value) <= MOST_CLASSES
            and all(type(text) is str for text in value))


def arrays(value):
    """{name: float32 array of finite values}, with no negative variance."""
    return (mapping(value) and all(type(array) is np.ndarray and array.dtype == np.float32
                                   and bool(np.isfinite(array).all()) for array in value.values())
            and not any((array < 0).any() for name, array in value.items()
                        if name.endswith("_variance")))


def mapping(value):
    return type(value) is dict and all(type(key) is str for key in value)


def average(value):
    """Of ema.py; None where the run keeps none."""
    return value is None or (mapping(value) and set(value) == {"average", "updates", "missing"}
                             and arrays(value["average"]) and whole(value["updates"])
                             and number(value["missing"], 0, 1))


def scaler(value):
    """Of paddle.amp.GradScaler; empty without mixed precision."""
    return mapping(value) and all(
        type(entry) is bool or number(entry) or
        (type(entry) is np.ndarray and entry.dtype.kind in "fi" and bool(np.isfinite(entry).all()))
        for entry in value.values())


def window(value):
    """Of progress.Window."""
    return (mapping(value) and set(value) == {"count", "sums"} and whole(value["count"])
            and mapping(value["sums"]) and all(map(number, value["sums"].values()))
            and bool(value["sums"]) == (value["count"] > 0))


def settings(value):
    """A config as plain values."""
    return mapping(value) and all(plain(entry) for entry in value.values())


def plain(value, depth=4):
    if type(value) in (list, tuple):
        return depth > 0 and len(value) < 1000 and all(plain(item, depth - 1) for item in value)
    return type(value) in (str, bool) or number(value)


# entry: (what tells whether it is right, what is expected)
RULES = {
    "model": (arrays, "{name: float32 array of finite values}, variances from 0 on"),
    "optimizer": (arrays, "{name: float32 array of finite values}"),
    "ema": (average, "None, or averages, a number of updates and a share from 0 to 1"),
    "scaler": (scaler, "{name: number}"),
    "window": (window, "a count and sums of finite numbers"),
    "num_steps": (lambda value: whole(value, 1), "a whole number from 1 on"),
    "step": (whole, "a whole number from 0 on"),
    "best_ap": (lambda value: number(value, -1, 1), "a number from -1 to 1"),
    "config": (lambda value: type(value) is str, "a text"),
    "seed": (lambda value: whole(value, -LARGEST), "a whole number"),
    "class_names": (texts, "a list of texts"),
}
LATER = {                              # entries that the first versions did not write
    "settings": (settings, "{name: plain value}"),
    "evaluate_first": (lambda value: type(value) is bool, "True or False"),
    "evaluations_without_gain": (whole, "a whole number from 0 on"),
}


def check_state(state, path):
    """The state itself; UserError with the first entry that is not as it must be."""
    if not mapping(state) or any(key not in state for key in RULES):
        raise UserError(f"'{path}' is not a training checkpoint of this project")
    for name, (is_right, expected) in {**RULES, **LATER}.items():
        if name in state and not is_right(state[name]):
            raise UserError(f"'{path}': its entry '{name}' is damaged, expected {expected}; "
                            "continue from another checkpoint (--resume FILE)")
    if state["step"] > state["num_steps"]:
        raise UserError(f"'{path}': step {state['step']} of {state['num_steps']}; "
                        "continue from another checkpoint (--resume FILE)")
    return state
