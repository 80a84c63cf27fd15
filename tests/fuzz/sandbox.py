"""Runs a function on inputs in a child process, so that a hang or a memory bomb is a result.

The child takes one input after the other; when it dies or hangs, the parent knows at which, and a
new child goes on with the next.  POSIX only.
"""
import os
import pickle
import resource
import select
import signal
import struct
import time
import traceback
from dataclasses import dataclass

from config.base import ConfigError
from tools.errors import UserError

ADDRESS_SPACE = 3 << 30            # bytes beyond what the child has at its start
HANG = 30.0                        # seconds without a result


@dataclass
class Outcome:
    """What became of one input.

    kind: "ok", "refused" (UserError or ConfigError), "traceback", "hang" or "died"; seconds: CPU
    time; peak: bytes of memory beyond what the child had before, 0 where the system does not say.
    """

    kind: str
    text: str = ""
    seconds: float = 0.0
    peak: int = 0


def run_all(function, inputs, hang=HANG):
    """Yields (input, Outcome) of function(input) for each of the inputs, in a child process."""
    inputs, position = list(inputs), 0
    while position < len(inputs):
        for outcome in run_until_failure(function, inputs[position:], hang):
            yield inputs[position], outcome
            position += 1


def run_until_failure(function, inputs, hang):
    """Outcomes in the order of the inputs; ends early after a child that died or hung."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        work(function, inputs, writer)                   # does not return
    os.close(writer)
    try:
        with os.fdopen(reader, "rb", buffering=0) as pipe:
            for _ in inputs:
                outcome = receive(pipe, hang)
                yield outcome
                if outcome.kind in ("hang", "died"):
                    return
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def receive(pipe, hang):
    """The next Outcome that the child sends."""
    deadline, content = time.monotonic() + hang, b""
    while len(content) < 4 or len(content) < 4 + struct.unpack("<I", content[:4])[0]:
        ready, _, _ = select.select([pipe], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            return Outcome("hang", f"no result in {hang} s")
        need = 4 if len(content) < 4 else 4 + struct.unpack("<I", content[:4])[0]
        chunk = pipe.read(need - len(content))
        if not chunk:
            return Outcome("died", "the process ended")
        content += chunk
    return Outcome(*pickle.loads(content[4:]))           # of our own child


def work(function, inputs, writer):
    """The child: one outcome per input, then the end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    limit = address_space() + ADDRESS_SPACE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        for item in inputs:
            outcome = pickle.dumps(judge(function, item))
            os.write(writer, struct.pack("<I", len(outcome)) + outcome)
    finally:
        os._exit(0)


def judge(function, item):
    """(kind, text, seconds, peak) of one call."""
    before = reset_peak()
    started, kind, text = time.process_time(), "ok", ""
    try:
        function(item)
    except (UserError, ConfigError) as error:
        kind, text = "refused", str(error)[:2000]
    except BaseException:                                # all that may come out: it is the finding
        kind, text = "traceback", traceback.format_exc()[-2000:]
    seconds = time.process_time() - started
    return kind, text, seconds, max(0, status("VmHWM:") - before)


def reset_peak():
    """Let the peak of this process's memory begin anew; returns the memory that it has now."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        return status("VmHWM:")
    return status("VmRSS:")


def address_space():
    return status("VmSize:")


def status(name):
    """Bytes that /proc says of this process, 0 where there is no /proc."""
    try:
        with open("/proc/self/status") as file:
            line = next(line for line in file if line.startswith(name))
    except (OSError, StopIteration):
        return 0
    return int(line.split()[1]) << 10
