"""Gradients of one step: forward pass, loss and backward pass, in parts and over all processes."""
import paddle

from model.losses import positive_counts, solov2_loss
from tools.distributed import all_reduce, all_reduce_gradients, get_world_size

TARGET_TENSORS = ("category_targets", "cells", "cell_masks", "object_masks")


def add_gradients(cfg, model, scaler, batch, after=lambda part: None):
    """Leave the gradients of a step, over all processes, in the parameters.

    batch: this process's share of the images of the step, as the loader makes it.
    after: called with "forward", "loss", "backward" and "exchange" when that part is over.
    Returns what this share adds to the losses of the step, float32 [mask, category].  The
    gradients are multiplied by the scale of `scaler`.
    """
    counts, share = positive_counts(batch), 1.0
    if cfg.normalize_over_processes:
        counts = all_reduce(counts)
    else:
        share /= get_world_size()
    step_losses = paddle.zeros([2])
    for part in split_batch(batch, cfg.accumulate_steps):
        with paddle.amp.auto_cast(enable=cfg.amp):
            outputs = model(part["images"])
        after("forward")
        losses = solov2_loss(outputs, part, part["rows_per_image"], cfg.mask_loss_weight,
                             cfg.focal_alpha, cfg.focal_gamma, counts)
        losses = share * paddle.stack([losses[key].reshape([]) for key in ("mask", "category")])
        after("loss")
        scaler.scale(losses.sum()).backward()
        step_losses += losses.detach()
        after("backward")
    all_reduce_gradients(model.parameters())
    after("exchange")
    return step_losses


def split_batch(batch, parts):
    """A batch as `parts` batches of equally many images, each with its own targets."""
    if parts == 1:
        return [batch]
    size, start, batches = len(batch["rows_per_image"]) // parts, 0, []
    num_cells = batch["category_targets"].shape[1]
    for first in range(0, parts * size, size):
        images = slice(first, first + size)
        rows = batch["rows_per_image"][images]
        pairs = slice(start, start + sum(rows))
        start = pairs.stop
        batches.append({"images": batch["images"][images], "rows_per_image": rows,
                        "category_targets": batch["category_targets"][images],
                        "cells": batch["cells"][pairs] - first * num_cells,
                        "cell_masks": batch["cell_masks"][pairs],
                        "object_masks": batch["object_masks"]})
    return batches
