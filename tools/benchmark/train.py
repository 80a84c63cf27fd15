"""A training step: python -m tools.benchmark train [--config N] [--batch-size 8] [--size 256 256].

The time and the memory of the largest batch of a run: --batch-size 1 --size 800 1344 --objects 300.
In two processes that share the batch:
PYTHONPATH=. python -m paddle.distributed.launch --nproc_per_node 2 --backend gloo \
    tools/benchmark/__main__.py train
"""
import json
import os
import subprocess
import sys

import numpy as np

from tools.benchmark.beside import busy_processes
from tools.benchmark.train_step import sgemm_rate, time_steps
from tools.cli import build_parser, load_config
from tools.distributed import barrier, get_world_size, is_main, start
from tools.runtime import MKL_PATH, THREADS, describe, peak_memory

PADDLE_DEFAULTS = {THREADS: "1", MKL_PATH: "0"}       # what Paddle does when nothing is set


def parse_args(argv):
    parser = build_parser("Time training steps: median and 90th percentile of every part.")
    parser.add_argument("--batch-size", type=int, default=8,
                        help="images per step, of all processes")
    parser.add_argument("--size", type=int, nargs=2, default=(256, 256), metavar=("H", "W"),
                        help="pixels, multiples of 32")
    parser.add_argument("--objects", type=int, default=8, help="per image")
    parser.add_argument("--steps", type=int, default=10, help="counted steps, after two others")
    parser.add_argument("--beside", type=int, default=0, metavar="N",
                        help="busy processes beside it, as other work on the machine")
    parser.add_argument("--json", action="store_true", help="print the medians as json only")
    parser.add_argument("--compare-runtime", type=int, nargs="?", const=3, metavar="ROUNDS",
                        help="run with and without the settings of tools/runtime.py in turn")
    return parser.parse_args(argv)


def main(argv):
    args = parse_args(argv)
    if args.compare_runtime and not args.json:
        return compare_runtime(args.compare_runtime, argv)
    cfg = load_config(args)
    device = start(args.device)
    with busy_processes(args.beside if is_main() else 0):
        times, operations = time_steps(cfg, args.batch_size // get_world_size(), tuple(args.size),
                                       args.steps, args.objects)
    if args.json:
        print(json.dumps({part: float(np.median(seconds)) for part, seconds in times.items()}))
        return 0
    print(describe(device))
    print(f"config {cfg.name}, batch {args.batch_size}, {args.size[0]}x{args.size[1]}, "
          f"{args.objects} objects per image, {args.steps} steps"
          + (f", beside {args.beside} busy processes" if args.beside else ""))
    for part, seconds in times.items():
        print(f"{part:10s} median {np.median(seconds):7.3f} s   "
              f"p90 {np.percentile(seconds, 90):7.3f} s")
    print("(data and targets are the reader processes' work, not part of the step)")
    forward, backward = (operations[part] * get_world_size() for part in ("forward", "backward"))
    rate = sgemm_rate() if is_main() else 1                # on all cores, while the others wait
    barrier()
    step_rate = (forward + backward) / np.median(times["step"])
    print(f"convolutions: {forward / 1e9:.0f} GFLOP forward, {backward / 1e9:.0f} backward; "
          f"{step_rate / 1e9:.0f} GFLOP/s, "
          f"{step_rate / rate:.0%} of the {rate / 1e9:.0f} of numpy's sgemm")
    print(f"highest memory of this process: {peak_memory() / 1e9:.2f} GB")
    return 0


def compare_runtime(rounds, arguments):
    """Medians of the step with and without our settings, in turn, and the ratio of each round."""
    command = [sys.executable, "-m", "tools.benchmark", "train", *arguments, "--json"]
    unset = {name: value for name, value in os.environ.items() if name not in PADDLE_DEFAULTS}
    ratios = []
    for number in range(rounds):
        seconds = []
        for settings in ({}, PADDLE_DEFAULTS):
            done = subprocess.run(command, env={**unset, **settings}, capture_output=True,
                                  text=True, check=True)
            seconds.append(json.loads(done.stdout.splitlines()[-1])["step"])
        ratios.append(seconds[1] / seconds[0])
        print(f"round {number + 1}: {seconds[0]:.3f} s with the settings, {seconds[1]:.3f} s with "
              f"Paddle's defaults, ratio {ratios[-1]:.2f}", flush=True)
    print(f"median ratio {np.median(ratios):.2f}")
    return 0
