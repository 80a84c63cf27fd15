"""Progress in logs: a line when it is time, with the numbers that follow from the clock."""
import io
import sys

from tools import progress as module
from tools.progress import Progress, duration, progress


def clock(monkeypatch, step):
    """Every look at the clock is `step` seconds after the one before."""
    times = iter(range(10 ** 6))
    monkeypatch.setattr(module.time, "monotonic", lambda: next(times) * step)


def test_a_log_gets_a_line_every_30_seconds(monkeypatch, capsys):
    clock(monkeypatch, 10.0)
    assert list(progress(range(8), label="read", unit="image")) == list(range(8))
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["read: 3 of 8 images (37 %), 0.1 images/s, 0:50 left",
                     "read: 6 of 8 images (75 %), 0.1 images/s, 0:20 left"]


def test_short_work_says_nothing_in_a_log(capsys):
    assert list(progress(iter("abc"), label="read")) == ["a", "b", "c"]
    assert capsys.readouterr().err == ""


def test_without_a_total_there_is_no_rest(monkeypatch, capsys):
    clock(monkeypatch, 30.0)
    with Progress(None, "read", "byte") as bar:
        bar.advance(30_000)
    assert capsys.readouterr().err == "read: 30000 bytes, 1000 bytes/s\n"


def test_a_terminal_gets_a_bar(monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    assert list(progress([1, 2], label="read", unit="image")) == [1, 2]
    assert "read" in terminal.getvalue() and "2" in terminal.getvalue()


def test_durations():
    assert [duration(value) for value in (0, 59.6, 3723)] == ["0:00", "1:00", "1:02:03"]
