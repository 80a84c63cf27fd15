"""Engine openvino: OpenVINO on the CPU, from its own files, which a converter makes of ONNX."""
from pathlib import Path

import numpy as np

from model.arrays import to_host
from tools.engines.network import named

FILE = "network.xml"                           # and network.bin


class OpenVino:
    """engine(images) -> the outputs as numpy arrays.

    RuntimeError for files that it cannot run.
    """

    name, package, needs = "openvino", "openvino", ("onnx", "openvino")
    requirements = "requirements.txt"

    def __init__(self, folder, threads, precision="float32", device="cpu"):
        import openvino

        self.precision = precision
        self.version = openvino.__version__.partition("-")[0]
        # Without the hint, processors with 16-bit arithmetic round to it.
        hint = self.half() if precision == "half" else "f32"
        settings = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": threads,
                    "PERFORMANCE_HINT": "LATENCY"}
        core = openvino.Core()
        self.request = core.compile_model(core.read_model(Path(folder, FILE)), "CPU",
                                          settings).create_infer_request()

    def __call__(self, images):
        return named(list(self.request.infer([to_host(images)]).values()))

    @staticmethod
    def write(model, folder):
        from tools.engines.onnx_graph import network_file  # needs the optional package onnx

        save(read_onnx(network_file(model)), folder)

    @staticmethod
    def cannot_run(cfg, version):
        """Why it cannot run the network of a config; "" if it can."""
        return ""

    @staticmethod
    def half():
        """"bf16" (AMX, AVX512-BF16, Arm) or "f16", whichever this processor computes in; or ""."""
        import openvino

        able = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return next((name for name in ("bf16", "f16") if {"f16": "FP16"}.get(name, "BF16") in able),
                    "")


def read_onnx(content):
    """The openvino.Model of the bytes of an ONNX file."""
    import openvino

    core = openvino.Core()
    core.add_extension(deform_conv_extension())
    return core.read_model(content)


def save(model, folder):
    """Write an openvino.Model with its numbers as they are.  OSError if it cannot be written."""
    import openvino

    try:
        openvino.save_model(model, Path(folder, FILE), compress_to_fp16=False)
    except RuntimeError as error:                      # of C++ streams, also when a disk is full
        raise OSError(f"OpenVINO: {error}") from None


def deform_conv_extension():
    """ONNX's DeformConv for openvino.Core.add_extension().

    OpenVINO has the operation but does not know it from ONNX files.
    """
    from openvino.frontend.onnx import ConversionExtension

    return ConversionExtension("DeformConv", convert_deform_conv)


def convert_deform_conv(node):
    """DeformConv with the optional inputs bias (3) and mask (4) as OpenVINO operations."""
    import openvino.opset8 as opset

    x, weight, offset, bias, mask = (node.get_input(i) if i < node.get_input_size() else None
                                     for i in range(5))
    pads = node.get_attribute("pads")
    y = opset.deformable_convolution(x, offset, weight, node.get_attribute("strides"), pads[:2],
                                     pads[2:], [1, 1], mask, group=node.get_attribute("group"),
                                     bilinear_interpolation_pad=True)
    if bias is not None and bias.get_node().get_type_name() == "Constant":
        y = opset.add(y, opset.reshape(bias, np.int64([1, -1, 1, 1]), special_zero=False))
    return y.outputs()
