"""The commands and the Python of the first pages, run as they are printed, on a few small images.

Long ones are cut short by more arguments at their end (QUICK); a line whose comment says GPU,
network, hours or camera is left out.
"""
import json
import os
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

from tests.test_docs import ROOT, blocks, shell_commands
from tools.data.shapes import write_split

pytestmark = pytest.mark.slow
NOT_HERE = ("gpu", "network", "hours", "camera")
STEPS = ["-o", "max_steps=1", "batch_size=2", "num_workers=0"]
QUICK = {"train.py": STEPS, "eval.py": ["--engine", "dygraph"],
         "demo.py": ["--engine", "dygraph"],
         "tools.data.shapes": ["--train", "6", "--val", "3", "--size", "96"]}
PAGES = ("README.md", "docs/quickstart.md")


def labelme_folder(folder):
    """Four grey photographs with a light square, and their labelme files."""
    folder.mkdir()
    for number in range(4):
        image = np.full((96, 128, 3), 90, np.uint8)
        image[20:70, 30:80] = 200
        cv2.imwrite(f"{folder}/{number}.jpg", image)
        shape = {"label": "box", "points": [[30, 20], [80, 20], [80, 70], [30, 70]],
                 "shape_type": "polygon", "group_id": None, "flags": {}}
        (folder / f"{number}.json").write_text(json.dumps(
            {"version": "5.4.1", "flags": {}, "shapes": [shape], "imagePath": f"{number}.jpg",
             "imageData": None, "imageHeight": 96, "imageWidth": 128}))


@pytest.fixture
def place(tmp_path):
    """A checkout to run in, with the files that the pages speak of."""
    for name in ("config", "model", "tools", "convert", "images", "demo.py", "train.py", "eval.py",
                 "test_dev.py"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "weights").mkdir()
    shutil.copy(ROOT / "weights/quickstart.pdparams", tmp_path / "weights")
    shutil.copy(ROOT / "images/test/000001.jpg", tmp_path / "photo.jpg")
    labelme_folder(tmp_path / "my_labelme_folder")
    return tmp_path


def run(words, folder):
    done = subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, text=True,
                          timeout=200, env={**os.environ, "PYTHONPATH": str(folder)})
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"


def quick(words):
    """The words of a command with what makes it short."""
    name = words[1] if words[0] == "-m" else words[0]
    more = QUICK.get(name, [])
    if "-o" in words and "-o" in more:                 # ours come last and win
        position = more.index("-o")
        return [*words, *more[position + 1:], *more[:position]]
    return [*words, *more]


@pytest.mark.parametrize("page", PAGES)
def test_commands_run_as_printed(page, place):
    write_split(place / "data" / "shapes", "train", 4, seed=1, size=96)
    lines = [line for body in blocks(ROOT / page, "bash") for line in body.splitlines()]
    left_out = [line for line in lines if any(word in line.partition("#")[2].lower()
                                              for word in NOT_HERE)]
    ran = 0
    for words in shell_commands(ROOT / page):
        if words[0].endswith("python") and not any(" ".join(words) in line for line in left_out):
            run(quick(words[1:]), place)
            ran += 1
    assert ran >= 3


@pytest.mark.parametrize("page", ["README.md"])
def test_python_runs_as_printed(page, place):
    code = "\n".join(blocks(ROOT / page, "python"))
    (place / "lines.py").write_text(code, encoding="utf-8")
    run(["lines.py"], place)
    assert (place / "result.jpg").stat().st_size > 1000
