"""demo.py from its command line: files, exit codes, interruption, the bundled weights."""
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from config import get_config
from tests.builders import finds_many, save_network
from tools.inference.sources import find_images
from tools.inference.writers.image_file import write_image

ROOT = Path(__file__).resolve().parent.parent
CLASSES = ("circle", "triangle", "rectangle", "star", "ring", "cross")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Random quick-start weights that find many things."""
    return save_network(tmp_path_factory.mktemp("weights"), get_config("quickstart"), CLASSES,
                        finds_many)


@pytest.fixture
def photos(tmp_path):
    """A folder of awkward names, one truncated image and a file that is no image at all."""
    rng = np.random.default_rng(0)
    for number, name in enumerate(("a.jpg", "a.png", "a.v2.jpg", "sub/ü [1].png")):
        image = rng.integers(0, 256, (60 + 10 * number, 90, 3), np.uint8)
        write_image(tmp_path / "in" / name, image)
    whole = (tmp_path / "in/a.jpg").read_bytes()
    (tmp_path / "in/broken.jpg").write_bytes(whole[:len(whole) // 2])
    (tmp_path / "in/notes.txt").write_text("not an image")
    return tmp_path / "in"


def command(*args):
    return [sys.executable, "demo.py", "--device=cpu", *map(str, args)]


def demo(*args):
    return subprocess.run(command(*args), cwd=ROOT, capture_output=True, text=True, timeout=300,
                          check=False)


def test_folder_with_a_broken_image(tmp_path, photos, weights):
    result = demo("--weights", weights, "--input", photos, "--output", tmp_path / "out",
                  "--score-threshold", 0, "--results", tmp_path / "all.json", "--recursive",
                  "--write", "polygons", "labelme")
    assert result.returncode == 1, result.stderr
    assert "broken.jpg' is truncated" in result.stderr and "1 of 5 images" in result.stderr
    for text in ("runtime: ", "config quickstart", weights, "decode", "pre-process", "network",
                 "post-process", "draw + write", "FPS"):
        assert text in result.stdout
    names = ["a.jpg", "a.png", "a.v2.jpg", "sub/ü [1].png"]
    assert [name for _, name in find_images(str(tmp_path / "out"))] == names

    count = 0
    for name in names:
        stem = {"a.v2.jpg": "a.v2", "sub/ü [1].png": "sub/ü [1]"}.get(name, name)
        labelme = json.loads((tmp_path / f"out/{stem}.json").read_text())
        path = (tmp_path / f"out/{stem}.json").parent / labelme["imagePath"]
        assert not os.path.isabs(labelme["imagePath"]) and path.samefile(photos / name)
        count += len(json.loads((tmp_path / f"out/{name}.polygons.json").read_text())["objects"])
    content = json.loads((tmp_path / "all.json").read_text())
    assert 0 < count == sum(entry["bbox"][2] > 0 for entry in content["annotations"])
    assert [image["file_name"] for image in content["images"]] == names
    assert [category["name"] for category in content["categories"]] == list(CLASSES)
    assert f"{len(content['annotations'])} drawn instances" in result.stdout
    assert {result["category_id"] for result in content["annotations"]} <= set(range(1, 7))


def test_nothing_found_is_an_ordinary_result(tmp_path, photos, weights):
    result = demo("--weights", weights, "--input", photos / "a.png", "--output", tmp_path / "out",
                  "-o", "score_threshold=1.0", "--results", tmp_path / "all.json")
    assert result.returncode == 0, result.stderr
    assert "1 images with 0 drawn instances" in result.stdout
    source, drawn = (cv2.imread(str(folder / "a.png")) for folder in (photos, tmp_path / "out"))
    assert np.array_equal(source, drawn)
    assert json.loads((tmp_path / "all.json").read_text())["annotations"] == []


@pytest.mark.parametrize("args, message", [
    (["--input", "no/such/folder"], "'no/such/folder' does not exist"),
    (["--input", "{empty}"], "no images in"),
    (["--config", "no_such"], "no config 'no_such'"),
    (["-o", "seeed=1"], "unknown setting 'seeed'"),
    (["--weights", "no/such.pdparams", "--input", "{photo}"], "no weights file 'no/such.pdparams'"),
    (["--device", "tpu", "--input", "{photo}"], "unknown device 'tpu'")])
def test_bad_input_exits_with_2(tmp_path, photos, args, message):
    (tmp_path / "empty").mkdir()
    paths = {"photo": photos / "a.png", "empty": tmp_path / "empty"}
    result = demo("--output", tmp_path / "out", *(arg.format(**paths) for arg in args))
    assert result.returncode == 2
    assert f"error: {message}" in result.stderr and "Traceback" not in result.stderr


@pytest.fixture
def interruptible():
    """Child processes take SIGINT, which a shell's background jobs inherit as ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(os.name == "nt", reason="SIGINT cannot be sent to one process on Windows")
def test_interrupt_ends_at_once(tmp_path, weights, interruptible):
    image = np.random.default_rng(0).integers(0, 256, (600, 900, 3), np.uint8)
    for number in range(300):
        write_image(tmp_path / f"in/{number}.jpg", image)
    output = tmp_path / "out"
    process = subprocess.Popen(command("--weights", weights, "--input", tmp_path / "in",
                                       "--output", output), cwd=ROOT, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not list(output.glob("*.jpg")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    start = time.monotonic()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert time.monotonic() - start < 5 and "Traceback" not in errors
    assert 0 < len(list(output.glob("*.jpg"))) < 300


def test_bundled_weights_on_the_bundled_images(tmp_path):
    """What `make demo` runs, to another folder."""
    result = demo("--output", tmp_path)
    assert result.returncode == 0, result.stderr
    sources, drawn = find_images(str(ROOT / "images/test")), find_images(str(tmp_path))
    assert len(sources) == len(drawn) > 0
    assert " 0 drawn instances" not in result.stdout
