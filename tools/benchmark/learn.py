"""How well does a recipe learn from a set?  python -m tools.benchmark learn --config N --folds K

    python -m tools.benchmark learn --config own_dataset --folds 7 --seeds 1 2 \\
        -o train_json=my/train.json train_images=my/images max_steps=420

Trains the config once per fold and seed, on the images outside the fold, and prints the mask AP on
the fold: of the last weights, so that no number is picked by looking at it, beside the best one on
the way.  Recipes can be compared by it without touching a validation set.  A run that is done is
not repeated: the same command goes on where it was stopped.
"""
import json
import os
import statistics

from tools.cli import TERMINATED, build_parser, load_config, positive_int
from tools.data.coco_json import read_json
from tools.data.folds import folds
from tools.data.holdout import check
from tools.distributed import start
from tools.errors import UserError
from tools.files import write_json
from tools.runtime import describe
from tools.training.run_state import checkpoint_paths
from tools.training.start import open_sets, resume_training, start_training


def parse_args(argv):
    parser = build_parser(__doc__)
    parser.add_argument("--folds", type=positive_int, default=5, help="default: %(default)s")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1], metavar="SEED",
                        help="of the training; each trains every fold (default: 1)")
    parser.add_argument("--group-by", metavar="PATTERN",
                        help="regular expression: images whose names match alike stay together")
    return parser.parse_args(argv)


def main(argv):
    args = parse_args(argv)
    cfg = load_config(args)
    print(describe(start(args.device)))
    folder = f"{cfg.output_dir}/learn/{cfg.name}"
    content = read_json(cfg.train_json)
    check(content, cfg.train_json)
    splits = folds(content, args.folds, args.group_by)
    print(f"config {cfg.name}: {args.folds} folds of {len(content['images'])} images, seeds "
          f"{', '.join(map(str, args.seeds))}, records in {folder}")
    aps = {}
    for seed in args.seeds:
        for number, split in enumerate(splits):
            run = cfg.replace(seed=seed, output_dir=f"{folder}/fold_{number + 1}_seed_{seed}")
            found = train_fold(run, split)
            if found is None:
                return TERMINATED
            aps[seed, number] = found
            print(f"fold {number + 1}, seed {seed}: mask AP {found['AP']:.4f} after "
                  f"{found['steps']} steps (best on the way {found['best_AP']:.4f})", flush=True)
    report(aps, args.seeds, args.folds)
    return 0


def train_fold(cfg, split):
    """{"AP", "best_AP", "steps"} of a run on one split; None if SIGTERM ended it."""
    result, settings = f"{cfg.output_dir}/result.json", comparable(cfg)
    if os.path.exists(result):
        with open(result, encoding="utf-8") as file:
            stored = json.load(file)
        if stored["settings"] == settings:
            return stored
        raise UserError(f"'{result}' is of other settings; remove that folder or choose another "
                        "one with -o output_dir=FOLDER")
    for name, content in zip(("train", "val"), split, strict=True):
        write_json(f"{cfg.output_dir}/{name}.json", content)
    cfg = cfg.replace(train_json=f"{cfg.output_dir}/train.json", val_images=cfg.train_images,
                      val_json=f"{cfg.output_dir}/val.json")
    started = bool(checkpoint_paths(cfg.run_dir))
    trainer = start_training(cfg, *open_sets(cfg), resuming=started)
    if started:
        resume_training(trainer)
    metrics = trainer.run()
    if trainer.terminated:
        return None
    found = {"AP": metrics.get("segm_AP", trainer.best_ap), "best_AP": trainer.best_ap,
             "steps": trainer.step, "settings": settings}
    write_json(result, found, indent=1)
    return found


def comparable(cfg):
    """The settings that a result belongs to, as json has them."""
    return json.loads(json.dumps({key: value for key, value in cfg.as_dict().items()
                                  if key not in ("num_workers", "visualdl", "tensorboard")}))


def report(aps, seeds, number):
    """Print the mean over the folds for each seed, and mean and spread of it all."""
    means = []
    for seed in seeds:
        values = [aps[seed, fold]["AP"] for fold in range(number)]
        means.append(statistics.mean(values))
        print(f"seed {seed}: mean {means[-1]:.4f} of {number} folds, "
              f"{min(values):.4f} to {max(values):.4f}")
    print(f"mask AP {statistics.mean(means):.4f}, spread over {len(seeds)} seeds "
          f"{max(means) - min(means):.4f}, standard deviation of the runs "
          f"{statistics.pstdev(found['AP'] for found in aps.values()):.4f}")
