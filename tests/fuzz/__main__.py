"""python -m tests.fuzz --seconds 60: files of every kind, each read in a limited child process."""
import argparse
import sys

from tests.fuzz.kinds import KINDS
from tests.fuzz.run import campaign, run_for
from tools.runtime import configure


def parse_args():
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, metavar="N")
    parser.add_argument("--kind", choices=tuple(KINDS), help="default: all, in turn")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the first file")
    parser.add_argument("--count", type=int, default=0, metavar="N",
                        help="so many files instead of a time; needs --kind")
    args = parser.parse_args()
    if args.count and not args.kind:
        parser.error("--count needs --kind")
    return args


def main():
    configure()
    args = parse_args()
    if args.count:
        counts, wrong = campaign(args.kind, range(args.seed, args.seed + args.count))
        counts, findings = {args.kind: counts}, [(args.kind, *item) for item in wrong]
        for kind, seed, text in findings:
            print(f"finding: --kind {kind} --seed {seed} --count 1\n{text}")
    else:
        counts, findings = run_for(args.seconds, [args.kind] if args.kind else list(KINDS),
                                   args.seed)
    print("| kind | inputs | refused | read | findings |\n|---|---|---|---|---|")
    for kind, count in counts.items():
        print(f"| {kind} | {sum(count.values())} | {count['refused']} | {count['ok']} | "
              f"{count['finding']} |")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
