"""Checks that test_distributed.py runs in two processes: python -m paddle.distributed.launch ..."""
from tools.runtime import configure

configure()

import numpy as np
import paddle
import pytest

from config import get_config
from model.losses import solov2_loss
from model.solov2 import build_solov2
from model.targets import build_targets
from tests.builders import TINY
from tools.distributed import (
    all_gather,
    all_reduce,
    all_reduce_gradients,
    broadcast,
    get_rank,
    start,
    together,
)
from tools.errors import UserError
from tools.training.gradients import add_gradients, split_batch
from tools.training.sync_norm import synchronize_norms

SHARES = ((0, 2, 4), (2, 3, 6))         # of each rank: first and last image, height of its maps


def norm_and_maps():
    """A BatchNorm with random scale and shift, and a list of random maps [1, 3, H, 5]."""
    rng = np.random.default_rng(3)
    norm = paddle.nn.Sequential(paddle.nn.BatchNorm2D(3))
    for tensor in norm.state_dict().values():
        tensor.set_value(rng.uniform(0.5, 2, tensor.shape).astype(np.float32))
    maps = [paddle.to_tensor(rng.normal(2, 3, (1, 3, height, 5)).astype(np.float32))
            for first, last, height in SHARES for _ in range(first, last)]
    return norm, maps


def forward_backward(norm, maps):
    """Maps that are normalised together, [1, 3, pixels, 1], with their gradient, and the output."""
    flat = paddle.concat([image.flatten(2) for image in maps], axis=2).unsqueeze(3)
    flat.stop_gradient = False
    output = norm(flat)
    (output * output * output).sum().backward()
    return flat, output


def check_norm(rank):
    """Against a BatchNorm of all maps: output, gradients and running statistics."""
    first, last, _ = SHARES[rank]
    single, maps = norm_and_maps()
    flat, output = forward_backward(single, maps)
    shared, _ = norm_and_maps()
    names = list(shared.state_dict())
    synchronize_norms(shared)
    assert list(shared.state_dict()) == names
    own_flat, own_output = forward_backward(shared, maps[first:last])
    all_reduce_gradients(shared.parameters())

    pixels = np.cumsum([0, *(image.shape[2] * image.shape[3] for image in maps)])
    own = slice(pixels[first], pixels[last])
    pairs = [(own_output, output[:, :, own]), (own_flat.grad, flat.grad[:, :, own]),
             (shared[0].weight.grad, single[0].weight.grad),
             (shared[0].bias.grad, single[0].bias.grad),
             (shared[0]._mean, single[0]._mean), (shared[0]._variance, single[0]._variance)]
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=2e-5, atol=1e-4)
    shared.eval()
    single.eval()
    np.testing.assert_allclose(shared(maps[0]).numpy(), single(maps[0]).numpy(), rtol=1e-5)
    shared.train()
    for parameter in shared.parameters():
        parameter.stop_gradient = True               # a recipe may freeze scale and shift
    frozen_flat, _ = forward_backward(shared, maps[first:last])
    np.testing.assert_array_equal(frozen_flat.grad.numpy(), own_flat.grad.numpy())


def rectangles(cfg, counts):
    """A batch of random images with `counts` rectangles each."""
    rng, objects = np.random.default_rng(5), []
    for count in counts:
        masks = np.zeros((count, 96, 96), bool)
        corners = rng.integers(0, 50, (count, 2))
        for mask, (top, left) in zip(masks, corners, strict=True):
            mask[top:top + 40, left:left + 30] = True
        boxes = np.stack([corners[:, 1], corners[:, 0], corners[:, 1] + 30, corners[:, 0] + 40], 1)
        objects.append((masks, boxes.astype(np.float32), rng.integers(0, 6, count)))
    targets = build_targets(objects, (96, 96), cfg.num_grids, cfg.scale_ranges)
    rows = np.bincount(targets["object_images"][targets["cell_masks"]], minlength=len(counts))
    images = rng.standard_normal((len(counts), 3, 96, 96)).astype(np.float32)
    return {"images": paddle.to_tensor(images), "rows_per_image": rows.tolist(),
            **{name: paddle.to_tensor(array) for name, array in targets.items()}}


def losses_and_gradients(model, losses):
    """Host copies; the gradients are cleared."""
    values = {name: p.grad.numpy() for name, p in model.named_parameters() if p.grad is not None}
    for parameter in model.parameters():
        parameter.clear_gradient(set_to_zero=False)
    return [float(loss) for loss in losses], values


def check_gradients(rank, counts, **settings):
    """Against the loss of all images (or the mean of the processes' losses) in one process."""
    cfg = get_config("quickstart", freeze_norm_statistics=True, frozen_stages=1, **TINY, **settings)
    paddle.seed(rank)
    model = build_solov2(cfg)
    broadcast(model)
    model.train()
    batch = rectangles(cfg, counts)
    shares = split_batch(batch, 2)
    added = add_gradients(cfg, model, paddle.amp.GradScaler(enable=False), shares[rank])
    losses, gradients = losses_and_gradients(model, all_reduce(added))
    expected = paddle.zeros([2])
    for part in [batch] if cfg.normalize_over_processes else shares:
        pair = solov2_loss(model(part["images"]), part, part["rows_per_image"])
        pair = paddle.stack([pair["mask"], pair["category"]])
        expected += pair if cfg.normalize_over_processes else pair / 2
    expected.sum().backward()
    expected_losses, expected_gradients = losses_and_gradients(model, expected)
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-5)
    assert gradients.keys() == expected_gradients.keys() and len(gradients) > 50
    for name, gradient in expected_gradients.items():
        largest = np.abs(gradient).max()
        np.testing.assert_allclose(gradients[name], gradient, rtol=1e-3, atol=1e-4 * largest,
                                   err_msg=name)


def main():
    start("auto")
    rank = get_rank()
    assert all_reduce(paddle.to_tensor([1.0, rank])).tolist() == [2, 1]
    assert all_gather("x" * 1000 * rank) == ["", "x" * 1000]
    with together():
        pass
    with pytest.raises(UserError, match="^what rank 1 saw$"), together():
        if rank == 1:
            raise UserError("what rank 1 saw")
    check_norm(rank)
    check_gradients(rank, (3, 1, 0, 2), accumulate_steps=2)
    check_gradients(rank, (3, 2, 0, 0))
    check_gradients(rank, (3, 2, 1, 0), normalize_over_processes=False)
    print("checked")


if __name__ == "__main__":
    main()
