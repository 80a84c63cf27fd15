"""Time of a training step on random images and objects: forward, loss, backward, update."""
import time

import numpy as np
import paddle

from model.losses import solov2_loss
from model.solov2 import build_solov2
from model.targets import build_targets
from tools.runtime import synchronize
from tools.training.loop import TARGET_TENSORS
from tools.training.optimizer import build_optimizer

PARTS = ("targets", "forward", "loss", "backward", "update")


def random_objects(rng, size, count):
    """(masks bool [I, H, W], boxes [I, 4], class indices [I]) of `count` rectangles."""
    height, width = size
    masks, boxes = np.zeros((count, height, width), bool), np.zeros((count, 4), np.float32)
    for mask, box in zip(masks, boxes, strict=True):
        h, w = rng.integers(height // 8, height // 2), rng.integers(width // 8, width // 2)
        top, left = rng.integers(0, height - h), rng.integers(0, width - w)
        mask[top:top + h, left:left + w] = True
        box[:] = left, top, left + w, top + h
    return masks, boxes, np.zeros(count, np.int64)


def time_steps(cfg, batch_size, size, steps, objects_per_image=8):
    """{part: seconds [steps]} of training steps after two uncounted ones; "step" is the whole."""
    rng = np.random.default_rng(0)
    paddle.seed(0)
    model = build_solov2(cfg)
    model.train()
    optimizer = build_optimizer(cfg, model)
    optimizer.set_lr(1e-6)
    images = paddle.to_tensor(rng.standard_normal((batch_size, 3, *size)).astype(np.float32))
    objects = [random_objects(rng, size, objects_per_image) for _ in range(batch_size)]
    records = [one_step(cfg, model, optimizer, images, objects, size) for _ in range(steps + 2)][2:]
    times = {part: [record[index] for record in records] for index, part in enumerate(PARTS)}
    return {**times, "step": [sum(record) for record in records]}


def one_step(cfg, model, optimizer, images, objects, size):
    """Seconds of each of PARTS."""
    marks = [time.perf_counter()]
    targets = build_targets(objects, size, cfg.num_grids, cfg.scale_ranges, cfg.center_region)
    rows = np.bincount(targets["object_images"][targets["cell_masks"]],
                       minlength=len(objects)).tolist()
    marks.append(time.perf_counter())
    outputs = model(images)
    synchronize()
    marks.append(time.perf_counter())
    tensors = {key: paddle.to_tensor(targets[key]) for key in TARGET_TENSORS}
    losses = solov2_loss(outputs, tensors, rows)
    loss = losses["mask"] + losses["category"]
    synchronize()
    marks.append(time.perf_counter())
    loss.backward()
    synchronize()
    marks.append(time.perf_counter())
    optimizer.step()
    optimizer.clear_grad()
    synchronize()
    marks.append(time.perf_counter())
    return np.diff(marks).tolist()
