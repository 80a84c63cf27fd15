"""Focal loss of the categories and Dice loss of the masks.

SOLOv2, section 3.3, and equations 3 to 6 of SOLO.

N images, E kernel channels, C classes, T cells of an image over all levels, M positive (cell, mask)
pairs, O objects, P pixels of a mask at stride 4.

Both are sums divided by a count of positives.  The caller may give the counts of a larger batch, of
which these images are a part: the losses of the parts, and their gradients, then add up to its own.
"""
import paddle
import paddle.nn.functional as F
from paddle.autograd import PyLayer

CHUNK_ELEMENTS = 1 << 24       # of the mask logits that are held at a time: 64 MB


def solov2_loss(outputs, targets, rows_per_image, mask_weight=3.0, alpha=0.25, gamma=2.0,
                counts=None):
    """{"mask": scalar, "category": scalar}, computed in float32 whatever the outputs are.

    outputs: the raw outputs of the network.
    targets: `build_targets`' arrays as tensors.
    rows_per_image: N ints, how many of the M pairs belong to each image; pairs are in that order.
    counts: `positive_counts` of the whole batch; default those of `targets`.
    """
    counts = positive_counts(targets) if counts is None else counts
    category_logits = flatten_cells(outputs["category_logits"])                     # [N * T, C]
    kernels = flatten_cells(outputs["kernels"])                                     # [N * T, E]
    category_targets = targets["category_targets"].reshape([-1])                    # [N * T]
    category = category_loss(category_logits, category_targets, counts[0], alpha, gamma)
    mask = mask_loss(kernels, outputs["mask_features"].astype("float32"), targets, rows_per_image,
                     counts[1])
    return {"mask": mask_weight * mask, "category": category}


def positive_counts(targets):
    """float32 [2]: the positive cells, and the pairs whose target mask is not empty."""
    cells = (targets["category_targets"] >= 0).astype("float32").sum()
    if targets["cells"].shape[0] == 0:
        return paddle.stack([cells, paddle.zeros_like(cells)])
    present = targets["object_masks"].flatten(1).astype("bool").any(1).astype("float32")  # [O]
    return paddle.stack([cells, paddle.gather(present, targets["cell_masks"]).sum()])


def flatten_cells(levels):
    """Levels of [N, X, S, S] -> float32 [N * T, X]."""
    flat = paddle.concat([level.flatten(2) for level in levels], axis=2)            # [N, X, T]
    return flat.transpose([0, 2, 1]).reshape([-1, flat.shape[1]]).astype("float32")


def category_loss(logits, targets, num_cells, alpha, gamma, reduction="sum"):
    """Sigmoid focal loss (Lin et al. 2017), summed, over the number of positive cells + 1.

    targets: the class index of each cell, -1 for background.  reduction "none": the parts of the
    sum, of the shape of `logits`.
    """
    one_hot = F.one_hot(targets + 1, logits.shape[1] + 1)[:, 1:]
    return F.sigmoid_focal_loss(logits, one_hot, (num_cells + 1).reshape([1]), alpha, gamma,
                                reduction=reduction)


def mask_loss(kernels, mask_features, targets, rows_per_image, num_pairs):
    """Sum of the Dice losses of the pairs whose target mask is not empty, over their number.

    0 with an intact gradient if there are none.
    """
    if sum(rows_per_image) == 0:
        return 0.0 * (kernels.mean() + mask_features.mean())
    cell_kernels = paddle.gather(kernels, targets["cells"])                         # [M, E]
    object_masks = targets["object_masks"].flatten(1)                               # [O, P]
    loss, start = 0.0, 0
    for features, rows in zip(mask_features.flatten(2).unbind(0), rows_per_image, strict=True):
        if rows:
            pairs = slice(start, start + rows)
            loss = loss + DiceSum.apply(cell_kernels[pairs], features, object_masks,
                                        targets["cell_masks"][pairs])
            start += rows
    return loss / paddle.clip(num_pairs, min=1.0)


class DiceSum(PyLayer):
    """Sum of the Dice losses of the pairs of an image whose target mask is not empty.

    The gradient is computed with the loss, some rows at a time, so that memory is bounded: with the
    hundreds of objects of a crowded image a single float32 [M, P] takes more than a gigabyte.
    """

    @staticmethod
    def forward(ctx, kernels, features, object_masks, pair_masks):
        """kernels [M, E], features [E, P], object_masks [O, P] in 0..1, pair_masks int64 [M]."""
        losses, kernel_gradients, feature_gradient = [], [], paddle.zeros_like(features)
        rows = max(1, CHUNK_ELEMENTS // features.shape[1])
        for start in range(0, kernels.shape[0], rows):
            chunk = kernels[start:start + rows]
            masks = paddle.gather(object_masks, pair_masks[start:start + rows]).astype("float32")
            loss, gradient = dice_loss(chunk @ features, masks)
            losses.append(loss)
            kernel_gradients.append(paddle.matmul(gradient, features, transpose_y=True))
            feature_gradient += paddle.matmul(chunk, gradient, transpose_x=True)
        ctx.save_for_backward(paddle.concat(kernel_gradients), feature_gradient)
        return paddle.concat(losses).sum()

    @staticmethod
    def backward(ctx, gradient):
        kernel_gradient, feature_gradient = ctx.saved_tensor()
        return gradient * kernel_gradient, gradient * feature_gradient, None, None


def dice_loss(logits, masks):
    """1 - Dice coefficient per row and its gradient: [rows, P] x 2 -> [rows], [rows, P].

    Squared denominators, as in SOLO, equation 5; 0 where the mask is empty.
    """
    probs, area = F.sigmoid(logits), (masks * masks).sum(1, keepdim=True)
    denominator = (probs * probs).sum(1, keepdim=True) + 0.001 + area + 0.001       # [rows, 1]
    dice = 2 * (probs * masks).sum(1, keepdim=True) / denominator
    present = (area > 0).astype("float32")
    gradient = (dice * probs - masks) * probs * (1 - probs) * (2 * present / denominator)
    return (present * (1 - dice)).squeeze(1), gradient
