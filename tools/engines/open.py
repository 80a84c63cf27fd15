"""Which engine runs the network, behind one call, opened and checked.

engine(images float32 [N, 3, H, W], normalised, H and W multiples of 32) -> the outputs of
model/solov2.py: "category_logits" 5 x [N, C, S, S], "kernels" 5 x [N, E, S, S] and "mask_features"
[N, E, H/4, W/4].  `dygraph` is Paddle as it trains, on any device, and returns Tensors; the others
run an export on the CPU and return numpy arrays.  An export is made once, checked against dygraph
(check.py) and kept (cache.py).

An engine is a class in a file of its own and states its own facts: `name`; `package`, whose
version counts; `needs`, the packages to write and run an export; cannot_run(cfg, version) -> why
not, or "".  kind.write(model, folder) fills an empty folder, kind(folder, threads) opens it.
"""
import importlib
import importlib.util
import sys

from tools.engines import cache
from tools.engines.check import TOLERANCE, difference
from tools.engines.dygraph import Dygraph
from tools.engines.ncnn import Ncnn
from tools.engines.onnxruntime import OnnxRuntime
from tools.engines.openvino import OpenVino
from tools.engines.paddle_inference import PaddleInference
from tools.errors import UserError
from tools.runtime import threads

INSTALL = "pip install -r requirements-engines.txt"
# Fastest first.  ncnn's Winograd convolutions beat the others on every config, 1.1 (R101-vd-DCN) to
# 1.9 times (MobileNetV3), within the same tolerance.
EXPORTED = {kind.name: kind for kind in (Ncnn, OpenVino, OnnxRuntime, PaddleInference)}
INT8 = "openvino-int8"                         # never chosen by itself: its results differ
ENGINES = ("auto", *EXPORTED, INT8, Dygraph.name)


def open_engine(name, device, weights, cfg, build_model):
    """(engine, why a faster one was not taken) for a name of ENGINES.

    "auto" is the fastest that works here.  build_model() -> the network with its weights loaded,
    called only if it is needed.  UserError if the engine that was asked for cannot be used.
    """
    if name not in ENGINES:
        raise UserError(f"unknown engine '{name}': expected {', '.join(ENGINES)}")
    if name in (*EXPORTED, INT8) and device != "cpu":
        raise UserError(f"engine '{name}' runs on the CPU, not on '{device}': add --device cpu or "
                        "use --engine dygraph")
    if name == INT8:
        return open_int8(weights, cfg), ""
    if name in EXPORTED:
        return open_exported(EXPORTED[name], weights, cfg, build_model), ""
    if name == Dygraph.name or device != "cpu":
        return Dygraph(build_model()), ""
    return open_fastest(weights, cfg, build_model)


def open_fastest(weights, cfg, build_model):
    """(the fastest engine that works, why not a faster one), on the CPU."""
    missing, failures = [], []
    for kind in EXPORTED.values():
        if not installed(kind):
            missing.append(kind.name)
            continue
        try:
            return open_exported(kind, weights, cfg, build_model), reasons(missing, failures)
        except UserError as error:
            failures.append(str(error))
    return Dygraph(build_model()), reasons(missing, failures)


def installed(kind):
    return all(importlib.util.find_spec(package) for package in kind.needs)


def reasons(missing, failures):
    """One line of text; "" for none."""
    lacking = [f"not installed: {', '.join(missing)}; {INSTALL}"] if missing else []
    return "; ".join(lacking + failures)


def open_int8(weights, cfg):
    """The engine around what tools.export has made with --format openvino-int8."""
    version_of(OpenVino)
    folder = cache.find(weights, int8_name(weights, cfg))
    if not folder:
        raise UserError(f"no 8-bit network of '{weights}' as it is now: make it with python -m "
                        f"tools.export --config {cfg.name} --weights {weights} --format {INT8} "
                        "--calibration FOLDER")
    engine = OpenVino(folder, threads())
    engine.name = INT8
    return engine


def int8_name(weights, cfg):
    return f"int8-{cache.export_key(weights, cfg, 'tools.engines.int8')}"


def open_exported(kind, weights, cfg, build_model):
    """An engine around the kept export, which is made and checked first if there is none."""
    version = version_of(kind)
    if reason := kind.cannot_run(cfg, version):
        raise UserError(reason)
    name = f"{kind.name}-{version}-{cache.export_key(weights, cfg, kind.__module__)}"
    folder = cache.find(weights, name)
    if not folder:
        print(f"exporting '{weights}' for {kind.name} {version}, once", file=sys.stderr)
        folder = cache.make(weights, name, checked_writer(kind, version, build_model()))
    return kind(folder, threads())


def checked_writer(kind, version, model):
    """write(folder) of an export of `model`; UserError if the engine cannot run it exactly."""
    def write(folder):
        try:
            kind.write(model, folder)
            error = difference(kind(folder, threads()), Dygraph(model))
        except ImportError as error:
            raise UserError(f"engine '{kind.name}' needs an export ({error}): {INSTALL}") from None
        except (RuntimeError, ValueError) as error:
            raise UserError(f"engine '{kind.name}' {version} cannot run the network: {error}"
                            ) from None
        if not error <= TOLERANCE:
            raise UserError(f"engine '{kind.name}' {version} differs from dygraph by {error:.1e} "
                            f"of an output's deviation, more than {TOLERANCE}: use another "
                            "--engine")
    return write


def version_of(kind):
    """The version of an engine's package; UserError if it cannot be imported."""
    try:
        return importlib.import_module(kind.package).__version__.partition("-")[0]
    except ImportError as error:
        raise UserError(f"no engine '{kind.name}' ({error}): {INSTALL}") from None
