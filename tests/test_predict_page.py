"""docs/predict.md: every row of its tables of inputs, outputs and calls, run as it stands there."""
import functools
import io
import re
import runpy
import shlex
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.builders import TINY, finds_many, save_network, tiny_config
from tools.inference.predictor import Predictor

ROOT = Path(__file__).resolve().parent.parent
CLASSES = ("circle", "triangle", "rectangle", "star", "ring", "cross")
PAGE = (ROOT / "docs/predict.md").read_text(encoding="utf-8")


def rows(heading):
    """The cells of each row of the table below the line that begins with `heading`."""
    lines = PAGE[PAGE.index(f"| {heading} |"):].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip(" `") for cell in line.strip("|").split(" | ")] for line in lines]


INPUTS, OUTPUTS, CALLS = rows("after `python demo.py`"), rows("after `--write`"), rows("call")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return save_network(tmp_path_factory.mktemp("weights"), tiny_config(), CLASSES, finds_many)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The example folder of the page, as the current one."""
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    for name in ("photo.jpg", "more/a.jpg", "more/b.jpg", "more/photo.jpg", "more/sub/c.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / name), image)
    codec = cv2.VideoWriter_fourcc(*"mp4v")
    video = cv2.VideoWriter(str(tmp_path / "clip.mp4"), codec, 10, (80, 60))
    for _ in range(4):
        video.write(image)
    video.release()
    (tmp_path / "list.txt").write_text("# two\nphoto.jpg\nmore/b.jpg\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO("photo.jpg\nmore/b.jpg\n"))
    return tmp_path


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def host(folder):
    """The address of a server of the example folder."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@functools.cache
def demo():
    return runpy.run_path(str(ROOT / "demo.py"), run_name="demo")["main"]


def run(words, weights):
    """The exit code of demo.py; what it writes lies in images/res."""
    settings = [f"{key}={value}" for key, value in TINY.items()]
    return demo()([*words, "--weights", weights, "--engine", "dygraph", "--device", "cpu", "-o",
                   *settings])


def test_the_tables_are_found():
    assert len(INPUTS) >= 15 and len(OUTPUTS) >= 10 and len(CALLS) >= 25


@pytest.mark.parametrize("arguments, _, expected", INPUTS, ids=[row[0] for row in INPUTS])
def test_inputs(folder, host, weights, arguments, _, expected):
    words = [word.replace("http://host", host) for word in shlex.split(arguments)]
    assert run(words, weights) == (1 if "missing" in arguments else 0)
    written = [path.relative_to(folder / "images/res").as_posix()
               for path in (folder / "images/res").rglob("*") if path.suffix in (".jpg", ".mp4")]
    assert sorted(written) == sorted(expected.split())


@pytest.mark.parametrize("names, _, expected", OUTPUTS, ids=[row[0] for row in OUTPUTS])
def test_outputs(folder, weights, names, _, expected):
    assert run(["photo.jpg", "--score-threshold=0", "--write", *names.split()], weights) == 0
    for name in expected.split():
        path = folder / "images/res" / name
        assert path.stat().st_size > 0 and (not path.is_dir() or list(path.iterdir())), name


def test_every_format_has_a_row():
    from tools.inference.writers.formats import FORMATS

    assert {"images", *(name for row in OUTPUTS for name in row[0].split())} == set(FORMATS)


@pytest.fixture(scope="module")
def predictor(weights):
    return Predictor(tiny_config(), weights, engine="dygraph", device="cpu")


@pytest.mark.parametrize("call, returns, _", CALLS, ids=[row[0] for row in CALLS])
def test_calls(folder, host, predictor, call, returns, _):
    rgb = np.ascontiguousarray(cv2.imread("photo.jpg")[..., ::-1])
    known = {"predictor": predictor, "cv2": cv2, "Image": Image, "rgb": rgb, "grey": rgb[..., 0],
             "rgba": np.dstack([rgb, rgb[..., :1]]), "instances": predictor("photo.jpg")}
    value = eval(call.replace("http://host", host), known)
    assert type(value).__name__.replace("WindowsPath", "PosixPath") == returns
    if returns in ("list", "generator"):
        assert len(list(value)) > 0


def test_python_example(folder, weights, monkeypatch, capsys):
    code = re.search(r"```python\n(.*?)```", PAGE, re.S)[1]
    exec(code.replace('"quickstart")', '"quickstart", engine="dygraph", device="cpu")'), {})
    assert "ImageInstances(" in capsys.readouterr().out and (folder / "drawn.jpg").stat().st_size
