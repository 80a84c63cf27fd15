"""A training run as a process that can be killed, for test_durability.py."""
import functools
import json
import multiprocessing
import os
import time
from pathlib import Path

from tests.builders import make_trainer
from tools import files
from tools.cli import TERMINATED, run
from tools.data.splits import open_dataset
from tools.evaluation.evaluate import evaluate_model
from tools.stopping import exit_at_once
from tools.training.run_lock import own_folder
from tools.training.run_state import checkpoint_paths
from tools.training.start import resume_training

NUM_STEPS = 8


def content(run_dir):
    """What a finished run leaves: {file: bytes}, and the records without their times."""
    last = f"checkpoint_{NUM_STEPS:07d}.pdstate"           # earlier ones hold the time of steps
    whole = {path.name: path.read_bytes() for path in Path(run_dir).iterdir()
             if path.suffix == ".pdparams" or path.name == last}
    records = [{key: value for key, value in json.loads(line).items()
                if key not in ("data_s", "step_s", "eta_s")}
               for line in Path(run_dir, "log.jsonl").read_text().splitlines()]
    return whole, records


class SlowFile:
    """A file whose every write takes a moment."""

    def __init__(self, file, pause):
        self.file, self.pause = file, pause

    def write(self, data):
        time.sleep(self.pause)
        return self.file.write(data)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def __getattr__(self, name):
        return getattr(self.file, name)


def slow_down(pause):
    """Let the checkpoints of this process take their time."""
    replace = os.replace

    def slow_open(path, mode):
        file = open(path, mode)
        return SlowFile(file, pause) if "pdstate" in str(path) else file

    def slow_replace(source, target):
        time.sleep(20 * pause)
        replace(source, target)

    files.open, os.replace = slow_open, slow_replace


def evaluate_as_in_train(trainer):
    val_set = open_dataset(trainer.cfg, "val")
    trainer.evaluate = functools.partial(evaluate_model, trainer.cfg, val_set)


def train(cfg, num_steps, pause=0.0):
    """Train, or continue what an earlier process left; with a `pause`, saves are slow."""
    multiprocessing.set_start_method("fork", force=True)       # of readers, as in a script
    trainer = make_trainer(cfg, num_steps)
    evaluate_as_in_train(trainer)
    if checkpoint_paths(cfg.run_dir):
        resume_training(trainer)
    if pause:
        slow_down(pause)
    trainer.run()
    return TERMINATED if trainer.terminated else 0


def train_as_script(cfg, num_steps):
    """The same as a script would: Ctrl-C and SIGTERM end it in order, before and after it too."""
    exit_at_once()
    run(lambda argv: train(cfg, num_steps))


def own_for(seconds, run_dir):
    """Own the folder of a run for a while, with a reader that was forked meanwhile."""
    own_folder(run_dir)
    if os.fork() == 0:
        time.sleep(seconds)
        os._exit(0)
    Path(run_dir, "owned").touch()
    time.sleep(seconds)
