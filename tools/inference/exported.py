"""The engines that run an exported network on the CPU, for any batch and image size.

kind.write(model, folder) writes the export of a network and returns the path of its (first) file;
kind(path) is the engine: RuntimeError or ValueError if it cannot run the network.  Their packages
are optional, hence imported late.
"""
import os
from pathlib import Path

import numpy as np
import paddle

from model.decode import to_host
from tools.runtime import THREADS, available_cores


class OnnxRuntime:
    """ONNX Runtime."""

    name, package = "onnxruntime", "onnxruntime"

    def __init__(self, path):
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as state

        self.version = onnxruntime.__version__
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads()
        try:
            self.session = onnxruntime.InferenceSession(str(path), options,
                                                        providers=["CPUExecutionProvider"])
        except (state.Fail, state.InvalidGraph, state.NotImplemented) as error:
            raise RuntimeError(str(error)) from None

    def __call__(self, images):
        return named(self.session.run(None, {"images": to_host(images)}))

    @staticmethod
    def write(model, folder):
        from tools.export.onnx_file import network_file  # needs the optional package onnx

        path = Path(folder, "network.onnx")
        path.write_bytes(network_file(model))
        return path


class OpenVino:
    """OpenVINO, from an .onnx or an .xml file."""

    name, package = "openvino", "openvino"
    write = OnnxRuntime.write

    def __init__(self, path):
        import openvino

        from tools.export.openvino_deform import deform_conv_extension

        self.version = openvino.__version__.partition("-")[0]
        core = openvino.Core()
        core.add_extension(deform_conv_extension())
        # The hint keeps processors with 16-bit arithmetic from rounding to it.
        settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads(),
                    "PERFORMANCE_HINT": "LATENCY"}
        self.request = core.compile_model(core.read_model(path), "CPU",
                                          settings).create_infer_request()

    def __call__(self, images):
        return named(list(self.request.infer([to_host(images)]).values()))


class PaddleInference:
    """Paddle Inference with oneDNN, which comes with Paddle."""

    name, package = "paddle", "paddle"

    def __init__(self, path):
        from paddle.inference import Config, create_predictor

        self.version = paddle.__version__
        config = Config(str(path), str(Path(path).with_suffix(".pdiparams")))
        config.disable_gpu()
        config.disable_glog_info()
        config.enable_mkldnn()
        config.set_cpu_math_library_num_threads(threads())
        self.predictor = create_predictor(config)

    def __call__(self, images):
        images = to_host(images)
        handle = self.predictor.get_input_handle(self.predictor.get_input_names()[0])
        handle.reshape(images.shape)
        handle.copy_from_cpu(np.ascontiguousarray(images))
        self.predictor.run()
        return named([self.predictor.get_output_handle(name).copy_to_cpu()
                      for name in self.predictor.get_output_names()])

    @staticmethod
    def write(model, folder):
        from tools.export.paddle_file import save_network

        return save_network(Path(folder, "network"), model)


def named(values):
    """The dictionary of the network's outputs from a list of them."""
    levels = len(values) // 2
    return {"category_logits": values[:levels], "kernels": values[levels:-1],
            "mask_features": values[-1]}


def threads():
    """As many as Paddle takes (tools/runtime.py)."""
    return int(os.environ.get(THREADS, "").partition(",")[0] or available_cores())
