"""Ctrl-C and SIGTERM leave no half-written file, and a program of a user its own handlers."""
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.skipif(os.name == "nt", reason="no signals to one process on Windows")
SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
HEAD = """
import sys, time
from tools.cli import run
from tools.files import atomic_file
"""
# What the main thread does when the signal comes; `ready` says that it has begun.
PHASES = {
    "writing": """
def main(argv):
    with atomic_file(sys.argv[1] + "/whole.json") as file:
        file.write(b"half"); ready(); time.sleep(60)
""",
    "busy in a library": """
import ctypes
def main(argv):
    with atomic_file(sys.argv[1] + "/whole.json") as file:
        file.write(b"half"); ready(); ctypes.CDLL(None).sleep(60)
""",
    "importing what makes other errors of it": """
def main(argv):
    import time
    name = sys.argv[1] + "/module_that_waits.py"
    with atomic_file(sys.argv[1] + "/whole.json") as file:
        with open(name, "w") as module:
            module.write("import time, builtins\\nbuiltins.ready()\\ntry: time.sleep(60)\\n"
                         "except BaseException: raise ImportError('initialization failed')")
        sys.path.append(sys.argv[1]); sys.dont_write_bytecode = True
        import builtins, os
        builtins.ready = lambda: (os.unlink(name), ready())
        import module_that_waits
""",
    "swallowing errors": """
def main(argv):
    ready()
    while True:
        try: time.sleep(60)
        except BaseException: pass
"""}


@pytest.fixture(autouse=True)
def heard():
    """Child processes take SIGINT, which a shell's background jobs inherit as ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def stopped(folder, code, number):
    """(exit code, seconds until the end, stderr) of a program that gets a signal once ready."""
    program = f'{HEAD}\ndef ready(): print("ready", flush=True)\n{code}\nrun(main)\n'
    process = subprocess.Popen([sys.executable, "-c", program, str(folder)], cwd=ROOT, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    start = time.monotonic()
    _, errors = process.communicate(timeout=40)
    return process.returncode, time.monotonic() - start, errors


@pytest.mark.parametrize("number, code", SIGNALS)
@pytest.mark.parametrize("phase", PHASES)
def test_every_phase_ends_in_time(tmp_path, phase, number, code):
    returned, seconds, errors = stopped(tmp_path, PHASES[phase], number)
    assert returned == code and seconds < 8, errors     # 1.6 s on an idle machine
    assert "Traceback" not in errors and errors.strip() in ("interrupted", "terminated")
    assert list(tmp_path.iterdir()) == []


def test_a_handler_of_the_program_is_left_alone(tmp_path):
    code = """
import signal
def main(argv):
    asked = []
    signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
    ready()
    while not asked: time.sleep(0.05)
    time.sleep(2.5)
    return 7
"""
    assert stopped(tmp_path, code, signal.SIGTERM)[0] == 7


@pytest.mark.parametrize("number, code", SIGNALS)
def test_a_script_that_is_still_starting(number, code):
    process = subprocess.Popen([sys.executable, "-X", "importtime", "demo.py"], cwd=ROOT, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    for line in process.stderr:
        if "numpy" in line:                            # within the import of Paddle
            break
    process.send_signal(number)
    _, errors = process.communicate(timeout=40)
    assert process.returncode in (code, -number) and "Traceback" not in errors


def test_a_user_s_program_keeps_its_signals():
    code = ("import signal; from tools.runtime import configure; configure(); "
            "print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)")
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True,
                          check=True).stdout == "True\n"
