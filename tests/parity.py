"""Comparing our network with what the original projects computed: shared by the golden tests."""
from pathlib import Path

import numpy as np
import paddle

from config import get_config
from convert.converter import convert
from convert.readers import Source
from model.decode import Decoder
from model.solov2 import build_solov2
from tests.golden_data import unpack
from tools.data.transforms import Preprocess, pad_to_divisor
from tools.weights.weights_file import config_of, load_arrays

# Every nth channel of these outputs is stored; the first fitting beginning of a name decides.
EVERY = {"category": 1, "c": 16, "p": 16, "kernels": 8, "mask": 4}
EVERY_COMPACT = {"category": 16, "c": 64, "p": 64, "kernels": 32, "mask": 64}
NOISE = 1e-5               # rows closer in score than this may change places


def convert_tensors(name, arrays):
    """(Conversion, config as the predictor sees it) of a checkpoint given as {name: array}."""
    result = convert(Source(Path(name), "memory", "0", arrays))
    return result, config_of(get_config(result.config), result.meta, name)


def network_of(name, arrays):
    """(network in eval mode, config, Conversion) of a checkpoint given as {name: array}."""
    result, cfg = convert_tensors(name, arrays)
    model = build_solov2(cfg)
    load_arrays(model, result.arrays, name)
    model.eval()
    return model, cfg, result


def decoder_of(cfg):
    return Decoder(cfg.strides, cfg.score_threshold, cfg.mask_threshold, cfg.max_candidates,
                   cfg.nms_kernel, cfg.nms_sigma, cfg.update_threshold, cfg.max_per_image)


def relative_errors(model, images, data, every):
    """(raw outputs, {tensor: largest error relative to its standard deviation}).

    images: float32 [1, 3, H, W].  `every`: which channels of each tensor `data` holds.
    """
    images = paddle.to_tensor(images)
    with paddle.no_grad():
        outputs, features = model(images), model.features(images)
    tensors = {**features, "mask_features": outputs["mask_features"]}
    for level in range(5):
        tensors[f"category_logits_{level}"] = outputs["category_logits"][level]
        tensors[f"kernels_{level}"] = outputs["kernels"][level]
    errors = {}
    for name, tensor in tensors.items():
        step = next(n for start, n in every.items() if name.startswith(start))
        ours = tensor.numpy()[:, ::step].astype(np.float64)
        assert ours.shape == data[name].shape
        errors[name] = float(np.abs(ours - data[name]).max() / data[f"{name}_stats"][1])
    return outputs, errors


def resized_input(cfg, data):
    """(network input [1, 3, H, W], resized size) of an already resized RGB image."""
    image = Preprocess(cfg).normalizer.normalize(
        np.ascontiguousarray(data["resized_image"][..., ::-1]))
    size = tuple(int(side) for side in data["resized_size"])
    return pad_to_divisor([image.transpose(2, 0, 1)], 32), size


def input_from_pixels(cfg, data):
    """Network input and resized size from the uint8 image that the golden file holds."""
    if "original_image" not in data:
        return resized_input(cfg, data)
    preprocess = Preprocess(cfg.replace(test_short_side=128, test_max_side=170))
    image, size = preprocess(np.ascontiguousarray(data["original_image"][..., ::-1]))
    np.testing.assert_allclose(size, data["resized_size"], rtol=1e-5)
    return pad_to_divisor([image], 32), size


def final_rows(instances, data):
    """(relative score differences per row, share of mask pixels that differ); labels must agree."""
    labels, scores = data["labels"], data["scores"]
    assert len(instances) == len(labels)
    order = np.arange(len(labels))
    for i in range(len(labels) - 1):                     # undo swaps of equal scores
        near = abs(scores[i] - scores[i + 1]) < NOISE
        if instances.class_indices[order[i]] != labels[i] and near:
            order[i], order[i + 1] = order[i + 1], order[i]
    np.testing.assert_array_equal(instances.class_indices[order], labels)
    masks = unpack(data, "masks")
    differ = np.count_nonzero(instances.masks[order] != masks) / masks.size
    return np.abs(instances.scores[order] / scores - 1), differ


def best_matches(instances, data):
    """(found, others) when each golden row takes the best unused instance of its label.

    found: rows with IoU >= 0.99 and a score within 2e-3.  others: instances that no row took.
    """
    theirs, used, found = unpack(data, "masks"), set(), 0
    ours = instances.masks.reshape(len(instances), -1)
    for mask, label, score in zip(theirs, data["labels"], data["scores"], strict=True):
        candidates = [i for i in np.flatnonzero(instances.class_indices == label) if i not in used
                      and abs(instances.scores[i] - score) < 2e-3]
        ious = [(iou(ours[i], mask.ravel()), i) for i in candidates]
        if ious and max(ious)[0] >= 0.99:
            used.add(max(ious)[1])
            found += 1
    return found, len(instances) - len(used)


def iou(a, b):
    return np.count_nonzero(a & b) / max(np.count_nonzero(a | b), 1)
