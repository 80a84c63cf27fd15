"""A short campaign of every kind from fixed seeds; python -m tests.fuzz goes on from there."""
import os
import signal
import sys
import time

import pytest

from tools.errors import UserError

if sys.platform == "win32":
    pytest.skip("needs fork", allow_module_level=True)

from tests.fuzz.kinds import KINDS
from tests.fuzz.run import campaign, problem
from tests.fuzz.sandbox import Outcome, run_all

COUNT = 40


@pytest.mark.parametrize("kind", KINDS)
def test_short_campaign(kind):
    counts, findings = campaign(kind, range(COUNT))
    assert not findings, "\n".join(f"seed {seed}: {text}" for seed, text in findings)
    assert counts["refused"] + counts["ok"] == COUNT and counts["refused"] > COUNT // 4


def misbehave(how):
    """What a reader must not do, one way each."""
    if how == "hang":
        time.sleep(60)
    elif how == "bomb":
        return [bytes(1 << 30) for _ in range(100)]
    elif how == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "refuse":
        raise UserError("a sentence")
    elif how == "escape":
        raise UserError("\x1b[2J")
    elif how == "raise":
        raise KeyError("x")


def test_the_sandbox_finds_what_it_should():
    """Hangs, bombs, crashes and tracebacks are findings, and the next input is still judged."""
    inputs = ["fine", "hang", "bomb", "crash", "raise", "escape", "refuse", "fine"]
    outcomes = [outcome for _, outcome in run_all(misbehave, inputs, hang=5)]
    assert [outcome.kind for outcome in outcomes] == [
        "ok", "hang", "traceback", "died", "traceback", "refused", "refused", "ok"]
    assert "MemoryError" in outcomes[2].text
    assert [bool(problem(outcome)) for outcome in outcomes] == [
        False, True, True, True, True, True, False, False]
    assert problem(Outcome("ok", seconds=9)) and problem(Outcome("ok", peak=1 << 30))
