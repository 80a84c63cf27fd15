"""What a benchmark can run on without data or trained weights."""
import cv2
import numpy as np
import paddle

from model.instances import Instances
from model.solov2 import build_solov2
from tools.data.transforms import Preprocess, pad_to_divisor
from tools.weights.weights_file import meta_of, save_weights, to_arrays

CANDIDATES = 500               # cells above the score threshold, with random weights
COVERAGE = 0.1                 # part of the map that a random mask covers
LOGIT_SPREAD = 4.0             # deviation of the mask logits: decided masks, like trained ones


def photograph(size):
    """uint8 [H, W, 3]: noise on all scales."""
    rng = np.random.default_rng(0)
    image = np.zeros((*size, 3), np.float32)
    for cells in (4, 16, 64, 256):
        coarse = rng.normal(size=(cells, cells, 3)).astype(np.float32)
        image += cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)
    return cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


@paddle.no_grad()
def random_weights(cfg, image, path):
    """Write weights that draw about CANDIDATES masks on `image`; returns the path.

    Random ones find nothing.  The last biases and the scale of the kernels are set so that the
    post-processing has to work.
    """
    paddle.seed(0)
    model = build_solov2(cfg)
    model.eval()
    tensor, _ = Preprocess(cfg)(image)
    outputs = model(paddle.to_tensor(pad_to_divisor([tensor], cfg.size_divisor)))
    logits = paddle.concat([level.flatten() for level in outputs["category_logits"]])
    threshold = np.log(cfg.score_threshold / (1 - cfg.score_threshold))
    highest = paddle.topk(logits, min(CANDIDATES, logits.size))[0][-1]
    bias = model.head.category_pred.bias
    bias.set_value(bias + (float(threshold) - float(highest)))
    features = outputs["mask_features"][0].flatten(1)                                # [E, P]
    kernels = outputs["kernels"][0][0].flatten(1).t()                                # [S * S, E]
    kernels = kernels * (LOGIT_SPREAD / (kernels @ features).std())
    shift = np.quantile((kernels @ features).numpy(), 1 - COVERAGE) / float(features.sum(0).mean())
    weight, bias = model.head.kernel_pred.weight, model.head.kernel_pred.bias
    scale = kernels.std() / outputs["kernels"][0].std()
    weight.set_value(weight * scale)
    bias.set_value(paddle.full_like(bias, -float(shift)))
    classes = [f"class {number}" for number in range(cfg.num_classes)]
    save_weights(path, to_arrays(model.state_dict()), meta_of(cfg, classes, family="own"))
    return path


def disks(cfg, map_size, count):
    """Raw outputs in which `count` cells draw disks of 2 to 8 % of the map, all to be kept."""
    rng = np.random.default_rng(0)
    height, width = map_size
    channels, cells = cfg.kernel_channels, cfg.num_grids[0] ** 2
    ys, xs = np.indices(map_size, np.float32)
    features = np.empty((1, channels, height, width), np.float32)
    for channel in features[0]:
        radius = np.sqrt(rng.uniform(0.02, 0.08) * height * width / np.pi)
        distance = np.hypot(ys - rng.uniform(0, height), xs - rng.uniform(0, width))
        channel[:] = np.clip(8 * (1 - distance / radius), -8, 8)
    logits = [np.full((1, cfg.num_classes, side, side), -9, np.float32) for side in cfg.num_grids]
    kernels = [np.zeros((1, channels, side, side), np.float32) for side in cfg.num_grids]
    drawn = np.linspace(0, cells - 1, count).astype(int)
    logits[0].reshape(cfg.num_classes, cells)[np.arange(count) % cfg.num_classes, drawn] = 3
    kernels[0].reshape(channels, cells)[np.arange(count) % channels, drawn] = 1
    return {"category_logits": logits, "kernels": kernels, "mask_features": features}


def moving_blocks(count, frames, size=(720, 1280), block=(120, 90)):
    """List of Instances of `count` blocks that move straight on, overlapping here and there."""
    rng = np.random.default_rng(0)
    places = rng.integers(0, np.subtract(size, block) - 2 * frames, (count, 2)) + frames
    steps = rng.integers(-1, 2, (count, 2))
    mask = np.ones(block, bool)
    return [Instances(np.full(count, 0.9), np.arange(count) % 6,
                      [(top, left, mask) for top, left in (places + frame * steps).tolist()], size)
            for frame in range(frames)]
