"""Scripts that test_stopping.py runs: stuck where no signal is heard, or left by a launcher."""
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time

from tools.cli import TERMINATED, run
from tools.finishing import Finishing
from tools.stopping import PARENT, exit_at_once


def in_c(argv):
    """Wait for ever for a lock of the C library, which no signal interrupts."""
    lock, libc = ctypes.create_string_buffer(256), ctypes.CDLL(None)
    libc.pthread_mutex_lock(lock)
    threading.Timer(0.5, print, ["ready"], {"flush": True}).start()
    libc.pthread_mutex_lock(lock)


def in_python(argv):
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        print("tidied up", flush=True)


def in_order(argv):
    """Three seconds of work that must end, then a part that may be broken off."""
    with Finishing() as signals:
        print("ready", flush=True)
        done = time.monotonic() + 3
        while time.monotonic() < done:
            time.sleep(0.1)
        print("worked", flush=True)
        with signals.abandonable():
            time.sleep(60)


def twice(argv):
    """Work that has ended in order when the launcher signals once more."""
    with Finishing() as signals:
        print("ready", flush=True)
        while not signals.signalled:
            time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGTERM)
    print("saved", flush=True)
    return TERMINATED


def in_library(argv):
    """A library that makes an error of its own of whatever goes wrong."""
    try:
        print("ready", flush=True)
        time.sleep(60)
    except BaseException as error:
        raise ValueError(f"cannot compile: {error}") from error


def stuck_in_order(argv):
    with Finishing() as signals, signals.abandonable():
        in_c(argv)


def early(argv):
    exit_at_once()
    print("ready", flush=True)
    time.sleep(60)


def launcher(argv):
    child = subprocess.Popen([sys.executable, __file__, "orphan"], start_new_session=True)
    print(child.pid, flush=True)
    time.sleep(60)


def orphan(argv):
    from tools.distributed import end_without  # imports Paddle
    end_without(PARENT)
    print("ready", flush=True)
    time.sleep(120)


if __name__ == "__main__":
    what = globals()[sys.argv[1]]
    what([]) if what in (early, launcher) else run(what, [])
