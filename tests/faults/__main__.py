"""python -m tests.faults --kills 100: kills, signals and full disks at random moments."""
from tools.runtime import THREADS, configure

configure()

import argparse
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.campaign import Campaign, SlowServer
from tests.faults.commands import commands, make_inputs

SERVED = bytes(range(256)) * 4000
COLUMNS = ("SIGKILL", "SIGTERM", "SIGINT", "full disk", "no place")


def parse_args():
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--command", action="append", metavar="NAME", help="default: all of them")
    parser.add_argument("--kills", type=int, default=100, metavar="N", help="SIGKILLs of each")
    parser.add_argument("--signals", type=int, default=20, metavar="N",
                        help="Ctrl-C and SIGTERM, each")
    parser.add_argument("--disks", type=int, default=20, metavar="N", help="full disks")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def tried(campaign, args):
    """Every fault so many times."""
    campaign.signals(args.kills, signal.SIGKILL)
    campaign.signals(args.signals, signal.SIGTERM)
    campaign.signals(args.signals, signal.SIGINT)
    if not campaign.command.script:
        campaign.full_disk(args.disks)
        campaign.no_place()
    return campaign


def main():
    args = parse_args()
    os.environ[THREADS] = "1"              # of the processes, for equal bytes and many at once
    failed = False
    with tempfile.TemporaryDirectory(prefix="faults-") as folder, \
            SlowServer(SERVED, 2 << 20) as address:
        inputs = Path(folder, "inputs")
        maker = multiprocessing.get_context("spawn").Process(target=make_inputs, args=(inputs,))
        maker.start()
        maker.join()
        print(f"| command | {' | '.join(COLUMNS)} | findings | minutes |")
        print("|---" * (len(COLUMNS) + 3) + "|", flush=True)
        for name, command in commands(inputs, address).items():
            if args.command and name not in args.command:
                continue
            began = time.monotonic()
            campaign = tried(Campaign(command, Path(folder, "work"), args.seed), args)
            counts = " | ".join(str(campaign.tried[column]) for column in COLUMNS)
            minutes = (time.monotonic() - began) / 60
            print(f"| {name} | {counts} | {len(campaign.findings)} | {minutes:.1f} |", flush=True)
            for finding in campaign.findings:
                print(f"    {finding}", file=sys.stderr, flush=True)
            failed |= bool(campaign.findings)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
