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
from model.layers import append_coordinates
from tools.export.ncnn_graph import COORDINATES, save_network
from tools.export.network import OUTPUTS
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


class Ncnn:
    """ncnn, whose 3x3 convolutions take a quarter of the multiplications (Winograd, F(4x4, 3x3)).

    Images of a batch run one after the other; it knows no batches.
    """

    name, package = "ncnn", "ncnn"

    def __init__(self, path):
        import ncnn

        self.version, self.mat = ncnn.__version__, ncnn.Mat
        self.net = ncnn.Net()
        self.net.opt.num_threads = threads()
        for kind in ("bf16_storage", "fp16_packed", "fp16_storage", "fp16_arithmetic"):
            setattr(self.net.opt, f"use_{kind}", False)
        numbers = Path(path).with_suffix(".bin")
        if self.net.load_param(str(path)) or self.net.load_model(str(numbers)):
            raise RuntimeError(f"it cannot read '{path}' and '{numbers}'")
        self.strides = [(name, int(name.removeprefix(COORDINATES)))
                        for name in self.net.input_names() if name.startswith(COORDINATES)]

    def __call__(self, images):
        runs = [self.run(image) for image in to_host(images)]
        return named([np.stack(values) for values in zip(*runs, strict=True)])

    def run(self, image):
        """The outputs for one image [3, H, W], without the batch axis."""
        inputs = {"images": image}
        for name, stride in self.strides:
            inputs[name] = coordinates(*(side // stride for side in image.shape[1:]))
        extractor, values = self.net.create_extractor(), []
        for name, value in inputs.items():
            mat = self.mat(*value.shape[::-1])           # not of the array: it aligns its channels
            np.asarray(mat)[:] = value
            extractor.input(name, mat)
        for name in OUTPUTS:
            failed, value = extractor.extract(name)
            if failed:
                raise RuntimeError(f"no '{name}' for an image of {image.shape[1:]}")
            values.append(np.asarray(value))
        return values

    @staticmethod
    def write(model, folder):
        return save_network(Path(folder, "network.param"), model)


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


def coordinates(height, width):
    """float32 [2, H, W]: x, then y, from -1 to 1."""
    return append_coordinates(paddle.zeros([1, 1, height, width]))[0, 1:].numpy()


def threads():
    """As many as Paddle takes (tools/runtime.py)."""
    return int(os.environ.get(THREADS, "").partition(",")[0] or available_cores())
