"""Engines: what runs the network, behind one call.

engine(images float32 [N, 3, H, W], normalised, H and W multiples of 32) -> the outputs of
model/solov2.py: "category_logits" 5 x [N, C, S, S], "kernels" 5 x [N, E, S, S] and "mask_features"
[N, E, H/4, W/4].  `dygraph` is Paddle itself, on any device, and returns Tensors; the others run
an ONNX file that is written once, checked against dygraph and cached (tools/export/cache.py), on
the CPU, for any batch and image size, and return numpy arrays.
"""
import importlib
import os
import sys

import numpy as np
import paddle

from tools.errors import UserError
from tools.export import cache
from tools.runtime import THREADS, available_cores

TOLERANCE = 1e-4       # largest difference to dygraph, as a part of the output's deviation
CHECK_SHAPE = (2, 3, 96, 160)
INSTALL = "pip install -r requirements-engines.txt"


class Dygraph:
    """The network itself."""

    name = "dygraph"

    def __init__(self, model):
        self.model, self.version = model, paddle.__version__

    @paddle.no_grad()
    def __call__(self, images):
        was_training = self.model.training
        self.model.eval()
        outputs = self.model(paddle.to_tensor(images))
        if was_training:
            self.model.train()
        return outputs


class OnnxRuntime:
    """ONNX Runtime; `network` is the path or the bytes of an ONNX file."""

    name = "onnxruntime"

    def __init__(self, network):
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as state

        self.version = onnxruntime.__version__
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads()
        try:
            self.session = onnxruntime.InferenceSession(network, options,
                                                        providers=["CPUExecutionProvider"])
        except (state.Fail, state.InvalidGraph, state.NotImplemented) as error:
            raise UserError(f"onnxruntime {self.version} cannot run the network: {error}") from None

    def __call__(self, images):
        return named(self.session.run(None, {"images": on_host(images)}))


class OpenVino:
    """OpenVINO; `network` is the path or the bytes of an ONNX file, or the path of an .xml file."""

    name = "openvino"

    def __init__(self, network):
        import openvino

        from tools.export.openvino_deform import deform_conv_extension

        self.version = openvino.__version__.partition("-")[0]
        core = openvino.Core()
        core.add_extension(deform_conv_extension())
        # The hint keeps processors with 16-bit arithmetic from rounding to it.
        settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads(),
                    "PERFORMANCE_HINT": "LATENCY"}
        try:
            self.request = core.compile_model(core.read_model(network), "CPU",
                                              settings).create_infer_request()
        except RuntimeError as error:
            raise UserError(f"openvino {self.version} cannot run the network: {error}") from None

    def __call__(self, images):
        return named(list(self.request.infer([on_host(images)]).values()))


EXPORTED = {kind.name: kind for kind in (OpenVino, OnnxRuntime)}      # the faster one first
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
        return quantized(weights, cfg), ""
    if name in EXPORTED:
        return exported(EXPORTED[name], weights, cfg, build_model), ""
    reasons = []
    for kind in EXPORTED.values() if name == "auto" and device == "cpu" else ():
        try:
            return exported(kind, weights, cfg, build_model), "; ".join(reasons)
        except UserError as error:
            reasons.append(str(error))
    return Dygraph(build_model()), "; ".join(reasons)


def quantized(weights, cfg):
    """The engine around what tools.export has made with --format openvino-int8."""
    installed_version(OpenVino)
    path = cache.find(weights, cache.int8_name(weights, cfg) + ".xml")
    if not path:
        raise UserError(f"no 8-bit network of '{weights}' as it is now: make it with python -m "
                        f"tools.export --config {cfg.name} --weights {weights} --format {INT8} "
                        "--calibration FOLDER")
    engine = OpenVino(str(path))
    engine.name = INT8
    return engine


def installed_version(kind):
    """The version of an engine's package; UserError if it cannot be imported."""
    try:
        return importlib.import_module(kind.name).__version__.partition("-")[0]
    except ImportError as error:
        raise UserError(f"engine '{kind.name}' is not available ({error}): {INSTALL}") from None


def exported(kind, weights, cfg, build_model):
    """An engine around the cached export, which is made and checked first if there is none."""
    version = installed_version(kind)
    name = f"{kind.name}-{version}-{cache.export_key(weights, cfg)}.onnx"
    if path := cache.find(weights, name):
        return kind(str(path))
    try:
        from tools.export.onnx_file import network_file  # needs the optional package onnx
    except ImportError as error:
        raise UserError(f"engine '{kind.name}' needs an export ({error}): {INSTALL}") from None
    print(f"exporting '{weights}' for {kind.name} {version}, once", file=sys.stderr)
    model = build_model()
    content = network_file(model)
    engine = kind(content)
    check(engine, Dygraph(model))
    cache.store(weights, name, content)
    return engine


def check(engine, reference):
    """UserError if the engine differs from dygraph on a random image by more than TOLERANCE."""
    images = np.random.default_rng(0).normal(size=CHECK_SHAPE).astype(np.float32)
    difference = deviation(engine(images), reference(images))
    if not difference <= TOLERANCE:
        raise UserError(f"engine '{engine.name}' {engine.version} differs from dygraph by "
                        f"{difference:.1e} of an output's deviation, more than {TOLERANCE}: "
                        "use another --engine")


def deviation(outputs, expected):
    """The largest difference between raw outputs, as a part of the deviation of the expected."""
    pairs = zip(flat(outputs), flat(expected), strict=True)
    return np.max([np.abs(ours - theirs).max() / theirs.std() for ours, theirs in pairs])


def flat(outputs):
    return [on_host(value) for value in (*outputs["category_logits"], *outputs["kernels"],
                                         outputs["mask_features"])]


def named(values):
    """The dictionary of the network's outputs from a list of them."""
    levels = len(values) // 2
    return {"category_logits": values[:levels], "kernels": values[levels:-1],
            "mask_features": values[-1]}


def on_host(values):
    return values if isinstance(values, np.ndarray) else values.numpy()


def threads():
    """As many as Paddle takes (tools/runtime.py)."""
    return int(os.environ.get(THREADS, "").partition(",")[0] or available_cores())
