"""Checkpoints of a run: everything that resuming needs, the last few of them kept."""
import glob
import os
import re

import paddle

from tools import safe_pickle
from tools.errors import UserError
from tools.training.checkpoint import load_arrays, to_arrays, write_pickle


def checkpoint_path(run_dir, step):
    return f"{run_dir}/checkpoint_{step:07d}.pdstate"


def checkpoint_paths(run_dir):
    """Checkpoints of a run, oldest first."""
    candidates = glob.glob(f"{glob.escape(run_dir)}/checkpoint_*.pdstate")
    found = [(int(match[1]), path) for path in candidates
             if (match := re.fullmatch(r"checkpoint_(\d+)\.pdstate", os.path.basename(path)))]
    return [path for _, path in sorted(found)]


def save_checkpoint(trainer):
    """Write model, optimizer, step and best AP; schedule and RNG follow from the step (loop.py)."""
    optimizer = {name: value.numpy() if isinstance(value, paddle.Tensor) else value
                 for name, value in trainer.optimizer.state_dict().items()}
    names = {parameter.name: name for name, parameter in trainer.model.named_parameters()}
    write_pickle(checkpoint_path(trainer.cfg.run_dir, trainer.step), {
        "model": to_arrays(trainer.model.state_dict()),
        "optimizer": {rename_slot(name, names): value for name, value in optimizer.items()},
        "ema": trainer.ema.state() if trainer.ema else None,
        "scaler": trainer.scaler.state_dict(),
        "step": trainer.step, "num_steps": trainer.num_steps, "best_ap": trainer.best_ap,
        "config": trainer.cfg.name, "seed": trainer.cfg.seed,
        "class_names": list(trainer.class_names)})


def rename_slot(slot, names):
    """An optimizer slot "conv2d_3.w_0_velocity_0" with the parameter's name replaced as in `names`.

    Paddle numbers parameters per process, so slots are stored under the names of the state dict.
    """
    for old in sorted(names, key=len, reverse=True):
        if slot.startswith(old + "_"):
            return names[old] + slot[len(old):]
    return slot


def load_checkpoint(trainer, path):
    """Restore a run into `trainer`; UserError if the checkpoint is damaged or of another run."""
    state = safe_pickle.load(path)
    keys = ("model", "optimizer", "ema", "scaler", "step", "num_steps", "best_ap", "config", "seed",
            "class_names")
    if not isinstance(state, dict) or any(key not in state for key in keys):
        raise UserError(f"'{path}' is not a training checkpoint of this project")
    state["averaged"], state["amp"] = state["ema"] is not None, bool(state["scaler"])
    ours = {"averaged": trainer.ema is not None, "amp": trainer.cfg.amp, "config": trainer.cfg.name,
            "num_steps": trainer.num_steps, "seed": trainer.cfg.seed,
            "class_names": list(trainer.class_names)}
    differ = [f"{key} {state[key]!r} in the checkpoint, {value!r} now"
              for key, value in ours.items() if state[key] != value]
    if differ:
        raise UserError(f"cannot resume '{path}': {'; '.join(differ)}; "
                        "use the settings it was started with")
    load_arrays(trainer.model, state["model"], path)
    names = {name: parameter.name for name, parameter in trainer.model.named_parameters()}
    slots = {rename_slot(name, names): value for name, value in state["optimizer"].items()}
    trainer.optimizer.set_state_dict(slots)
    if trainer.ema:
        trainer.ema.load_state(state["ema"])
    if trainer.cfg.amp:
        trainer.scaler.load_state_dict(state["scaler"])
    trainer.step, trainer.best_ap = state["step"], state["best_ap"]


def find_checkpoint(run_dir, resume):
    """The path behind `--resume`: a file, or "auto" for the newest of the run."""
    if resume != "auto":
        if not os.path.isfile(resume):
            raise UserError(f"no checkpoint '{resume}'; use --resume without a path "
                            f"for the newest in {run_dir}")
        return resume
    paths = checkpoint_paths(run_dir)
    if not paths:
        raise UserError(f"nothing to resume: no checkpoint_*.pdstate in '{run_dir}'; "
                        "start without --resume")
    return paths[-1]


def prune_checkpoints(run_dir, keep):
    """Remove all but the newest `keep` checkpoints."""
    for path in checkpoint_paths(run_dir)[:-keep]:
        os.remove(path)
