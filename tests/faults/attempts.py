"""One attempt at a command under a fault, and how it ended."""
import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Pipe
from pathlib import Path

from tests.builders import ROOT
from tests.faults.commands import call

PATIENCE = 30                      # seconds where 3 are promised: the machine may be busy
WHOLE = 300                        # seconds for a command that nothing stops


@dataclass(frozen=True)
class Ending:
    """How an attempt ended.

    code: of its process, None if that had to be killed; text: what it said; seconds: from the
    signal on, else of the whole; signalled: whether the signal still met it; orphans: pids of
    processes that it left.
    """

    code: int | None
    text: str
    seconds: float
    signalled: bool
    orphans: tuple

    @property
    def has_traceback(self):
        """Of Python; Paddle's own words on a signal are a "C++ Traceback"."""
        return "\nTraceback (most recent call last)" in "\n" + self.text


class Forked:
    """A command in a process forked from a server that has imported Paddle, with one thread."""

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.conftest", "tests.faults.commands"])

    def __init__(self, command, folder, out, limit):
        said, writer = Pipe(duplex=False)
        self.process = self.context.Process(
            target=call, args=(command, str(folder), str(out), writer, limit))
        self.process.start()
        writer.close()
        self.pid, self.said = self.process.pid, said

    def wait(self, seconds):
        """The exit code, or None if it is not over by then."""
        self.process.join(seconds)
        return self.process.exitcode


class Script:
    """A command as a script of its own, which may start further processes."""

    def __init__(self, command, folder, out, limit):
        self.process = subprocess.Popen(
            [sys.executable, f"{ROOT}/{command.module}.py", *command.arguments(str(out))],
            cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            env={**os.environ, "PYTHONPATH": str(ROOT)})
        self.pid, self.said = self.process.pid, self.process.stdout

    def wait(self, seconds):
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.process.wait(seconds)


def attempt(command, folder, number=None, after=WHOLE, limit=0, choose=min,
            inside=""):
    """The Ending of a command that gets signal `number`, if it is still there, `after` so many
    seconds.

    limit: the most bytes that a file of its may have, 0 for any; choose: takes the process that is
    met from all pids of the command; inside: where in the folder it is told to write.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    job = (Script if command.script else Forked)(command, folder, Path(folder, inside), limit)
    parts, began = [], time.monotonic()
    reader = threading.Thread(target=read_all, args=(job.said, parts), daemon=True)
    reader.start()
    code = job.wait(after)
    signalled = code is None and number is not None
    if signalled:
        began = time.monotonic()
        with contextlib.suppress(ProcessLookupError):
            os.kill(choose(processes_of(job.pid) or (job.pid,)), number)
        code = job.wait(PATIENCE)
    seconds = time.monotonic() - began
    orphans = () if code is None else wait_for_session(job.pid)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(job.pid, signal.SIGKILL)
    job.wait(PATIENCE)
    reader.join(PATIENCE)
    job.said.close()
    return Ending(code, b"".join(parts).decode(errors="replace"), seconds, signalled, orphans)


def read_all(pipe, parts):
    while part := os.read(pipe.fileno(), 1 << 16):
        parts.append(part)


def wait_for_session(session):
    """Pids of a session that still live when PATIENCE is over."""
    deadline = time.monotonic() + PATIENCE
    while (left := processes_of(session)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def processes_of(session):
    """Pids of the living processes of a session (Linux)."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, _, number = path.read_text().rpartition(")")[2].split()[:4]
            if int(number) == session and state not in "ZX":
                found.append(int(path.parent.name))
    return tuple(found)
