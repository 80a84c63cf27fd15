"""A run, assembled once: for train.py, the comparisons, the benchmarks and the tests."""
import functools
import warnings

import paddle

from model.solov2 import build_solov2
from tools.data.loader import train_loader
from tools.data.splits import open_dataset
from tools.distributed import get_rank, get_world_size
from tools.errors import UserError
from tools.evaluation.evaluate import evaluate_model
from tools.training.loop import Trainer
from tools.training.onednn import use_onednn
from tools.training.optimizer import build_optimizer, schedule_steps
from tools.training.run_state import find_checkpoint
from tools.training.samples import draw_samples
from tools.training.sync_norm import synchronize_norms
from tools.weights.weights_file import load_pretrained

NOISE = "When training, we now always track global mean"        # Paddle, of every BatchNorm


def open_sets(cfg):
    """(training set, validation set or None) of a config."""
    train_set = open_dataset(cfg, "train")
    if not cfg.val_json:
        return train_set, None
    return train_set, open_dataset(cfg, "val", class_names=train_set.class_names)


def start_training(cfg, train_set=None, val_set=None, num_steps=None, make_batches=None,
                   resuming=False, say=print):
    """A Trainer before its first step: the network with its start, the optimizer, the batches.

    train_set: a CocoDataset, whose classes count; without one `make_batches` is needed, and the
    classes are numbered.  val_set: what is evaluated on.
    num_steps: of the whole run; by default the config's for this training set.
    make_batches: function(first step, end step) -> iterable of batches, instead of the loader.
    resuming: leaves `cfg.pretrained` alone, since `restore` will set every tensor.
    """
    warnings.filterwarnings("ignore", message=NOISE)
    if train_set is not None:
        cfg = with_classes_of(cfg, train_set, say)
        if not resuming:
            check_start(cfg)
    names = train_set.class_names if train_set else list(map(str, range(cfg.num_classes)))
    paddle.seed(cfg.seed)
    model = build_solov2(cfg)
    if cfg.sync_norms:
        synchronize_norms(model)
    if paddle.get_device() == "cpu":
        say(use_onednn(model, cfg.onednn))
    if not resuming:
        say(load_start(cfg, model))
    batches = make_batches or functools.partial(
        train_loader, train_set, cfg, rank=get_rank(), world_size=get_world_size())
    evaluate = functools.partial(evaluate_model, cfg, val_set) if val_set else None
    trainer = Trainer(cfg, model, build_optimizer(cfg, model), names,
                      num_steps or schedule_steps(cfg, len(train_set)), batches, evaluate)
    trainer.epoch_steps = -(-len(train_set) // cfg.batch_size) if train_set else 0
    if val_set and cfg.sample_pictures:
        trainer.illustrate = functools.partial(draw_samples, cfg, val_set)
    return trainer


def with_classes_of(cfg, dataset, say):
    """The config with the class count of a data set."""
    if cfg.num_classes == dataset.num_classes:
        return cfg
    say(f"classes: {dataset.num_classes} from {dataset.path} (the config says {cfg.num_classes})")
    return cfg.replace(num_classes=dataset.num_classes)


def check_start(cfg):
    """UserError where random layers would stay random: a frozen backbone that is not pretrained."""
    frozen = [name for name, on in (("frozen_stages=0", cfg.frozen_stages > 0),
                                    ("freeze_norm_statistics=false", cfg.freeze_norm_statistics),
                                    ("freeze_norm_affine=false", cfg.freeze_norm_affine)) if on]
    if frozen and not cfg.pretrained:
        raise UserError(
            f"config {cfg.name} freezes a part of its backbone, which has no pretrained weights: "
            f"it would stay random.  Start from published weights (python -m convert --config "
            f"{cfg.name} --download, then -o pretrained={cfg.weights_path}) or from an ImageNet "
            "backbone (python -m convert BACKBONE.pdparams, then -o pretrained=FILE), or train all "
            f"of it: -o {' '.join(frozen)}")


def load_start(cfg, model):
    """Load the pretrained weights, if any; returns a text on where the training starts."""
    if not cfg.pretrained:
        return "start: random weights"
    misfit = load_pretrained(model, cfg.pretrained)
    return (f"start: {cfg.pretrained}, {len(misfit)} tensors re-initialised or left out"
            + misfit.text())


def resume_training(trainer, checkpoint="auto", say=print):
    """Continue a run from a checkpoint, or from the newest whole one of its folder ("auto")."""
    path, state = find_checkpoint(trainer.cfg.run_dir, checkpoint, say)
    trainer.restore(state, path)
    say(f"resumed: {path} at step {trainer.step}, best mask AP {max(trainer.best_ap, 0):.4f}")
