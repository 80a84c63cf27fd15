"""An engine that ends the process is met twice, then auto goes on without it; nobody else is."""
import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from config import get_config
from tests.builders import ROOT, TINY
from tools.engines import cache, choice, marks
from tools.engines.exports import Exports
from tools.engines.open import open_engine
from tools.errors import UserError
from tools.runtime import threads

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no locks of this kind on Windows")
LEFT_OUT = "is left out, because the process ended the last 2 times that it was tried"


@pytest.fixture
def weights(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    path = tmp_path / "own.pdparams"
    path.write_bytes(b"weights")
    return str(path)


def trying(weights, ending):
    """tests/trying.py, started."""
    return subprocess.Popen(
        [sys.executable, str(ROOT / "tests" / "trying.py"), weights, ending], text=True, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))


def tried(weights, ending):
    """(exit code, what was said) of tests/trying.py."""
    process = trying(weights, ending)
    try:
        if ending == "stuck":
            assert process.stdout.readline() == "ready\n"
            process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    return process.returncode, said


def files_of_marks(weights):
    return [path for place in cache.cache_folders(weights) for path in place.glob("tried-*")]


@pytest.mark.parametrize("ending, code", [
    ("abort", -signal.SIGABRT), ("segfault", -signal.SIGSEGV), ("illegal", -signal.SIGILL),
    ("kill", -signal.SIGKILL), ("c-exit", 3)])
def test_what_ends_the_process_twice_is_left_out(ending, code, weights):
    assert tried(weights, ending) == (code, "")
    found, said = tried(weights, ending)
    assert found == code and said == (
        "note: the last process that tried engine 'x' ended meanwhile; if this one does too, auto "
        "goes on without it\n")
    found, said = tried(weights, ending)
    assert found == 2 and f"engine 'x' {LEFT_OUT}: python -m tools.engines --again --config " \
        f"quickstart --weights {weights} tries it once more" in said
    marks.forget(weights)
    assert tried(weights, "good") == (0, "") and not files_of_marks(weights)


@pytest.mark.parametrize("ending, code", [
    ("ctrl-c", 130), ("term", 143), ("stuck", 143), ("error", 2), ("exit", 0), ("good", 0)])
def test_other_ends_are_not_the_engines(ending, code, weights):
    assert tried(weights, "abort")[0] < 0 and len(files_of_marks(weights)) == 1
    assert tried(weights, ending)[0] == code
    assert not files_of_marks(weights)


def test_two_processes_at_once(weights):
    """Neither blames the other, however either of them ends."""
    living = trying(weights, "waits")
    assert living.stdout.readline() == "ready\n"
    for _ in range(3):
        assert tried(weights, "good") == (0, "")
        assert tried(weights, "abort") == (-signal.SIGABRT, "")
    assert len(files_of_marks(weights)) == 1
    assert living.communicate("go on\n", timeout=60)[1] == ""
    assert living.returncode == 0 and not files_of_marks(weights)


@pytest.mark.parametrize("blocked", [1, 2])
def test_where_the_cache_cannot_be_written(blocked, weights, tmp_path):
    """The next place, or no mark at all."""
    for name in ("own.pdparams.engines", "user")[:blocked]:
        (tmp_path / name).write_text("a file where the folder should be")
    for _ in range(3):
        code, said = tried(weights, "abort")
    assert (code, LEFT_OUT in said) == ((2, True) if blocked == 1 else (-signal.SIGABRT, False))
    marks.forget(weights)


def test_a_full_disk(weights, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(os, "write", full)
    with marks.attempt(SimpleNamespace(weights=weights), "engine 'x'", "key"):
        pass
    assert not files_of_marks(weights)


class Kind:
    """An engine that takes so many seconds; nothing is exported."""

    requirements = "requirements.txt"

    def __init__(self, name, seconds, package="numpy"):
        self.name, self.seconds, self.package = name, seconds, package
        self.needs = (package,)

    def half(self):
        return "bf16"


@pytest.fixture
def start(weights, monkeypatch):
    """start(dies) -> (engine's name, note) of a process that opens auto, None if it died.

    dies(kind, precision, "open" or "run"): called where an engine may end the process.  again: as
    after python -m tools.engines --again.
    """
    cfg = get_config("quickstart", **TINY)
    kinds = Kind("openvino", 1.0), Kind("ncnn", 1.2)
    monkeypatch.setattr(choice, "FAST", kinds)
    monkeypatch.setattr(choice, "LAST", ())
    monkeypatch.setattr(choice, "difference", lambda half, engine: 0.0)

    def opens(dies, again=False):
        def engine(self, kind, precision="float32", device="cpu"):
            choice.version_of(kind)
            dies(kind.name, precision, "open")
            return kind, precision

        def runs(engine, images):
            dies(engine[0].name, engine[1], "run")
            return engine[0].seconds * (2 if engine[1] == "half" else 1)
        monkeypatch.setattr(Exports, "engine", engine)
        monkeypatch.setattr(choice, "seconds_per_run", runs)
        monkeypatch.setattr(choice, "one_run", runs)
        return forked(weights, cfg, again)
    opens.kinds = kinds
    return opens


def forked(weights, cfg, again):
    """(name of the engine, note) as a process of its own finds them; None if it died."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if again:
                choice.measured_again(Exports(weights, cfg, None, threads()))
            (kind, _), note = open_engine("auto", "cpu", weights, cfg, None)
            os.write(theirs, f"{kind.name}\n{note}".encode())
        finally:
            os._exit(0)
    os.close(theirs)
    with open(ours, encoding="utf-8") as file:
        answer = file.read().partition("\n")
    assert (os.waitpid(child, 0)[1] != 0) == (answer[0] == "")
    return (answer[0], answer[2]) if answer[0] else None


def at(*moment):
    """Dies at a moment, as in `start`; without one, never."""
    def dies(*now):
        if now == moment:
            os.kill(os.getpid(), signal.SIGKILL)
    return dies


@pytest.mark.parametrize("moment", ["open", "run"])
def test_auto_goes_on_with_the_others(moment, start):
    dies = at("openvino", "float32", moment)
    assert start(dies) is None and start(dies) is None
    for _ in range(2):                                 # measured, then remembered
        name, note = start(dies)
        assert name == "ncnn" and note.startswith(f"engine 'openvino' {LEFT_OUT}")
    assert start(dies, again=True) is None
    assert start(at(), again=True) == ("openvino", "")


def test_half_precision_that_ends_the_process_leaves_the_engine(start):
    dies = at("openvino", "half", "run")
    assert start(dies) is None and start(dies) is None
    name, note = start(dies)
    assert name == "openvino" and f"engine 'openvino' in half precision {LEFT_OUT}" in note


def test_two_engines_in_turn_that_end_the_process(start, monkeypatch):
    """As where memory is enough for one of them only."""
    def in_turn(*args):
        os.kill(os.getpid(), signal.SIGKILL)
    monkeypatch.setattr(choice, "run_again", in_turn)
    alive = at()
    assert start(alive) is None and start(alive) is None
    assert start(alive) == ("openvino", "")


def test_an_engine_that_ends_a_later_start(start):
    assert start(at()) == ("openvino", "")
    dies = at("openvino", "float32", "open")
    assert start(dies) is None and start(dies) is None
    name, note = start(dies)
    assert name == "ncnn" and note.startswith(f"engine 'openvino' {LEFT_OUT}")


def test_an_import_that_ends_the_process(start, tmp_path, monkeypatch):
    (tmp_path / "of_another_processor.py").write_text("import os\nos.kill(os.getpid(), 9)\n")
    monkeypatch.syspath_prepend(tmp_path)
    start.kinds[0].package = "of_another_processor"
    start.kinds[0].needs = ("of_another_processor",)
    assert start(at()) is None and start(at()) is None
    for _ in range(2):
        name, note = start(at())
        assert name == "ncnn" and note.startswith(f"engine 'openvino' {LEFT_OUT}")


def test_the_engine_that_was_asked_for_is_not_affected(weights, monkeypatch):
    def refuse(*args):
        raise UserError("left out")
    monkeypatch.setattr(marks, "attempt", refuse)
    monkeypatch.setattr(Exports, "engine", lambda self, kind, *more: kind)
    kind, _ = open_engine("ncnn", "cpu", weights, get_config("quickstart"), None)
    assert kind.name == "ncnn"
