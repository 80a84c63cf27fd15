"""Time of a training step on random images and objects, part by part, and its arithmetic."""
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import paddle.nn as nn

from model.layers import DeformConv
from tools.cores import available_cores
from tools.data.augment import train_transforms
from tools.data.loader import Collate, as_tensors
from tools.runtime import synchronize
from tools.training.start import start_training

LOADER_PARTS = ("data", "targets")     # in training, the reader processes do these meanwhile
STEP_PARTS = ("forward", "loss", "backward", "exchange", "update")
WARM_UP = 2                            # steps that are not counted


def random_sample(rng, size, count):
    """A training sample (see transforms.py) of noise and `count` rectangles; (height, width)."""
    height, width = size
    masks, boxes = np.zeros((count, height, width), bool), np.zeros((count, 4), np.float32)
    for mask, box in zip(masks, boxes, strict=True):
        h, w = rng.integers(height // 8, height // 2), rng.integers(width // 8, width // 2)
        top, left = rng.integers(0, height - h), rng.integers(0, width - w)
        mask[top:top + h, left:left + w] = True
        box[:] = left, top, left + w, top + h
    return {"image": rng.integers(0, 256, (height, width, 3), np.uint8), "masks": masks,
            "boxes": boxes, "class_indices": np.zeros(count, np.int64)}


class TrainStep:
    """A run's own step (Trainer.train_step) on a batch of noise of `size`, part by part.

    The images are read at 4/5 of that size and enlarged.
    """

    def __init__(self, cfg, batch_size, size, objects_per_image):
        cfg = cfg.replace(train_short_sides=(min(size),), train_max_side=max(size))
        self.rng, self.transform = np.random.default_rng(0), train_transforms(cfg)
        source = [side * 4 // 5 for side in size]
        self.samples = [random_sample(self.rng, source, objects_per_image)
                        for _ in range(batch_size)]
        self.collate = Collate(cfg)
        self.trainer = start_training(cfg, num_steps=1, make_batches=lambda first, end: (),
                                      say=lambda text: None)
        self.model = self.trainer.model
        self.model.train()

    def run(self):
        """{part: seconds} of one step; its rate is that of step 0, the start of the warm-up."""
        clock = Clock()
        samples = [self.transform(sample, self.rng) for sample in self.samples]
        samples = [{**sample, "broken": (), "image_id": 0, "file_name": "noise"}
                   for sample in samples]
        clock.mark("data")
        batch = self.collate(samples)
        clock.mark("targets")
        batch = as_tensors(batch)
        clock.restart()
        self.trainer.after = clock.mark
        self.trainer.train_step(batch)
        return clock.seconds


class Clock:
    """Seconds between marks, with the device's work finished at each."""

    def __init__(self):
        self.seconds = {}
        self.restart()

    def restart(self):
        synchronize()
        self.last = time.perf_counter()

    def mark(self, part):
        synchronize()
        now = time.perf_counter()
        self.seconds[part] = self.seconds.get(part, 0.0) + now - self.last
        self.last = now


def time_steps(cfg, batch_size, size, steps, objects_per_image=8):
    """({part: seconds [steps]}, {"forward", "backward": floating-point operations}).

    "step" is the sum of STEP_PARTS.
    """
    step = TrainStep(cfg, batch_size, size, objects_per_image)
    operations = count_operations(step.model, step.run)
    records = [step.run() for _ in range(steps + WARM_UP - 1)][WARM_UP - 1:]
    times = {part: [record[part] for record in records] for part in LOADER_PARTS + STEP_PARTS}
    times["step"] = [sum(record[part] for part in STEP_PARTS) for record in records]
    return times, operations


def count_operations(model, run):
    """Floating-point operations of the convolutions in one call of `run`, 2 per multiply-add.

    The backward pass has a product for each weight that learns and one for each input that needs a
    gradient, so that frozen stages count once and without one.
    """
    operations = {"forward": 0, "backward": 0}

    def count(layer, inputs, output):
        products = 2 * int(np.prod(output.shape)) * int(np.prod(layer.weight.shape[1:]))
        operations["forward"] += products
        operations["backward"] += products * ((not layer.weight.stop_gradient)
                                              + (not inputs[0].stop_gradient))

    hooks = [layer.register_forward_post_hook(count) for layer in model.sublayers()
             if isinstance(layer, (nn.Conv2D, DeformConv))]
    run()
    for hook in hooks:
        hook.remove()
    return operations


def sgemm_rate(size=2048, repeats=5):
    """Floating-point operations per second of numpy's float32 matrix product on all cores.

    The best of some repetitions; a product per core, since numpy uses one thread for each.
    """
    matrix, best, cores = np.ones((size, size), np.float32), np.inf, available_cores()
    with ThreadPoolExecutor(cores) as pool:
        for _ in range(repeats):
            started = time.perf_counter()
            list(pool.map(matrix.__matmul__, [matrix] * cores))
            best = min(best, time.perf_counter() - started)
    return cores * 2 * size ** 3 / best
