"""Start this script again in several processes that train as one, and end together.

What `python -m paddle.distributed.launch` does for one machine, in the terminal: rank 0 speaks
here, the others write to log/workerlog.N.  If one fails or a signal comes, all end; if this process
is killed, they notice (distributed.end_without).
"""
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from tools.cli import BAD_INPUT, TERMINATED
from tools.cores import available_cores
from tools.errors import UserError
from tools.finishing import Finishing
from tools.runtime import THREADS
from tools.stopping import CODES, LAUNCHER

LOG_DIR = "log"
GRACE = 30                         # seconds for the other processes to end in order
AFTER_DEATH = 10                   # ... where one was killed and they can only wait for it
KILL_AFTER = 5                     # ... after a signal, for those that do not hear it


def start_processes(number, device):
    """Run this script in `number` processes; returns the exit code of the whole."""
    if number < 1:
        raise UserError(f"--processes {number}: expected at least 1")
    ports = free_ports(number)
    endpoints = ",".join(f"127.0.0.1:{port}" for port in ports)
    arguments = without_processes(sys.argv)
    os.makedirs(LOG_DIR, exist_ok=True)
    ranks = []
    with contextlib.ExitStack() as files:
        for rank in range(number):
            log = None if rank == 0 else files.enter_context(
                open(Path(LOG_DIR, f"workerlog.{rank}"), "wb"))
            ranks.append(subprocess.Popen(
                [sys.executable, *arguments], stdout=log, stderr=log,
                env={**os.environ, **environment(rank, number, endpoints, device)}))
        with Finishing() as signals:
            try:
                return wait(ranks, signals)
            except KeyboardInterrupt:
                return end(ranks, signal.SIGINT)


def environment(rank, number, endpoints, device):
    """The variables by which Paddle knows who a process is.

    Each gets its share of the threads, unless the user has set another number than `configure`.
    """
    on_cpu = device == "cpu"
    variables = {
        "PADDLE_TRAINER_ID": str(rank), "PADDLE_TRAINERS_NUM": str(number),
        "PADDLE_TRAINER_ENDPOINTS": endpoints,
        "PADDLE_CURRENT_ENDPOINT": endpoints.split(",")[rank],
        "PADDLE_MASTER": endpoints.split(",")[0],
        "PADDLE_DISTRI_BACKEND": "gloo" if on_cpu else "nccl", "PYTHONUNBUFFERED": "1",
        LAUNCHER: str(os.getpid()),
        "GLOG_minloglevel": "2"}
    if not on_cpu:
        variables["FLAGS_selected_gpus"] = str(rank)
    if os.environ.get(THREADS) in (None, "", str(available_cores())):
        variables[THREADS] = str(max(1, available_cores() // number))
    return variables


def without_processes(arguments):
    """The command line without --processes N, in every way of writing that."""
    kept, skip = [], False
    for argument in arguments:
        if not skip and not argument.startswith("--processes="):
            skip = argument == "--processes"
            if not skip:
                kept.append(argument)
        else:
            skip = False
    return kept


def free_ports(number):
    sockets = [socket.socket() for _ in range(number)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def wait(ranks, signals):
    """0 when all have ended well; else the code of the first that did not, after ending all."""
    while not signals.signalled:
        codes = [rank.poll() for rank in ranks]
        if any(codes):
            settle(ranks, AFTER_DEATH if min(filter(None, codes)) < 0 else GRACE)
            return failure(ranks, next(filter(None, codes)))
        if None not in codes:
            return 0
        time.sleep(0.1)
    return end(ranks, signal.SIGTERM)


def failure(ranks, code):
    """The code that says most: that of bad input before that of a lost companion."""
    failed = {number: rank.returncode for number, rank in enumerate(ranks) if rank.returncode}
    for number, returned in failed.items():
        if number and returned != TERMINATED:
            print(f"process {number} ended with code {returned}: see "
                  f"{LOG_DIR}/workerlog.{number}", file=sys.stderr)
    code = BAD_INPUT if BAD_INPUT in failed.values() else code         # that of the first one
    return 128 - code if code < 0 else code


def end(ranks, number):
    """Pass a signal on and wait; returns its exit code."""
    ask(ranks, number)
    settle(ranks, GRACE if number == signal.SIGTERM else KILL_AFTER)
    return CODES[number]


def settle(ranks, seconds):
    """Give the processes time to end, then SIGTERM, then SIGKILL."""
    for number, patience in ((None, seconds), (signal.SIGTERM, KILL_AFTER),
                             (signal.SIGKILL, KILL_AFTER)):
        if number:
            ask(ranks, number)
        deadline = time.monotonic() + patience
        while any(rank.poll() is None for rank in ranks) and time.monotonic() < deadline:
            time.sleep(0.05)


def ask(ranks, number):
    for rank in ranks:
        if rank.poll() is None:
            rank.send_signal(number)
