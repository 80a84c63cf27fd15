"""Parameters and arithmetic of a config, part by part: python -m tools.summary --config N.

    python -m tools.summary --config 2 --size 512 864

Operations are those of the convolutions, two per multiply-add (papers often count one), for an
image of --size, by default the config's largest test size.  They are exact for any size: measured
at two small ones, since they grow with the area, and those of the heads' fixed grids do not.
"""
from tools.runtime import configure

configure()

import numpy as np
import paddle
import paddle.nn as nn

from model.layers import DeformConv
from model.solov2 import build_solov2
from tools.cli import build_parser, load_config, run
from tools.errors import UserError

SIDES = 64, 128                    # of the small images


def parameters_of(layer):
    """(all, trained) numbers of a layer's parameters; statistics of norms are none."""
    sizes = [(parameter.size, not parameter.stop_gradient)
             for name, parameter in layer.named_parameters()
             if not name.endswith(("_mean", "_variance"))]
    return sum(size for size, _ in sizes), sum(size for size, trained in sizes if trained)


def operations_at(model, side):
    """{part: operations} of the convolutions on a square image."""
    counts = dict.fromkeys((name for name, _ in model.named_children()), 0)

    def count_in(part):
        def count(layer, inputs, output):
            counts[part] += 2 * int(np.prod(output.shape)) * int(np.prod(layer.weight.shape[1:]))
        return count

    hooks = [layer.register_forward_post_hook(count_in(part))
             for part, child in model.named_children()
             for layer in child.sublayers(include_self=True)
             if isinstance(layer, (nn.Conv2D, DeformConv))]
    with paddle.no_grad():
        model(paddle.zeros([1, 3, side, side]))
    for hook in hooks:
        hook.remove()
    return counts


def operations(model, size):
    """{part: operations} on an image of `size` (height, width), multiples of 32."""
    model.eval()
    small, large = (operations_at(model, side) for side in SIDES)
    area, unit = size[0] * size[1] - SIDES[0] ** 2, SIDES[1] ** 2 - SIDES[0] ** 2
    return {part: small[part] + (large[part] - small[part]) * area / unit for part in small}


def padded(side, divisor):
    return -(-side // divisor) * divisor


def main(argv=None):
    parser = build_parser(__doc__)
    parser.add_argument("--size", type=int, nargs=2, metavar=("H", "W"),
                        help="pixels of the image, which is padded to a multiple of 32")
    args = parser.parse_args(argv)
    cfg = load_config(args)
    size = args.size or (cfg.test_short_side, cfg.test_max_side)
    if min(size) < 1:
        raise UserError(f"--size {size[0]} {size[1]}: expected at least 1 pixel")
    size = [padded(side, cfg.size_divisor) for side in size]
    model = build_solov2(cfg)
    counts = operations(model, size)
    print(f"config {cfg.name}, {cfg.num_classes} classes, image {size[0]}x{size[1]}")
    print(f"{'':14s}{'parameters':>14s}{'trained':>14s}{'GFLOP':>10s}")
    for part, layer in [*model.named_children(), ("all", model)]:
        number, trained = parameters_of(layer)
        gflop = (sum(counts.values()) if part == "all" else counts[part]) / 1e9
        print(f"{part:14s}{number:14,d}{trained:14,d}{gflop:10.2f}")
    print(f"weights file: {4 * parameters_of(model)[0] / 1e6:.1f} MB; "
          "GFLOP: two per multiply-add of the convolutions")
    return 0


if __name__ == "__main__":
    run(main)
