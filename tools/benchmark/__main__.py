"""Time training, prediction, data, tracks and more: python -m tools.benchmark NAME [--help]."""
from tools.runtime import configure

configure()

import sys

from tools.benchmark import data, infer, learn, outlines, tiles, tracks, train, tta
from tools.cli import run
from tools.errors import UserError

BENCHMARKS = {"train": train.main, "infer": infer.main, "learn": learn.main, "tracks": tracks.main,
              "data": data.main, "tta": tta.main, "tiles": tiles.main, "outlines": outlines.main}


def main(argv=None):
    name, *rest = (sys.argv[1:] if argv is None else argv) or [""]
    if name not in BENCHMARKS:
        raise UserError(f"no benchmark '{name}': expected "
                        f"python -m tools.benchmark {'|'.join(BENCHMARKS)} [--help]")
    return BENCHMARKS[name](rest)


if __name__ == "__main__":
    run(main)
