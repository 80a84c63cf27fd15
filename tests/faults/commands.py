"""The commands that faults are tried on: what they are called with, and what they leave."""
import json
import os
import resource
import signal
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from config import get_config
from convert.coco_classes import COCO_CLASSES
from tests.builders import ROOT, TINY, finds_many, save_network, tiny_config
from tests.training_process import NUM_STEPS, content
from tools.cli import run
from tools.data.scenes import CLASS_NAMES
from tools.data.shapes import write_split
from tools.stopping import CODES, leave

LIGHT = "solov2_light_448_r18_fpn_3x"                  # the smallest network that others have
HTML_END = b"</html>"


@dataclass(frozen=True)
class Command:
    """`module`.main(arguments), run in a folder; made by `commands`."""

    module: str
    parts: list                    # arguments, {out} stands for the folder
    content: str = "files"         # what it leaves: "files" or a "run"
    script: bool = False           # as a process of its own, which starts further ones
    weights: str = ""              # a file to copy into the folder as w.pdparams

    def arguments(self, folder):
        resume = Path(folder).glob("quickstart/checkpoint_*.pdstate")
        more = ["--resume"] if self.content == "run" and any(resume) else []
        return [*more, *(str(part).replace("{out}", str(folder)) for part in self.parts)]

    def left_in(self, folder):
        """{name: content} of what is there, to compare with that of other attempts."""
        if self.content == "files":
            return files_of(folder)
        whole, records = content(Path(folder, "quickstart"))
        return {**whole, "log.jsonl": records}


def files_of(folder):
    """{name: bytes} of the files that a command leaves, engines beside weights included.

    Of a page, which holds times, only that it is whole.
    """
    found = {}
    for path in sorted(Path(folder).rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            if path.suffix == ".html":
                data = data.rstrip()[-len(HTML_END):]
            found[path.relative_to(folder).as_posix()] = data
    return found


def make_inputs(folder):
    """Drawn images, weights that find something, and weights as mmdetection stores them."""
    write_split(folder, "train", 8, seed=5, size=96)
    write_split(folder, "val", 4, seed=5, size=96)
    info = json.loads(Path(folder, "val.json").read_text())
    Path(folder, "info.json").write_text(json.dumps({**info, "annotations": []}))
    save_network(folder, tiny_config(), CLASS_NAMES, finds_many, name="w")
    own = save_network(folder, get_config(LIGHT), COCO_CLASSES, name="own")
    convert = import_module("convert.__main__")
    convert.main([own, "--to", "mmdet3", "--output", f"{folder}/w.pth"])


def commands(inputs, address):
    """{name: Command}; inputs: folder of `make_inputs`, address: of a file on a slow server."""
    sets = {"train_json": f"{inputs}/train.json", "train_images": f"{inputs}/train",
            "val_json": f"{inputs}/val.json", "val_images": f"{inputs}/val",
            "test_json": f"{inputs}/info.json", "test_images": f"{inputs}/val"}
    run = {"max_steps": NUM_STEPS, "eval_every": 4, "log_every": 3, "ema_decay": 0.9,
           "num_workers": 1, "output_dir": "{out}"}
    settings = ["-o", *(f"{key}={value}" for key, value in {**TINY, **sets}.items())]
    training = ["--device", "cpu", *settings, *(f"{key}={value}" for key, value in run.items())]
    cpu = ["--device", "cpu", *settings, "--engine"]
    exact = [*cpu, "dygraph", "--weights", f"{inputs}/w.pdparams"]
    return {
        "train": Command("train", training, "run"),
        "train --processes 2": Command("train", ["--processes", "2", *training], "run", True),
        "eval": Command("eval", [*exact, "--results", "{out}/r.json", "--report", "{out}/r.html"]),
        "test_dev": Command("test_dev", [*exact, "--output", "{out}", "--algorithm", "a"]),
        "demo": Command("demo", [f"{inputs}/val", *exact, "--output", "{out}", "--results",
                                 "{out}/all.json", "--write", "labelme", "yolo", "masks", "csv"]),
        "demo, engine made": Command("demo", [
            f"{inputs}/val", *cpu, "onnxruntime", "--weights", "{out}/w.pdparams",
            "--output", "{out}/drawn"], weights=f"{inputs}/w.pdparams"),
        **{f"export {kind}": Command("tools.export.__main__", [
            "--device", "cpu", *settings, "--weights", f"{inputs}/w.pdparams",
            "--format", kind, "--output", "{out}/net"])
           for kind in ("onnx", "paddle", "openvino", "ncnn")},
        "convert": Command("convert.__main__", [
            f"{inputs}/w.pth", "--config", LIGHT, "--output", "{out}/w.pdparams"]),
        "download": Command("tests.faults.commands", [address, "{out}/file"]),
        "holdout": Command("tools.data.holdout", [
            f"{inputs}/train.json", "--every", "4", "--output", "{out}"]),
        "check_dataset": Command("tools.check_dataset.__main__", [
            *settings, "--output", "{out}"]),
        "shapes": Command("tools.data.shapes", ["--output", "{out}/set", "--train", "6",
                                                "--val", "2", "--size", "96"])}


def main(argv):
    """The download, which has no script of its own."""
    from tools.download import download

    download(*argv)


def call(command, folder, out, output, limit):
    """In a process: run a command in `folder` as its script would, told to write to `out`.

    What it says goes into the pipe `output`; limit: the most bytes that a file may have, as on a
    full disk; 0: any.
    """
    os.setsid()
    os.chdir(folder)
    for stream, name in enumerate(("stdout", "stderr"), 1):
        os.dup2(output.fileno(), stream)
        setattr(sys, name, open(stream, "w", buffering=1, closefd=False))
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    for number in CODES:
        signal.signal(number, leave)                   # as in a script that is still starting
    arguments = command.arguments(out)
    sys.argv = [f"{ROOT}/{command.module}.py", *arguments]
    run(import_module(command.module).main, arguments)
