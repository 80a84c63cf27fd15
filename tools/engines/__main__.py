"""What each engine takes for a network on this machine: python -m tools.engines --config N."""
from tools.runtime import configure

configure()

import os
import tempfile

from model.solov2 import build_solov2
from tools.cli import build_parser, load_config, run
from tools.engines import choice
from tools.engines.exports import Exports
from tools.engines.measured import format_seconds
from tools.errors import UserError
from tools.runtime import processor, threads
from tools.weights.weights_file import (
    config_of,
    load_arrays,
    meta_of,
    read_weights,
    save_weights,
    to_arrays,
)


def parse_args(argv=None):
    parser = build_parser("Print what was measured when the engine was chosen, or measure it.")
    parser.add_argument("--weights", metavar="FILE",
                        help="weights file (default: the config's own, or random ones)")
    parser.add_argument("--again", action="store_true",
                        help="measure again, also what has ended the process before")
    return parser.parse_args(argv)


def random_weights(cfg, folder):
    """The path of weights that nobody trained: the arithmetic is the same."""
    path = f"{folder}/random.pdparams"
    names = [f"class {number}" for number in range(cfg.num_classes)]
    save_weights(path, to_arrays(build_solov2(cfg).state_dict()), meta_of(cfg, names))
    return path


def open_exports(cfg, weights):
    arrays, meta = read_weights(weights, cfg.name)
    cfg = config_of(cfg, meta, weights)

    def build_model():
        model = build_solov2(cfg)
        load_arrays(model, arrays, weights)
        return model
    return Exports(weights, cfg, build_model, threads())


def print_table(exports, found):
    height, width = choice.image_size(exports.cfg)
    print(f"{exports.cfg.name} at {height}x{width}, {exports.threads} threads, {processor()}")
    best = found.best("float32")
    for name, seconds in sorted(found.seconds.items(), key=lambda item: item[1]):
        print(f"  {name:26s} {format_seconds(seconds):>9s}   {seconds / best:5.2f}")
    for reason in choice.reasons(found.failures):
        print(f"  not measured: {reason}")
    print(f"  auto takes {found.order('float32')[0]}")


def main(argv=None):
    args = parse_args(argv)
    cfg = load_config(args)
    if args.device not in ("auto", "cpu"):
        raise UserError(f"device '{args.device}': engines are measured on the CPU; "
                        "python -m tools.benchmark infer measures others")
    with tempfile.TemporaryDirectory() as folder:
        weights = args.weights or cfg.weights_path
        if not args.weights and not os.path.exists(weights):
            weights = random_weights(cfg, folder)
            print(f"no weights file '{cfg.weights_path}': random weights")
        exports = open_exports(cfg, weights)
        found = choice.measured_again if args.again else choice.remembered
        print_table(exports, found(exports))


if __name__ == "__main__":
    run(main)
