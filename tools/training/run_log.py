"""The records of a run: log.jsonl, one json object per line, and the same curves for VisualDL."""
import importlib.util
import json
import os
import shutil

from tools.files import atomic_file
from tools.training.tensorboard import EventFile


class RunLog:
    """Appends records {"step": ..., name: number, ...} to log.jsonl in the folder of a run.

    It continues after `step`: later records, which the run will write again, and lines that a kill
    has cut are dropped.  With `visualdl`, and where that is installed, the folder "visualdl" is
    written anew from the records that stay, and then follows; so does "tensorboard".
    """

    def __init__(self, run_dir, step, visualdl=False, tensorboard=False):
        self.path = f"{run_dir}/log.jsonl"
        records = [record for record in read_log(self.path) if record["step"] <= step]
        with atomic_file(self.path) as file:
            file.writelines(line_of(record) for record in records)
        self.visualdl = open_visualdl(f"{run_dir}/visualdl", records) if visualdl else None
        self.tensorboard = open_tensorboard(run_dir, records) if tensorboard else None

    def append(self, record):
        with open(self.path, "ab") as file:
            file.write(line_of(record))
        if self.visualdl:
            add_scalars(self.visualdl, record)
        if self.tensorboard:
            self.tensorboard.append(record)

    def close(self):
        if self.visualdl:
            self.visualdl.close()


def line_of(record):
    return json.dumps(record).encode() + b"\n"


def read_log(path):
    """The records of a log.jsonl, [] if there is none; lines that are no record are left out."""
    if not os.path.exists(path):
        return []
    with open(path, "rb") as file:
        records = [parse(line) for line in file]
    return [record for record in records
            if isinstance(record, dict) and isinstance(record.get("step"), int)]


def parse(line):
    try:
        return json.loads(line)
    except ValueError:                               # cut by a kill, or being written just now
        return None


def open_visualdl(folder, records):
    """A VisualDL writer that holds `records`, or None where VisualDL is not installed."""
    if importlib.util.find_spec("visualdl") is None:
        print(f"curves: python -m tools.plot_log {os.path.dirname(folder)}")
        return None
    from visualdl import LogWriter

    shutil.rmtree(folder, ignore_errors=True)        # VisualDL shows one file per folder
    writer = LogWriter(logdir=folder)
    for record in records:
        add_scalars(writer, record)
    print(f"curves: visualdl --logdir {folder}, or python -m tools.plot_log "
          f"{os.path.dirname(folder)}")
    return writer


def open_tensorboard(run_dir, records):
    print(f"curves: tensorboard --logdir {run_dir}/tensorboard")
    return EventFile(f"{run_dir}/tensorboard", records)


def add_scalars(writer, record):
    for name, value in record.items():
        if name != "step":
            writer.add_scalar(f"train/{name}", value, record["step"])
    writer.flush()
