"""Checks that test_distributed.py runs in two processes: python -m paddle.distributed.launch ..."""
from tools.runtime import configure

configure()

import numpy as np
import paddle
import pytest

from tools.errors import UserError
from tools.training.distributed import gather, get_rank, start, together, total, total_gradients
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
    total_gradients(shared.parameters())

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


def main():
    start("auto")
    rank = get_rank()
    assert total(paddle.to_tensor([1.0, rank])).tolist() == [2, 1]
    assert gather("x" * 1000 * rank) == ["", "x" * 1000]
    with together():
        pass
    with pytest.raises(UserError, match="^what rank 1 saw$"), together():
        if rank == 1:
            raise UserError("what rank 1 saw")
    check_norm(rank)
    print("checked")


if __name__ == "__main__":
    main()
