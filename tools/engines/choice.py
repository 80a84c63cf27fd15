"""Which engine is the fastest for a network on this machine: measured once, then remembered.

One engine after the other, each alone in memory, runs an image of the config's own size: a first
run that does not count, then one, or more while they are short.  Where a busy moment may have
decided between the two fastest, they run again, in turn.  What was found is kept beside the exports
under a key of processor, threads, network, size and the versions of the engines.  Whatever an
engine does here may end the process, its import too: see marks.py.
"""
import contextlib
import hashlib
import json
import math
import sys
import time
from pathlib import Path

import numpy as np

from tools.engines import cache, marks
from tools.engines.check import HALF_TOLERANCE, difference
from tools.engines.dygraph import Dygraph
from tools.engines.exports import how_to_install, installed, told, version_of
from tools.engines.measured import Choice
from tools.engines.ncnn import Ncnn
from tools.engines.onnxruntime import OnnxRuntime
from tools.engines.openvino import OpenVino
from tools.engines.paddle_inference import PaddleInference
from tools.errors import UserError, shown
from tools.files import write_json
from tools.runtime import processor
from tools.vulkan import fastest_gpu
from tools.weights.weights_file import NETWORK_SETTINGS

FAST = (Ncnn, OnnxRuntime, OpenVino)           # the steadier ones beside other work first
LAST = (PaddleInference,)                      # never faster than those, and slow to export
MOST_RUNS, SHORT = 9, 0.2                      # counted runs; one alone where it takes so many s
CLOSE = 1.5                                    # times the fastest: what may be faster another time
GAIN = 1.25                                    # from which on half precision is worth a word


def open_fastest(exports, precision):
    """(engine, note): the fastest that works here, as measured once, and what is to be said.

    precision: "float32", or "half", which becomes float32 where nothing gains from it.
    """
    choice = remembered(exports)
    failures = dict(choice.failures)
    notes = []
    if precision == "half" and choice.gain() <= 1:
        precision, notes = "float32", ["nothing gains from half precision on this processor: "
                                       "float32"]
    elif precision == "float32" and choice.gain() >= GAIN:
        notes = [f"half precision would run {choice.gain():.1f} times as fast on this processor: "
                 "--precision half"]
    kinds = {kind.name: kind for kind in (*FAST, *LAST)}
    for name in choice.order(precision):
        if name == Dygraph.name:
            break
        try:
            with attempt(exports, kinds[name], precision):
                engine = exports.engine(kinds[name], precision)
            return engine, "; ".join(notes + reasons(failures))
        except UserError as error:
            failures[name] = str(error)
    return Dygraph(exports.model), "; ".join(notes + reasons(failures))


def reasons(failures):
    """What keeps faster engines away, as a list of sentences."""
    missing = [kind for kind in (*FAST, *LAST) if not installed(kind)]
    names = ", ".join(kind.name for kind in missing)
    lacking = [f"not installed: {names}; {how_to_install(*missing)}"] if missing else []
    return lacking + list(failures.values())


def remembered(exports):
    """The Choice for the exports on this machine, measured if there is none."""
    name = f"choice-{choice_key(exports)}.json"
    for folder in cache.cache_folders(exports.weights):
        if choice := read_choice(folder / name):
            return choice
    return measured_anew(exports)


def measured_again(exports):
    """The Choice, measured anew with the engines that were left out for ending the process."""
    marks.forget(exports.weights)
    return measured_anew(exports)


def measured_anew(exports):
    """The Choice, measured now, said and kept in place of an earlier one."""
    choice = measure(exports)
    print(choice.line(), file=sys.stderr)
    point_to_gpu(exports)
    keep(exports, f"choice-{choice_key(exports)}.json", choice)
    return choice


def point_to_gpu(exports):
    """Say that there is a GPU which Vulkan shows, and which is taken on request only."""
    with contextlib.suppress(UserError), marks.attempt(exports, "Vulkan", processor()):
        if gpu := fastest_gpu():
            print(f"note: Vulkan shows the GPU {shown(gpu.name)}: --device gpu runs the network "
                  "on it", file=sys.stderr)


def keep(exports, name, choice):
    for folder in cache.cache_folders(exports.weights):
        with contextlib.suppress(OSError):             # not there, or another user's
            (folder / name).unlink()
    for folder in cache.cache_folders(exports.weights):
        try:
            write_json(folder / name, {"seconds": choice.seconds, "failures": choice.failures})
            return
        except UserError as error:
            reason = str(error)
    print(f"note: the choice will be measured again ({reason})", file=sys.stderr)


def read_choice(path):
    """The Choice in a file; None if there is none, or none that makes sense."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        seconds, failures = content["seconds"], content["failures"]
        names = {kind.name for kind in (*FAST, *LAST, Dygraph)}
        sane = all(isinstance(value, float) and 0 < value < math.inf
                   and name.partition(" ")[0] in names for name, value in seconds.items())
        told = all(name in names and isinstance(why, str) for name, why in failures.items())
        choice = Choice(seconds, failures)
        return choice if sane and told and choice.order("float32") else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def choice_key(exports):
    versions = {kind.name: version_or_fault(exports, kind) for kind in (*FAST, *LAST)}
    settings = {key: getattr(exports.cfg, key) for key in (*NETWORK_SETTINGS, "num_classes")}
    parts = [processor(), exports.threads, versions, settings, image_size(exports.cfg)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:20]


def version_or_fault(exports, kind):
    """The version of an engine, or what is wrong with it; "" where it is not installed."""
    try:
        return imported_version(exports, kind) if installed(kind) else ""
    except UserError as error:
        return str(error)


def imported_version(exports, kind):
    """version_of; UserError too where an import has ended the process."""
    if kind.package in sys.modules:
        return version_of(kind)
    with marks.attempt(exports, f"engine '{kind.name}'", processor()):
        return version_of(kind)


def attempt(exports, kind, precision):
    """A block in which an engine runs; UserError where that has ended the process."""
    imported_version(exports, kind)
    words = f"engine '{kind.name}'" + " in half precision" * (precision == "half")
    return marks.attempt(exports, words, choice_key(exports))


def image_size(cfg):
    """(height, width) of the largest padded image of a config."""
    return tuple(-(-side // cfg.size_divisor) * cfg.size_divisor
                 for side in (cfg.test_short_side, cfg.test_max_side))


def measure(exports):
    """The Choice for the exports, measured now."""
    images = np.random.default_rng(0).normal(size=(1, 3, *image_size(exports.cfg)))
    images, seconds, failures = images.astype(np.float32), {}, {}
    for kind in filter(installed, FAST):
        measure_kind(exports, kind, images, seconds, failures)
    if not seconds:
        seconds["dygraph float32"] = seconds_per_run(Dygraph(exports.model), images)
        for kind in filter(installed, LAST):
            measure_kind(exports, kind, images, seconds, failures)
    with (contextlib.suppress(UserError),
          marks.attempt(exports, "the two fastest engines in turn", choice_key(exports))):
        run_again(exports, images, seconds)            # where it fails, that both ran counts
    return Choice(seconds, failures)


def measure_kind(exports, kind, images, seconds, failures):
    """Add what an engine takes in float32 and, where it gains from it, in half precision."""
    try:
        with attempt(exports, kind, "float32"), told(kind):
            engine = exports.engine(kind)
            seconds[f"{kind.name} float32"] = seconds_per_run(engine, images)
        if exports.half(kind):
            with attempt(exports, kind, "half"), told(kind):
                half = exports.engine(kind, "half")
                if difference(half, engine) <= HALF_TOLERANCE:
                    engine = None
                    seconds[f"{kind.name} half"] = seconds_per_run(half, images)
    except UserError as error:
        failures[kind.name] = str(error)


def run_again(exports, images, seconds):
    """Let the two fastest in float32 run in turn, if they are close; the shortest run counts."""
    kinds = {f"{kind.name} float32": kind for kind in FAST if f"{kind.name} float32" in seconds}
    names = sorted(kinds, key=seconds.get)[:2]
    if len(names) < 2 or seconds[names[1]] > CLOSE * seconds[names[0]]:
        return
    engines = {name: exports.engine(kinds[name]) for name in names}
    spent = 0.0
    for number in range(MOST_RUNS + 1):
        for name, engine in engines.items():
            with told(kinds[name]):
                taken = one_run(engine, images)
            seconds[name], spent = min(seconds[name], taken), spent + taken
        if number and spent > 2 * SHORT:               # the first run of each is slower
            break


def seconds_per_run(engine, images):
    """The shortest of some runs after a first one."""
    engine(images)
    times = []
    while len(times) < MOST_RUNS and sum(times) < SHORT:
        times.append(one_run(engine, images))
    return min(times)


def one_run(engine, images):
    started = time.perf_counter()
    engine(images)
    return time.perf_counter() - started
