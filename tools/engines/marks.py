"""Marks of what auto tries: an engine that ends the process (a crash, no memory) is left out.

A mark is a file beside the exports, with a line for each try.  It is removed at the end of a try,
an error or Ctrl-C included; only a process that died leaves it.  One line is no proof, as a closed
terminal or `kill -9` leaves one too: two are.  Who tries holds the file's lock until the process
ends, so of several at once only the first one marks, and none blames another that still lives.
Where nothing can be written or locked (Windows), nothing is marked.
"""
import contextlib
import hashlib
import os
import shlex
import sys
from pathlib import Path

from tools.engines import cache
from tools.errors import UserError
from tools.files import UNFINISHED, open_alone

ENOUGH = 2                         # tries that ended the process; then there is no further one
PREFIX = "tried-"


@contextlib.contextmanager
def attempt(exports, what, key):
    """A block that tries `what`, in words ("engine 'ncnn'").  key: on what its end depends.
    UserError instead of the block where that has ended the process before."""
    file = open_mark(exports.weights, what, key)
    if file is None:
        yield
        return
    with file:
        file.seek(0)
        judge(exports, what, len(file.readlines()))
        try:
            UNFINISHED.add(Path(file.name))            # so it goes after a signal as well
            with contextlib.suppress(OSError):         # a full disk
                os.write(file.fileno(), f"{what}\n".encode())
            yield
        finally:
            with contextlib.suppress(OSError):
                file.truncate(0)
                os.unlink(file.name)
            UNFINISHED.discard(Path(file.name))


def open_mark(weights, what, key):
    """The mark's file, locked; None if a living process holds it, or where there is no place."""
    name = PREFIX + hashlib.sha256(f"{what} {key}".encode()).hexdigest()[:20]
    for folder in cache.cache_folders(weights):
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            return open_alone(folder / name)
    return None


def judge(exports, what, ends):
    """UserError if so many tries have ended the process that there shall be no further one."""
    if ends >= ENOUGH:
        raise UserError(f"{what} is left out, because the process ended the last {ends} times that "
                        f"it was tried: {again(exports)} tries it once more")
    if ends:
        print(f"note: the last process that tried {what} ended meanwhile; if this one does too, "
              "auto goes on without it", file=sys.stderr)


def again(exports):
    """The command that forgets the marks, as it can be copied."""
    weights, usual = (Path(path).resolve() for path in (exports.weights, exports.cfg.weights_path))
    named = "" if weights == usual else f" --weights {shlex.quote(str(weights))}"
    return f"python -m tools.engines --again --config {exports.cfg.name}{named}"


def forget(weights):
    """Remove all marks of a weights file."""
    for folder in cache.cache_folders(weights):
        with contextlib.suppress(OSError):
            for path in folder.glob(f"{PREFIX}*"):
                path.unlink()
