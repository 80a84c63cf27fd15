"""A script that test_engine_marks.py runs: it tries an engine and ends in one of many ways.

python tests/trying.py WEIGHTS ENDING
"""
import ctypes
import os
import signal
import sys
import time
from types import SimpleNamespace

from tests.stuck import in_c
from tools.cli import run
from tools.engines import marks
from tools.errors import UserError


def signalled(number):
    """An ending by a signal to this process."""
    def end():
        os.kill(os.getpid(), number)
        time.sleep(60)
    return end


def fails():
    raise UserError("it cannot run the network")


def waits():
    print("ready", flush=True)
    sys.stdin.readline()


ENDINGS = {
    "abort": os.abort, "segfault": signalled(signal.SIGSEGV), "illegal": signalled(signal.SIGILL),
    "kill": signalled(signal.SIGKILL), "c-exit": lambda: ctypes.CDLL(None)._exit(3),
    "ctrl-c": signalled(signal.SIGINT), "term": signalled(signal.SIGTERM),
    "stuck": lambda: in_c([]), "error": fails, "exit": sys.exit, "good": lambda: None,
    "waits": waits}


def main(argv):
    weights, ending = argv
    exports = SimpleNamespace(weights=weights, cfg=SimpleNamespace(
        name="quickstart", weights_path="weights/quickstart.pdparams"))
    with marks.attempt(exports, "engine 'x'", "key"):
        ENDINGS[ending]()


if __name__ == "__main__":
    run(main, sys.argv[1:])
