"""Draw the pictures of docs/architecture.md: python -m tools.draw_architecture [--output FOLDER]"""
from tools.runtime import configure

configure()

import argparse
from pathlib import Path

from tools.cli import add_version, run
from tools.draw_architecture.network import network_picture
from tools.draw_architecture.rooms import ROOT, rooms_picture
from tools.files import write_text

PICTURES = {"network.svg": network_picture, "rooms.svg": rooms_picture}


def parse_args(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    add_version(parser)
    parser.add_argument("--output", default=ROOT / "docs/architecture", type=Path,
                        metavar="FOLDER", help="default: %(default)s")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    for name, draw in PICTURES.items():
        write_text(args.output / name, draw())
        print(args.output / name)


if __name__ == "__main__":
    run(main)
