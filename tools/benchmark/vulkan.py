"""An ncnn export on a GPU through Vulkan: python vulkan.py FOLDER [DEVICE] [HEIGHT WIDTH].

Needs this file, ncnn and numpy, and a folder made by python -m tools.export --format ncnn: it runs
on a bare machine.  Prints the time of the network on the processor and on the GPU, in float32 and
in half precision, and how far their outputs are apart.
"""
import sys
import time

import ncnn
import numpy as np

RUNS = 10


def open_nets(folder, device=None, half=False):
    """The network up to the head, and the head, which all levels share."""
    return [open_net(f"{folder}/{name}", device, half) for name in ("network", "head")]


def open_net(path, device, half):
    net = ncnn.Net()
    for option in ("fp16_packed", "fp16_storage", "fp16_arithmetic"):
        setattr(net.opt, f"use_{option}", half)
    net.opt.use_bf16_storage = False
    if device is not None:
        net.opt.use_vulkan_compute = True
        net.set_vulkan_device(device)
    if net.load_param(f"{path}.param") or net.load_model(f"{path}.bin"):
        sys.exit(f"error: ncnn cannot read '{path}.param' and .bin")
    return net


def coordinates(height, width):
    """float32 [2, h, w]: x, then y, from -1 to 1."""
    ys, xs = (np.linspace(-1, 1, side, dtype=np.float32) for side in (height, width))
    return np.stack(np.broadcast_arrays(xs, ys[:, None]))


def run(nets, image):
    """[array] of the outputs for float32 [3, H, W]."""
    network, head = nets
    inputs = {"images": image}
    for name in network.input_names():
        if name.startswith("coordinates/"):
            inputs[name] = coordinates(*(side // int(name[12:]) for side in image.shape[1:]))
    outputs = run_net(network, inputs)
    levels = [outputs.pop(name) for name in list(outputs) if name.startswith("level_")]
    found = [value for level in levels for value in run_net(head, {"level": level}).values()]
    return [*found, *outputs.values()]


def run_net(net, inputs):
    """{output: array}."""
    extractor = net.create_extractor()
    for name, value in inputs.items():
        mat = ncnn.Mat(*value.shape[::-1])
        np.asarray(mat)[:] = value
        extractor.input(name, mat)
    return {name: np.array(extractor.extract(name)[1]) for name in net.output_names()}


def measure(name, nets, image, expected=None):
    """Print the time of a network and its distance from `expected`; returns its outputs."""
    outputs, times = run(nets, image), []
    for _ in range(RUNS):
        started = time.perf_counter()
        run(nets, image)
        times.append(time.perf_counter() - started)
    apart = ""
    if expected:
        worst = max(np.abs(ours - theirs).max() / theirs.std()
                    for ours, theirs in zip(outputs, expected, strict=True))
        apart = f", within {worst:.1e} of the deviation of the processor's outputs"
    print(f"{name:40s} {1e3 * np.median(times):8.1f} ms{apart}", flush=True)
    return outputs


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    folder, device, height, width = [*sys.argv[1:], *("0", "800", "1344")[len(sys.argv) - 2:]]
    image = np.random.default_rng(0).normal(size=(3, int(height), int(width))).astype(np.float32)
    expected = measure("processor, float32", open_nets(folder), image)
    if int(device) >= ncnn.get_gpu_count():
        sys.exit(f"error: there is no Vulkan device {device}: ncnn sees {ncnn.get_gpu_count()}")
    name = ncnn.get_gpu_info(int(device)).device_name()
    for half in (False, True):
        precision = "half" if half else "float32"
        measure(f"{name}, {precision}", open_nets(folder, int(device), half), image, expected)


if __name__ == "__main__":
    main()
