"""Engines: what runs the network, behind one call.

engine(images float32 [N, 3, H, W], normalised, H and W multiples of 32) -> the outputs of
model/solov2.py: "category_logits" 5 x [N, C, S, S], "kernels" 5 x [N, E, S, S] and "mask_features"
[N, E, H/4, W/4].  `dygraph` is Paddle as it trains, on any device, and returns Tensors; the others
(exported.py) run an export on the CPU and return numpy arrays.  An export is made once, checked
against dygraph and cached (tools/export/cache.py).
"""
import importlib.util
import sys
import tempfile

import numpy as np
import paddle

from model.decode import to_host
from tools.errors import UserError
from tools.export import cache
from tools.inference.exported import Ncnn, OnnxRuntime, OpenVino, PaddleInference

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


# Fastest first.  ncnn's Winograd convolutions beat the others on every config, 1.1 (R101-vd-DCN) to
# 1.9 times (MobileNetV3), within the same tolerance.
EXPORTED = {kind.name: kind for kind in (Ncnn, OpenVino, OnnxRuntime, PaddleInference)}
# FPN channels from which on Paddle Inference is faster than dygraph: R50 at 800x1333 takes 3.8 s
# instead of 4.6 (256 channels), but it takes some 0.1 s per image for itself, and the quick start
# (48 channels) 0.13 s instead of 0.05.
WIDE = 128
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
        if kind is PaddleInference and cfg.fpn_channels < WIDE:
            continue
        if importlib.util.find_spec(kind.package) is None:
            missing.append(kind.name)
            continue
        if kind is Ncnn and cfg.backbone_dcn and cfg.backbone_groups > 1:
            failures.append("ncnn has no deformable convolution with groups")
            continue
        try:
            return open_exported(kind, weights, cfg, build_model), reasons(missing, failures)
        except UserError as error:
            failures.append(str(error))
    return Dygraph(build_model()), reasons(missing, failures)


def reasons(missing, failures):
    """One line of text; "" for none."""
    lacking = [f"not installed: {', '.join(missing)}; {INSTALL}"] if missing else []
    return "; ".join(lacking + failures)


def open_int8(weights, cfg):
    """The engine around what tools.export has made with --format openvino-int8."""
    version_of(OpenVino)
    path = cache.find(weights, f"int8-{cache.export_key(weights, cfg)}")
    if not path:
        raise UserError(f"no 8-bit network of '{weights}' as it is now: make it with python -m "
                        f"tools.export --config {cfg.name} --weights {weights} --format {INT8} "
                        "--calibration FOLDER")
    engine = OpenVino(path)
    engine.name = INT8
    return engine


def open_exported(kind, weights, cfg, build_model):
    """An engine around the cached export, which is made and checked first if there is none."""
    version = version_of(kind)
    name = f"{kind.name}-{version}-{cache.export_key(weights, cfg)}"
    if path := cache.find(weights, name):
        return kind(path)
    print(f"exporting '{weights}' for {kind.name} {version}, once", file=sys.stderr)
    model = build_model()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        try:
            engine = kind(kind.write(model, folder))
            difference = check_difference(engine, Dygraph(model))
        except ImportError as error:
            raise UserError(f"engine '{kind.name}' needs an export ({error}): {INSTALL}") from None
        except (RuntimeError, ValueError) as error:
            raise UserError(f"engine '{kind.name}' {version} cannot run the network: {error}"
                            ) from None
        if not difference <= TOLERANCE:
            raise UserError(f"engine '{kind.name}' {version} differs from dygraph by "
                            f"{difference:.1e} of an output's deviation, more than {TOLERANCE}: "
                            "use another --engine")
        cache.store(weights, name, folder)
        return engine


def version_of(kind):
    """The version of an engine's package; UserError if it cannot be imported."""
    try:
        return importlib.import_module(kind.package).__version__.partition("-")[0]
    except ImportError as error:
        raise UserError(f"no engine '{kind.name}' ({error}): {INSTALL}") from None


def check_difference(engine, reference):
    """The deviation of an engine from dygraph on random images of a size of no importance."""
    images = np.random.default_rng(0).normal(size=CHECK_SHAPE).astype(np.float32)
    return deviation(engine(images), reference(images))


def deviation(outputs, expected):
    """The largest difference between raw outputs, as a part of the deviation of the expected."""
    pairs = zip(flat(outputs), flat(expected), strict=True)
    return np.max([np.abs(ours - theirs).max() / theirs.std() for ours, theirs in pairs])


def flat(outputs):
    return [to_host(value) for value in (*outputs["category_logits"], *outputs["kernels"],
                                         outputs["mask_features"])]
