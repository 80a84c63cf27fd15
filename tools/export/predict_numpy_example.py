"""Segment one image with an exported network; needs numpy and the engine, none of this project.

  python predict_numpy_example.py exported_folder photo.ppm         ncnn or OpenVINO, as exported
  python predict_numpy_example.py exported_folder photo.ppm bf16    OpenVINO, rounded to 16 bits

photo: binary .ppm or .pgm, or .npy (uint8 [h, w, 3], BGR); other files where opencv is installed.
The export holds the network; what comes after it is below, in float32.
"""
import json
import os
import re
import sys

import numpy as np

LEVELS = 5


def load_ncnn(folder):
    """run(images float32 [1, 3, H, W]) -> {output: array}."""
    network, head = (open_net(f"{folder}/{name}") for name in ("network", "head"))

    def run(images):
        inputs = {"images": images[0]}
        for name in network.input_names():
            if name.startswith("coordinates/"):              # of the pixels of a feature map
                inputs[name] = coordinates(*(side // int(name[12:]) for side in images.shape[2:]))
        levels = [f"level_{level}" for level in range(LEVELS)]
        outputs = run_net(network, inputs, [*levels, "mask_features"])
        for number, level in enumerate(levels):              # the head is the same for all
            found = run_net(head, {"level": outputs[level]}, ["category_logits", "kernels"])
            outputs.update({f"{name}_{number}": value for name, value in found.items()})
        return {name: outputs[name] for name in output_names()}
    return run


def open_net(path):
    import ncnn

    net = ncnn.Net()
    net.opt.use_bf16_storage = net.opt.use_fp16_packed = False
    net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    if net.load_param(f"{path}.param") or net.load_model(f"{path}.bin"):
        sys.exit(f"ncnn cannot read '{path}.param' and '{path}.bin'")
    return net


def run_net(net, inputs, names):
    """{name: array} of the outputs with these names."""
    import ncnn

    extractor = net.create_extractor()
    for name, value in inputs.items():
        mat = ncnn.Mat(*value.shape[::-1])
        np.asarray(mat)[:] = value
        extractor.input(name, mat)
    return {name: np.array(extractor.extract(name)[1]) for name in names}


def coordinates(height, width):
    """float32 [2, h, w]: x, then y, from -1 to 1."""
    ys, xs = (np.linspace(-1, 1, side, dtype=np.float32) for side in (height, width))
    return np.stack(np.broadcast_arrays(xs, ys[:, None]))


def load_openvino(folder, precision="f32"):
    import openvino

    network = openvino.compile_model(f"{folder}/network.xml", "CPU",
                                     {"INFERENCE_PRECISION_HINT": precision})

    def run(images):
        return {name: value[0] for name, value in zip(output_names(), network(images).values(),
                                                      strict=True)}
    return run


def output_names():
    return [*(f"category_logits_{level}" for level in range(LEVELS)),
            *(f"kernels_{level}" for level in range(LEVELS)), "mask_features"]


def load(folder, *precision):
    """(run, about): the network, and what it is for."""
    with open(f"{folder}/solov2.json", encoding="utf-8") as file:
        about = json.load(file)
    if os.path.exists(f"{folder}/network.param"):
        if precision:
            sys.exit(f"{precision[0]} is for OpenVINO, '{folder}' holds a network for ncnn")
        return load_ncnn(folder), about
    return load_openvino(folder, *precision), about


def read_image(path):
    """uint8 [h, w, 3] BGR, or [h, w] grey."""
    if path.lower().endswith(".npy"):
        return np.load(path)
    if path.lower().endswith((".ppm", ".pgm")):
        return read_netpbm(path)
    import cv2

    image = cv2.imread(path)
    return sys.exit(f"'{path}' is not an image that OpenCV can read") if image is None else image


def read_netpbm(path):
    """uint8 [h, w, 3] BGR of a binary .ppm file, [h, w] of a .pgm file."""
    with open(path, "rb") as file:
        content = file.read()
    header = re.match(rb"P([56])" + 3 * rb"(?:\s|#[^\n]*\n)+(\d+)" + rb"\s", content)
    if not header or int(header[4]) > 255:
        sys.exit(f"'{path}': expected a binary .ppm or .pgm file of 8 bits")
    channels, width, height = 3 if header[1] == b"6" else 1, int(header[2]), int(header[3])
    pixels = np.frombuffer(content, np.uint8, channels * width * height, header.end())
    return pixels.reshape(height, width, channels)[..., ::-1]


def three_channels(image):
    """uint8 [h, w, 3] of a grey image, [h, w] or [h, w, 1], or of one with alpha, [h, w, 4]."""
    image = image[..., None] if image.ndim == 2 else image
    return np.repeat(image, 3, 2) if image.shape[2] == 1 else image[..., :3]


def resize(image, size, factor=None):
    """float32 [h, w, ...] -> [*size, ...], bilinear with half-pixel centres."""
    for axis, new in enumerate(size):
        lower, upper, weight = neighbours(image.shape[axis], new, factor)
        weight = weight.astype(np.float32)
        weight = weight.reshape([-1 if other == axis else 1 for other in range(image.ndim)])
        below, above = (image.take(index, axis) for index in (lower, upper))
        image = below + (above - below) * weight
    return image


def resize_pixels(image, size, factor=None):
    """The same of uint8 [h, w, 3], rounded step by step as OpenCV does."""
    image = image.astype(np.int32)
    lower, upper, weight = neighbours(image.shape[1], size[1], factor)
    weight = np.rint(2048 * weight).astype(np.int32)[:, None]
    image = (image[:, lower] * (2048 - weight) + image[:, upper] * weight) >> 4
    lower, upper, weight = neighbours(image.shape[0], size[0], factor)
    weight = np.rint(2048 * weight).astype(np.int32)[:, None, None]
    return ((image[lower] * (2048 - weight) >> 16) + (image[upper] * weight >> 16) + 2) >> 2


def neighbours(old, new, factor):
    """For each of `new` pixels the two of `old` around it, and the weight of the second.

    factor: the exact one, where the new size was rounded; default: the ratio of the sizes.
    """
    position = np.clip((np.arange(new) + 0.5) / (factor or new / old) - 0.5, 0, old - 1)
    lower = position.astype(int)
    return lower, np.minimum(lower + 1, old - 1), position - lower


def normalize(image, about):
    if about["channel_order"] == "rgb":
        image = image[:, :, ::-1]
    return (image - np.float32(about["pixel_mean"])) / np.float32(about["pixel_std"])


def preprocess(image, about):
    """uint8 [h, w, 3] BGR -> (float32 [1, 3, H, W], (height, width) before padding)."""
    sides, factor = image.shape[:2], None
    scale = min(about["test_short_side"] / min(sides), about["test_max_side"] / max(sides))
    size = cut = [max(1, int(side * scale + 0.5)) for side in sides]
    if about["resized_size_rule"] == "fractional":             # of PaddleDetection 2.2
        exact = [max(1.0, side * scale) for side in sides]
        size, cut = [round(side) for side in exact], [int(side) for side in exact]
        factor = scale if min(exact) > 1 else None
    if about["normalize_first"]:
        image = resize(normalize(image, about), size, factor)
    else:
        image = normalize(resize_pixels(image, size, factor).astype(np.float32), about)
    down, right = (-side % about["size_divisor"] for side in size)
    padded = np.pad(image, ((0, down), (0, right), (0, 0)))
    return np.ascontiguousarray(padded.transpose(2, 0, 1)[None], np.float32), cut


def sigmoid(values):
    return 1 / (1 + np.exp(-np.clip(values, -80, 80)))


def flat(outputs, name):
    """The levels of an output, [X, S, S] each, as one [X, cells]."""
    levels = [outputs[f"{name}_{level}"] for level in range(LEVELS)]
    return levels, np.concatenate([level.reshape(len(level), -1) for level in levels], 1)


def peaks(scores):
    """[C, S, S], 0 where the left, upper or upper-left neighbour scores higher."""
    padded = np.pad(scores, ((0, 0), (1, 0), (1, 0)))
    highest = np.max([padded[:, i:i + scores.shape[1], j:j + scores.shape[2]]
                      for i in (0, 1) for j in (0, 1)], 0)
    return np.where(scores == highest, scores, 0)


def decode(outputs, about):
    """Scores [I], class indices [I] and mask probabilities [I, H/4, W/4], the best first."""
    logits, _ = flat(outputs, "category_logits")
    scores = np.concatenate([peaks(sigmoid(level)).reshape(len(level), -1) for level in logits], 1)
    classes, cells = np.nonzero(scores > about["score_threshold"])
    scores = scores[classes, cells]
    strides = np.repeat(about["strides"], [level[0].size for level in logits])[cells]
    kernels, features = flat(outputs, "kernels")[1].T[cells], outputs["mask_features"]
    probs = sigmoid(kernels @ features.reshape(len(features), -1))                   # [K, P]
    binary = probs > about["mask_threshold"]
    area = binary.sum(1)
    scores = scores * (probs * binary).sum(1) / np.maximum(area, 1)                  # maskness
    order = np.argsort(-scores, kind="stable")
    order = order[area[order] > strides[order]][:about["max_candidates"]]
    scores = scores[order] * decay(binary[order], classes[order], about)
    best = np.argsort(-scores, kind="stable")[:about["max_per_image"]]
    best = best[scores[best] >= about["update_threshold"]]
    return scores[best], classes[order[best]], probs[order[best]].reshape(-1, *features.shape[1:])


def decay(binary, classes, about):
    """Matrix NMS: what the overlap with better masks of the class leaves of each score."""
    masks = binary.astype(np.float32)
    shared, area = masks @ masks.T, masks.sum(1)
    iou = shared / np.maximum(area[:, None] + area - shared, 1)
    iou = np.triu(iou * (classes[:, None] == classes), 1)
    covered = iou.max(0, initial=0)[:, None]
    if about["nms_kernel"] == "gaussian":
        factors = np.exp(about["nms_sigma"] * (covered ** 2 - iou ** 2))
    else:
        factors = (1 - iou) / np.maximum(1 - covered, 1e-9)
    return factors.min(0, initial=1)


def predict(run, about, image):
    """Scores, class indices and masks bool [I, h, w] in a uint8 [h, w, 3] BGR image (or grey)."""
    images, size = preprocess(three_channels(image), about)
    scores, classes, probs = decode(run(images), about)
    masks = np.zeros((len(scores), *image.shape[:2]), bool)
    for mask, values in zip(masks, probs, strict=True):
        larger = resize(values, [4 * side for side in values.shape])[:size[0], :size[1]]
        mask[:] = resize(larger, image.shape[:2]) > about["mask_threshold"]
    return scores, classes, masks


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    folder, photo, *precision = sys.argv[1:]
    run, about = load(folder, *precision)
    for score, index, mask in zip(*predict(run, about, read_image(photo)), strict=True):
        print(f"{about['class_names'][index]:20s} score {score:.3f}  {mask.sum()} pixels")


if __name__ == "__main__":
    main()
