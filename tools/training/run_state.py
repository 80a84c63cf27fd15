"""The folder of a run: checkpoints with all that resuming needs, of which the last few are kept."""
import glob
import os
import re

from tools.errors import UserError
from tools.files import remove_leftovers, write_json
from tools.training.run_lock import own_folder
from tools.training.run_log import RunLog
from tools.training.state_schema import check_state
from tools.weights import safe_pickle
from tools.weights.weights_file import write_pickle


def open_run(cfg, step):
    """Make the folder of a run ready to continue after `step`, or to start (0); returns its RunLog.

    Nothing is lost: where a new run would mix with an earlier one, that one's folder is renamed,
    and so are checkpoints later than `step`, which are broken or of another continuation.
    UserError if another process writes into it.
    """
    own_folder(cfg.run_dir)
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
    return RunLog(cfg.run_dir, step, cfg.visualdl, cfg.tensorboard)


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


def save_checkpoint(run_dir, state):
    """Write the state of a run (Trainer.state)."""
    write_pickle(checkpoint_path(run_dir, state["step"]), state)


def read_checkpoint(path):
    """The state in a checkpoint; UserError if it is missing, damaged or something else."""
    try:
        state = safe_pickle.load(path)
    except OSError as error:
        raise UserError(f"cannot read checkpoint '{path}': {error.strerror}") from None
    return check_state(state, path)


def find_checkpoint(run_dir, resume, say=print):
    """(path, state) behind `--resume`: a file, or "auto" for the newest whole one of the run.

    Says which broken ones are passed over; UserError if there is no whole one.
    """
    if resume != "auto":
        if not os.path.isfile(resume):
            raise UserError(f"no checkpoint '{resume}'; use --resume without a path "
                            f"for the newest in {run_dir}")
        return resume, read_checkpoint(resume)
    reasons = []
    for path in reversed(checkpoint_paths(run_dir)):
        try:
            state = read_checkpoint(path)
        except UserError as error:
            reasons.append(str(error))
            continue
        for reason in reasons:
            say(f"passed over: {reason}")
        return path, state
    found = "every checkpoint is broken:\n  " + "\n  ".join(reasons) + "\n" if reasons else \
        f"no checkpoint_*.pdstate in '{run_dir}'; "
    raise UserError(f"nothing to resume: {found}start without --resume")


def prune_checkpoints(run_dir, keep):
    """Remove all but the newest `keep` checkpoints."""
    for path in checkpoint_paths(run_dir)[:-keep]:
        os.remove(path)
