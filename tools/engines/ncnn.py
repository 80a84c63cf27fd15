"""Engine ncnn: convolutions with a quarter of the multiplications (Winograd, F(4x4, 3x3)).

It knows no batches: the images of one run one after the other.
"""
from pathlib import Path

import numpy as np
import paddle

from model.arrays import to_host
from model.layers import append_coordinates
from tools.engines.ncnn_graph import (
    COORDINATES,
    HEAD,
    HEAD_OUTPUTS,
    LEVEL,
    LEVELS,
    MASK_FEATURES,
    NETWORK,
    write_network,
)
from tools.engines.network import has_deform_conv, named
from tools.quiet import quiet_output
from tools.runtime import processor
from tools.vulkan import find_device


class Ncnn:
    """engine(images) -> the outputs as numpy arrays.

    RuntimeError for files that it cannot run.
    """

    name, package, needs = "ncnn", "ncnn", ("ncnn",)
    requirements = "requirements.txt"

    def __init__(self, folder, threads, precision="float32", device="cpu"):
        import ncnn

        self.precision = precision
        self.version, self.mat = ncnn.__version__, ncnn.Mat
        self.network, self.head = (self.open(Path(folder, name), threads, device)
                                   for name in (NETWORK, HEAD))
        self.pools = ncnn.PoolAllocator(), ncnn.PoolAllocator()
        self.pools[0].set_size_compare_ratio(0.5)        # of no block twice the size
        self.strides = [(name, int(name.removeprefix(COORDINATES)))
                        for name in self.network.input_names() if name.startswith(COORDINATES)]

    def open(self, path, threads, device):
        """The net of a .param file and its .bin."""
        import ncnn

        with quiet_output():                           # of Vulkan's loader
            net = ncnn.Net()
            net.opt.num_threads = threads
            self.set_precision(net, "float16" if device != "cpu" else self.half())
            if device != "cpu":
                net.opt.use_vulkan_compute = True
                net.set_vulkan_device(find_device(device).index)
        numbers = path.with_suffix(".bin")
        if net.load_param(str(path)) or net.load_model(str(numbers)):
            raise RuntimeError(f"it cannot read '{path}' and '{numbers}'")
        return net

    def set_precision(self, net, name):
        """Let a net compute in "bf16" or "float16" for half precision, else in float32."""
        half = {"bf16": ("bf16_storage",),
                "float16": ("fp16_packed", "fp16_storage", "fp16_arithmetic")}
        for kind, options in half.items():
            for option in options:
                setattr(net.opt, f"use_{option}", self.precision == "half" and kind == name)

    def __call__(self, images):
        runs = [self.run(image) for image in to_host(images)]
        if len(runs) == 1:
            return named([value[None] for value in runs[0]])             # no copy
        return named([np.stack(values) for values in zip(*runs, strict=True)])

    def run(self, image):
        """The outputs for one image [3, H, W], without the batch axis."""
        inputs = {"images": image}
        for name, stride in self.strides:
            inputs[name] = coordinates(*(side // stride for side in image.shape[1:]))
        # The coarsest level first: it needs the least beside the backbone.
        mask_features, *levels = self.outputs(self.network, inputs,
                                              (*LEVELS[::-1], MASK_FEATURES))[::-1]
        outputs = [self.outputs(self.head, {LEVEL: level}, HEAD_OUTPUTS) for level in levels]
        category_logits, kernels = zip(*outputs, strict=True)
        return [*category_logits, *kernels, mask_features]

    def outputs(self, net, inputs, names):
        """The arrays that a net gives.

        What was needed for one is freed before the next: what the backbone and the finest level
        need, the two that need most, would else add up.
        """
        extractor, values = net.create_extractor(), []
        extractor.set_blob_allocator(self.pools[0])
        extractor.set_workspace_allocator(self.pools[1])
        for name, value in inputs.items():
            mat = self.mat(*value.shape[::-1])           # not of the array: it aligns its channels
            np.asarray(mat)[:] = value
            extractor.input(name, mat)
        for name in names:
            failed, mat = extractor.extract(name)
            if failed:
                raise RuntimeError(f"no '{name}' for inputs of "
                                   f"{[value.shape for value in inputs.values()]}")
            self.empty_pools()                           # the copy then takes a place below
            values.append(np.array(mat))                 # a copy: the pools may go before it
            del mat
        self.empty_pools()
        return values

    def empty_pools(self):
        for pool in self.pools:
            pool.clear()

    @staticmethod
    def write(model, folder):
        write_network(folder, model)

    @staticmethod
    def cannot_run(cfg, version):
        """Why it cannot run the network of a config; "" if it can."""
        if cfg.backbone_dcn and cfg.backbone_groups > 1:
            return "ncnn has no deformable convolution with groups"
        return ""

    @staticmethod
    def half():
        """"float16" or "bf16", whichever this processor computes in; or ""."""
        import ncnn

        if ncnn.cpu_support_arm_asimdhp():
            return "float16"
        return "bf16" if "avx512_bf16" in processor() else ""

    @staticmethod
    def on_the_cpu(cfg):
        """What of the network of a config has no shader, in words; "" for nothing."""
        return "deformable convolutions run on the CPU" if has_deform_conv(cfg) else ""


def coordinates(height, width):
    """float32 [2, H, W]: x, then y, from -1 to 1."""
    return append_coordinates(paddle.zeros([1, 1, height, width]))[0, 1:].numpy()
