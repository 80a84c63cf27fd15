"""Silence for native libraries, which write past Python's own streams."""
import contextlib
import os
import sys


@contextlib.contextmanager
def quiet_output():
    """Keep what native code writes to standard output and error away from the terminal."""
    for stream in filter(None, (sys.stdout, sys.stderr)):    # None: a daemon, a window
        stream.flush()
    saved = {}
    with open(os.devnull, "w") as nowhere:
        try:
            for number in (1, 2):
                with contextlib.suppress(OSError):           # it is closed
                    saved[number] = os.dup(number)
                    os.dup2(nowhere.fileno(), number)
            yield
        finally:
            for number, copy in saved.items():
                os.dup2(copy, number)
                os.close(copy)
