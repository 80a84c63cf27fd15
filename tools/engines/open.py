"""Which engine runs the network, behind one call.

engine(images float32 [N, 3, H, W], normalised, H and W multiples of 32) -> the outputs of
model/solov2.py: "category_logits" 5 x [N, C, S, S], "kernels" 5 x [N, E, S, S] and "mask_features"
[N, E, H/4, W/4].  `dygraph` is Paddle as it trains, on any device, and returns Tensors; the others
run an export (exports.py), on the CPU or through Vulkan, and return numpy arrays.

An engine is a class in a file of its own and states its own facts: `name`; `package`, whose
version counts; `needs`, the packages to write and run an export; cannot_run(cfg, version) -> why
not, or ""; half() -> the name of the half precision that this processor has, or "".
kind.write(model, folder) fills an empty folder, kind(folder, threads, precision, device) opens it.
"""
from tools.engines.choice import FAST, LAST, open_fastest
from tools.engines.dygraph import Dygraph
from tools.engines.exports import Exports
from tools.engines.ncnn import Ncnn
from tools.engines.openvino import OpenVino
from tools.errors import UserError
from tools.runtime import threads

EXPORTED = {kind.name: kind for kind in (*FAST, *LAST)}
INT8 = "openvino-int8"                         # an older word for openvino with precision int8
ENGINES = ("auto", *EXPORTED, INT8, Dygraph.name)
PRECISIONS = ("float32", "half", "int8")


def open_engine(name, device, weights, cfg, build_model, precision="float32", calibration=None):
    """(engine, what there is to say about the choice) for a name of ENGINES.

    device: "cpu", "gpu", "gpu:N" or "vulkan:N".  precision: of PRECISIONS; calibration: as in
    Exports.eight_bits, for int8.  build_model() -> the network with its weights loaded, called
    only if it is needed.  UserError if the engine that was asked for cannot be used.
    """
    if name == INT8 and precision == "half":
        raise UserError(f"engine '{INT8}' computes in 8 bits, not in half precision: leave "
                        "--precision out")
    if name == INT8:
        name, precision = OpenVino.name, "int8"
    check_request(name, device, precision, calibration)
    exports = Exports(weights, cfg, build_model, threads())
    if precision == "int8":
        return exports.eight_bits(calibration), ""
    if device.startswith("vulkan"):
        return exports.engine(Ncnn, precision, device), Ncnn.on_the_cpu(cfg)
    if name == Dygraph.name or device != "cpu":
        half = precision == "half" and device != "cpu"
        note = "dygraph stays in float32 on a CPU" if half < (precision == "half") else ""
        return Dygraph(build_model(), half), note
    if name == "auto":
        return open_fastest(exports, precision)
    kind = EXPORTED[name]
    if precision == "half" and not exports.half(kind):
        return exports.engine(kind), f"{name} has no half precision on this processor: float32"
    return exports.engine(kind, precision), ""


def check_request(name, device, precision, calibration):
    """UserError for engines, devices and precisions that do not go together."""
    if name not in ENGINES:
        raise UserError(f"unknown engine '{name}': expected {', '.join(ENGINES)}")
    if precision not in PRECISIONS:
        raise UserError(f"unknown precision '{precision}': expected {', '.join(PRECISIONS)}")
    if device.startswith("vulkan") and name not in ("auto", Ncnn.name):
        raise UserError(f"engine '{name}' does not run on '{device}': use --engine ncnn or auto")
    if name in EXPORTED and device != "cpu" and not device.startswith("vulkan"):
        raise UserError(f"engine '{name}' runs on the CPU, not on '{device}': add --device cpu or "
                        "use --engine dygraph")
    if precision == "int8" and (name not in ("auto", OpenVino.name) or device != "cpu"):
        raise UserError("precision int8 is OpenVINO's on the CPU: use --engine auto --device cpu")
    if calibration and precision != "int8":
        raise UserError(f"calibration images are for --precision int8, not for {precision}")
