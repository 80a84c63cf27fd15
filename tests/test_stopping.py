"""Ctrl-C and SIGTERM end a script within seconds, wherever it is stuck."""
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.skipif(os.name == "nt", reason="no such signals on Windows")


def signalled(what, number):
    """(exit code, seconds from the signal to the end, all that was printed)."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "tests" / "stuck.py"), what], text=True, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    printed = []
    for line in process.stdout:
        printed.append(line)
        if line == "ready\n":
            break
    sent = time.monotonic()
    process.send_signal(number)
    try:
        printed.append(process.communicate(timeout=40)[0])
    finally:
        process.kill()
    return process.returncode, time.monotonic() - sent, "".join(printed)


@pytest.mark.parametrize("what, number, code, text", [
    ("in_c", signal.SIGINT, 130, ""), ("in_c", signal.SIGTERM, 143, ""),
    ("in_python", signal.SIGINT, 130, "tidied up\n"),
    ("in_python", signal.SIGTERM, 143, "tidied up\n"),
    ("in_library", signal.SIGINT, 130, ""), ("in_library", signal.SIGTERM, 143, ""),
    ("twice", signal.SIGTERM, 143, "saved\n"),
    ("early", signal.SIGINT, 130, ""), ("early", signal.SIGTERM, 143, ""),
    ("in_order", signal.SIGINT, 130, ""), ("in_order", signal.SIGTERM, 143, "worked\n"),
    ("stuck_in_order", signal.SIGINT, 130, ""), ("stuck_in_order", signal.SIGTERM, 143, "")])
def test_every_way_of_being_busy_ends(what, number, code, text):
    returned, seconds, printed = signalled(what, number)
    said = "\ninterrupted\n" if number == signal.SIGINT else "\nterminated\n"
    assert (returned, printed) == (code, f"ready\n{text}{said}")
    assert seconds < 20                                # 2 to 4, of a machine that is not busy
    assert what != "in_order" or number == signal.SIGINT or seconds > 3.5


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="no /proc")
def test_an_orphan_ends():
    """A process whose launcher was killed, and which nobody else would end."""
    code, _, printed = signalled("launcher", signal.SIGKILL)
    assert code == -signal.SIGKILL and "the launcher of this process is gone" in printed
    pid, deadline = printed.split()[0], time.monotonic() + 30
    while os.path.exists(f"/proc/{pid}") and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not os.path.exists(f"/proc/{pid}")
