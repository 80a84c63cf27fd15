"""Train a config: python train.py --config=N [-o key=value ...] [--resume [CHECKPOINT]]."""
from tools.runtime import configure, describe, resolve_device

configure()

import time

from tools.cli import TERMINATED, build_parser, load_config, run
from tools.distributed import get_world_size, start
from tools.launch import start_processes
from tools.progress import duration
from tools.training.optimizer import peak_rate
from tools.training.start import open_sets, resume_training, start_training


def parse_args(argv=None):
    parser = build_parser("Train SOLOv2 on a COCO-style data set.")
    parser.add_argument("--resume", nargs="?", const="auto", metavar="CHECKPOINT",
                        help="continue a run: a checkpoint, or without a value the newest one of "
                             "this config")
    parser.add_argument("--processes", type=int, default=1, metavar="N",
                        help="train in N processes on this machine, which share each batch: one "
                             "per GPU, or on the CPU one per core or two")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    cfg = load_config(args)
    if args.processes != 1:
        return start_processes(args.processes, resolve_device(args.device))
    print(describe(start(args.device)))
    train_set, val_set = open_sets(cfg)
    trainer = start_training(cfg, train_set, val_set, resuming=bool(args.resume))
    print_plan(trainer, len(train_set))
    if args.resume:
        resume_training(trainer, args.resume)
    started = time.monotonic()
    metrics = trainer.run()
    if trainer.terminated:
        print(f"ended by SIGTERM after step {trainer.step}; continue with --resume")
        return TERMINATED
    best = f", best.pdparams (mask AP {trainer.best_ap:.4f})" if metrics else ""
    print(f"trained to step {trainer.step} in {duration(time.monotonic() - started)}; "
          f"weights in {cfg.run_dir}: last.pdparams{best}")
    return 0


def print_plan(trainer, num_images):
    """One line on the run: its length, its batch and how that is shared out, where it writes."""
    cfg = trainer.cfg
    shares = ((get_world_size(), "processes"), (cfg.accumulate_steps, "parts"))
    shared = " of ".join(f"{number} {name}" for number, name in shares if number > 1)
    batch = f"{cfg.batch_size} images" + (f" in {shared}" if shared else "")
    print(f"config: {cfg.name}, {trainer.num_steps} steps of {batch}, {num_images} images, "
          f"learning rate {peak_rate(cfg):g}, records in {cfg.run_dir}")


if __name__ == "__main__":
    run(main)
