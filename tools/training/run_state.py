"""The folder of a run: checkpoints with all that resuming needs, of which the last few are kept."""
import glob
import os
import re

import paddle

from tools.errors import UserError
from tools.files import remove_leftovers, write_json
from tools.training.run_log import RunLog
from tools.weights import safe_pickle
from tools.weights.weights_file import load_arrays, to_arrays, write_pickle

STATE_KEYS = ("model", "optimizer", "ema", "scaler", "window", "step", "num_steps", "best_ap",
              "config", "seed", "class_names")


def open_run(cfg, step):
    """Make the folder of a run ready to continue after `step`, or to start (0); returns its RunLog.

    Nothing is lost: where a new run would mix with an earlier one, that one's folder is renamed,
    and so are checkpoints later than `step`, which are broken or of another continuation.
    """
    if step == 0 and glob.glob(f"{glob.escape(cfg.run_dir)}/*.pd*"):
        kept = free_name(cfg.run_dir)
        os.rename(cfg.run_dir, kept)
        print(f"the earlier run in {cfg.run_dir} is now {kept}")
    for path in checkpoint_paths(cfg.run_dir):
        if step_of(path) > step:
            kept = free_name(path)
            os.rename(path, kept)
            print(f"{path}, later than step {step}, is now {kept}")
    remove_leftovers(cfg.run_dir)
    write_json(f"{cfg.run_dir}/settings.json", cfg.as_dict(), indent=1)
    return RunLog(cfg.run_dir, step, cfg.visualdl)


def free_name(path):
    """The first of <path>.1, <path>.2, ... that does not exist."""
    number = 1
    while os.path.exists(f"{path}.{number}"):
        number += 1
    return f"{path}.{number}"


def checkpoint_path(run_dir, step):
    return f"{run_dir}/checkpoint_{step:07d}.pdstate"


def step_of(path):
    """The step in the name of a checkpoint, -1 if it is another file's name."""
    match = re.fullmatch(r"checkpoint_(\d+)\.pdstate", os.path.basename(path))
    return int(match[1]) if match else -1


def checkpoint_paths(run_dir):
    """Checkpoints of a run, oldest first."""
    candidates = glob.glob(f"{glob.escape(run_dir)}/checkpoint_*.pdstate")
    return sorted((path for path in candidates if step_of(path) >= 0), key=step_of)


def save_checkpoint(trainer):
    """Write model, optimizer, step and best AP; schedule and RNG follow from the step (loop.py)."""
    optimizer = {name: value.numpy() if isinstance(value, paddle.Tensor) else value
                 for name, value in trainer.optimizer.state_dict().items()}
    names = {parameter.name: name for name, parameter in trainer.model.named_parameters()}
    write_pickle(checkpoint_path(trainer.cfg.run_dir, trainer.step), {
        "model": to_arrays(trainer.model.state_dict()),
        "optimizer": {rename_slot(name, names): value for name, value in optimizer.items()},
        "ema": trainer.ema.state() if trainer.ema else None,
        "scaler": trainer.scaler.state_dict(), "window": vars(trainer.window),
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


def read_checkpoint(path):
    """The state in a checkpoint; UserError if it is missing, damaged or something else."""
    try:
        state = safe_pickle.load(path)
    except OSError as error:
        raise UserError(f"cannot read checkpoint '{path}': {error.strerror}") from None
    if not isinstance(state, dict) or any(key not in state for key in STATE_KEYS):
        raise UserError(f"'{path}' is not a training checkpoint of this project")
    return state


def load_checkpoint(trainer, path):
    """Restore a run into `trainer`; UserError if the checkpoint is damaged or of another run."""
    state = read_checkpoint(path)
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
    vars(trainer.window).update(state["window"])
    trainer.step, trainer.best_ap = state["step"], state["best_ap"]


def find_checkpoint(run_dir, resume):
    """The path behind `--resume`: a file, or "auto" for the newest whole checkpoint of the run.

    Prints which broken ones are passed over; UserError if there is no whole one.
    """
    if resume != "auto":
        if not os.path.isfile(resume):
            raise UserError(f"no checkpoint '{resume}'; use --resume without a path "
                            f"for the newest in {run_dir}")
        return resume
    reasons = []
    for path in reversed(checkpoint_paths(run_dir)):
        try:
            read_checkpoint(path)
        except UserError as error:
            reasons.append(str(error))
            continue
        print("".join(f"passed over: {reason}\n" for reason in reasons), end="")
        return path
    found = "every checkpoint is broken:\n  " + "\n  ".join(reasons) + "\n" if reasons else \
        f"no checkpoint_*.pdstate in '{run_dir}'; "
    raise UserError(f"nothing to resume: {found}start without --resume")


def prune_checkpoints(run_dir, keep):
    """Remove all but the newest `keep` checkpoints."""
    for path in checkpoint_paths(run_dir)[:-keep]:
        os.remove(path)
