"""Ctrl-C and SIGTERM end a script within PATIENCE seconds, whatever it is doing.

While it starts, at once.  Later by KeyboardInterrupt in the main thread, so that files which are
being written vanish; where that thread does not come back from a library's call in time, a watcher
does the same without it.  Only for our own scripts: a library must not touch its user's signals.
"""
import contextlib
import os
import signal
import socket
import sys
import threading
from pathlib import Path

from tools.files import remove_unfinished

PATIENCE = 1.5                     # seconds for the main thread to come back
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}              # 128 + the signal, as shells say it
NAMES = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
AT_END = []                        # functions(exit code) that a script calls last
LAUNCHER = "SOLOV2_LAUNCHER"       # its pid, in the environment of the processes it starts
PARENT = int(os.environ.get(LAUNCHER) or os.getppid())         # who started this process
ROOT = Path(__file__).resolve().parent.parent


class Stopped(KeyboardInterrupt):
    """A signal asked the script to end."""

    def __init__(self, number):
        super().__init__(NAMES[number])
        self.signal = number


def is_own_script():
    """Whether this process runs one of the scripts or commands of this project."""
    path = getattr(sys.modules.get("__main__"), "__file__", None)
    if path is None or sys.argv[:1] == ["-c"]:
        return False
    path = Path(path).resolve()
    return path.parent == ROOT or bool(
        {ROOT / "tools", ROOT / "convert", ROOT / "tests"} & set(path.parents))


def exit_at_once():
    """From now on a signal ends this script directly: for the time before there is any work.

    Again after Paddle is imported, which puts handlers of its own in their place.
    """
    for number in CODES:
        if signal.getsignal(number) in (signal.default_int_handler, signal.SIG_DFL, leave):
            signal.signal(number, leave)


def leave(number, _=None):
    """End the process with the code of a signal and without files that are half written."""
    remove_unfinished()
    with contextlib.suppress(OSError, ValueError):
        print(f"\n{NAMES[number]}", file=sys.stderr, flush=True)
        sys.stdout.flush()
    os._exit(CODES[number])


@contextlib.contextmanager
def interruptible():
    """Signals raise Stopped in this block, and end the process where that takes too long.

    A signal that is ignored stays so (background jobs of a shell), and a handler that the block
    sets itself is its own affair.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in CODES}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, raise_stopped)
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    previous = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    owner = os.getpid()
    threading.Thread(target=watch, args=(ours,), daemon=True).start()
    try:
        yield
    except Exception as error:
        if stop := stop_behind(error):
            raise stop from None
        raise
    finally:
        if os.getpid() == owner:
            signal.set_wakeup_fd(previous)
            for number, handler in before.items():
                signal.signal(number, handler or signal.SIG_DFL)
            theirs.close()


def raise_stopped(number, frame):
    if is_importing(frame):        # libraries in C make other errors of it there, or crash
        leave(number)
    raise Stopped(number)


def stop_behind(error):
    """The Stopped of which a library has made another error; None where there is none."""
    while error and not isinstance(error, Stopped):
        error = error.__cause__ or error.__context__
    return error


def is_importing(frame):
    """Whether a stack is within an import."""
    while frame and not frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return frame is not None


def watch(wakeups):
    """Wait for a signal, then for the main thread; leave without it after PATIENCE."""
    while received := wakeups.recv(1):
        number = received[0]
        if number in CODES and signal.getsignal(number) is raise_stopped:
            wakeups.settimeout(PATIENCE)
            with contextlib.suppress(TimeoutError):
                while wakeups.recv(16):
                    pass
                return                                 # the block ended in time
            leave(number)


if hasattr(os, "register_at_fork"):                    # a child's signals are not ours
    os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))
