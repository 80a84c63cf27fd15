"""Train a config: python train.py --config=N [-o key=value ...] [--resume [CHECKPOINT]]."""
from tools.runtime import configure, describe

configure()

import functools
import time

import paddle

from model.solov2 import build_solov2
from tools.cli import TERMINATED, build_parser, load_config, run
from tools.data.loader import train_loader
from tools.data.splits import open_dataset
from tools.distributed import get_rank, get_world_size, start
from tools.evaluation.evaluate import evaluate_model
from tools.training.loop import Trainer, duration
from tools.training.optimizer import build_optimizer, schedule_steps
from tools.training.run_state import find_checkpoint, load_checkpoint
from tools.training.sync_norm import synchronize_norms
from tools.weights.weights_file import load_pretrained


def parse_args(argv=None):
    parser = build_parser("Train SOLOv2 on a COCO-style data set.")
    parser.add_argument("--resume", nargs="?", const="auto", metavar="CHECKPOINT",
                        help="continue a run: a checkpoint, or without a value the newest one of "
                             "this config")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    cfg = load_config(args)
    device = start(args.device)
    paddle.seed(cfg.seed)
    print(describe(device))

    train_set = open_dataset(cfg, "train")
    val_set = open_dataset(cfg, "val", class_names=train_set.class_names) if cfg.val_json else None
    if cfg.num_classes != train_set.num_classes:
        print(f"classes: {train_set.num_classes} from {cfg.train_json} "
              f"(the config says {cfg.num_classes})")
        cfg = cfg.replace(num_classes=train_set.num_classes)
    num_steps = schedule_steps(cfg, len(train_set))
    model = build_solov2(cfg)
    synchronize_norms(model)
    rate = cfg.learning_rate * cfg.batch_size / cfg.reference_batch_size
    print(f"config: {cfg.name}, {num_steps} steps of {batch_text(cfg)}, "
          f"{len(train_set)} images, learning rate {rate:g}, records in {cfg.run_dir}")
    print_start(cfg, model, args.resume)

    trainer = Trainer(cfg, model, build_optimizer(cfg, model), train_set.class_names, num_steps,
                      functools.partial(train_loader, train_set, cfg, rank=get_rank(),
                                        world_size=get_world_size()),
                      functools.partial(evaluate_model, cfg, val_set) if val_set else None)
    if args.resume:
        path = find_checkpoint(cfg.run_dir, args.resume)
        load_checkpoint(trainer, path)
        print(f"resumed: {path} at step {trainer.step}, best mask AP {max(trainer.best_ap, 0):.4f}")
    started = time.time()
    metrics = trainer.run()
    if trainer.step < num_steps:
        print(f"ended by SIGTERM after step {trainer.step}; continue with --resume")
        return TERMINATED
    best = f", best.pdparams (mask AP {trainer.best_ap:.4f})" if metrics else ""
    print(f"trained to step {trainer.step} in {duration(time.time() - started)}; "
          f"weights in {cfg.run_dir}: last.pdparams{best}")
    return 0


def batch_text(cfg):
    """The images of a step, and how they are shared out."""
    shares = ((get_world_size(), "processes"), (cfg.accumulate_steps, "parts"))
    text = " of ".join(f"{number} {name}" for number, name in shares if number > 1)
    return f"{cfg.batch_size} images" + (f" in {text}" if text else "")


def print_start(cfg, model, resume):
    """Load the pretrained weights, if any, and say where the training starts."""
    if resume:
        return
    if not cfg.pretrained:
        print("start: random weights")
        return
    misfit = load_pretrained(model, cfg.pretrained)
    print(f"start: {cfg.pretrained}, {len(misfit)} tensors re-initialised or left out"
          + misfit.text())


if __name__ == "__main__":
    run(main)
