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


def open_network(folder, device=None, half=False):
    net = ncnn.Net()
    for option in ("fp16_packed", "fp16_storage", "fp16_arithmetic"):
        setattr(net.opt, f"use_{option}", half)
    net.opt.use_bf16_storage = False
    if device is not None:
        net.opt.use_vulkan_compute = True
        net.set_vulkan_device(device)
    if net.load_param(f"{folder}/network.param") or net.load_model(f"{folder}/network.bin"):
        sys.exit(f"error: ncnn cannot read '{folder}/network.param' and .bin")
    return net


def coordinates(height, width):
    """float32 [2, h, w]: x, then y, from -1 to 1."""
    ys, xs = (np.linspace(-1, 1, side, dtype=np.float32) for side in (height, width))
    return np.stack(np.broadcast_arrays(xs, ys[:, None]))


def run(net, image):
    """[array] of the outputs for float32 [3, H, W]."""
    extractor = net.create_extractor()
    for name in net.input_names():
        value = image
        if name.startswith("coordinates/"):
            value = coordinates(*(side // int(name[12:]) for side in image.shape[1:]))
        mat = ncnn.Mat(*value.shape[::-1])
        np.asarray(mat)[:] = value
        extractor.input(name, mat)
    return [np.array(extractor.extract(name)[1]) for name in net.output_names()]


def measure(name, net, image, expected=None):
    """Print the time of a network and its distance from `expected`; returns its outputs."""
    outputs, times = run(net, image), []
    for _ in range(RUNS):
        started = time.perf_counter()
        run(net, image)
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
    expected = measure("processor, float32", open_network(folder), image)
    if int(device) >= ncnn.get_gpu_count():
        sys.exit(f"error: there is no Vulkan device {device}: ncnn sees {ncnn.get_gpu_count()}")
    name = ncnn.get_gpu_info(int(device)).device_name()
    for half in (False, True):
        precision = "half" if half else "float32"
        measure(f"{name}, {precision}", open_network(folder, int(device), half), image, expected)


if __name__ == "__main__":
    main()
