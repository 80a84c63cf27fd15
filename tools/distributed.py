"""One training in several processes: python -m paddle.distributed.launch ... train.py ...

Every process reads its share of each batch and holds the whole model.  The gradients are added up
by one explicit all_reduce after the backward pass, not by paddle.DataParallel: so the same lines
serve GPUs (NCCL) and CPUs (Gloo), several backward passes per step, images without objects and
frozen or unused parameters.  The price is that communication does not overlap the backward pass.
As in PaddleDetection each process pads its share to its own largest image, and grid cells are parts
of the padded size: several processes equal one exactly where all images are padded alike.
With a single process every function here returns at once.
"""
import contextlib
import ctypes
import io
import itertools
import math
import os
import signal
import sys
import threading
import time

import paddle
import paddle.distributed as dist
from paddle.base.core import create_or_get_global_tcp_store
from paddle.distributed import get_rank, get_world_size

from tools.errors import UserError
from tools.runtime import paddle_device, resolve_device
from tools.stopping import AT_END, CODES, PARENT, leave

BACKEND = "PADDLE_DISTRI_BACKEND"     # where the launcher leaves its --backend
GRACE = 20                            # seconds for the launcher to find the process that died
PR_SET_PDEATHSIG = 1                  # of Linux's prctl
BARRIERS = itertools.count()


def start(device, vulkan=False):
    """Set the device (as in `resolve_device`) and join the other processes; returns the device.

    Only rank 0 keeps its standard output.  UserError for one GPU asked for by several processes.
    """
    several = get_world_size() > 1
    if several and device == "auto" and os.environ.get(BACKEND) == "gloo":
        device = "cpu"
    device = resolve_device(device, vulkan)
    if several and device.startswith("gpu:"):
        raise UserError(f"{get_world_size()} processes cannot share device '{device}'; name the "
                        "GPUs in the launcher (--gpus 0,1) and leave --device out")
    paddle.set_device(paddle_device(device))
    if several:
        end_without(PARENT)
        AT_END.append(leave_together)
        os.environ[BACKEND] = "gloo" if paddle_device(device) == "cpu" else "nccl"
        with contextlib.redirect_stdout(None), contextlib.redirect_stderr(io.StringIO()), \
                killed_with_parent(), default_signals():
            dist.init_parallel_env()           # prints the flags that Paddle itself has set
        if get_rank() > 0:
            sys.stdout = open(os.devnull, "w", encoding="utf-8")
    return device


def end_without(parent, patience=20.0):
    """End this process, by SIGTERM first, where the process `parent` that started it is gone."""
    def look():
        while os.getppid() == parent:
            time.sleep(1)
        print("the launcher of this process is gone: it ends", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(patience)
        leave(signal.SIGTERM)

    threading.Thread(target=look, daemon=True).start()


@contextlib.contextmanager
def killed_with_parent():
    """Within the block the system kills this process when its parent ends (Linux).

    For calls that wait with Python's lock, so that the thread of `end_without` does not get on.
    """
    prctl = getattr(ctypes.CDLL(None), "prctl", None) if sys.platform.startswith("linux") else None
    if prctl:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != PARENT:
            leave(signal.SIGTERM)
    try:
        yield
    finally:
        if prctl:
            prctl(PR_SET_PDEATHSIG, 0)


@contextlib.contextmanager
def default_signals():
    """Within the block Ctrl-C and SIGTERM end the process at once, for the same calls."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in CODES
              if signal.getsignal(number) is not signal.SIG_IGN}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


def leave_together(code):
    """End this process with an exit code, rank 0, which holds the store of all, as the last one.

    Without the end of the interpreter, in which Paddle crashes now and then: of 70 trainings in two
    processes that had ended well 3 gave the exit code of a segmentation fault.
    """
    if code == 0:
        with contextlib.suppress(RuntimeError):          # of the store: another process is gone
            store = create_or_get_global_tcp_store()
            store.add("left", 1)
            if is_main():
                wait_for_all(store, "left", GRACE)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def is_main():
    """Whether this process writes files, evaluates and speaks: rank 0, or the only one."""
    return get_rank() == 0


def all_reduce(tensor):
    """The sum of a tensor over all processes, on each of them; `tensor` itself may be changed."""
    if get_world_size() > 1:
        communicate(dist.all_reduce, tensor)
    return tensor


@paddle.no_grad()
def all_reduce_gradients(parameters):
    """Replace every gradient by its sum over all processes; their lists must be alike.

    Losses keep the whole graph where there is no object (model/losses.py), so the lists are.
    """
    if get_world_size() == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = all_reduce(paddle.concat([gradient.flatten() for gradient in gradients]))
    parts = flat.split([gradient.size for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        paddle.assign(part.reshape(gradient.shape), output=gradient)


def barrier():
    """Wait until all processes are here, however long; 0.1 s at least.

    Between other communication they must not be apart for more than 30 seconds, or Gloo gives up.
    """
    if get_world_size() > 1:
        store, name = create_or_get_global_tcp_store(), f"barrier {next(BARRIERS)}"
        store.add(name, 1)
        wait_for_all(store, name)
        store.add(f"{name} left", 1)
        if is_main():                                    # it holds the store that all look into
            wait_for_all(store, f"{name} left")


def wait_for_all(store, name, seconds=math.inf):
    """Return when every process has added 1 to the counter `name`, or after so many seconds."""
    deadline = time.monotonic() + seconds
    while store.add(name, 0) < get_world_size() and time.monotonic() < deadline:
        time.sleep(0.05)


def all_gather(value):
    """[value of rank 0, value of rank 1, ...] of any objects that can be pickled."""
    if get_world_size() == 1:
        return [value]
    barrier()
    values = []
    communicate(dist.all_gather_object, values, value)
    return values


@contextlib.contextmanager
def together(long=False):
    """A UserError in this block, of any process, is raised in all of them when all have left it.

    long: it may take one of them much longer than another.
    """
    error = None
    try:
        yield
    except UserError as failure:
        error = failure
    if get_world_size() == 1:
        if error:
            raise error
        return
    if long:
        barrier()
    if all_reduce(paddle.to_tensor([float(error is not None)])).item():
        raise UserError("; ".join(filter(None, all_gather(str(error or "")))))


def broadcast(model):
    """Give every process the weights of rank 0."""
    if get_world_size() > 1:
        for tensor in model.state_dict().values():
            communicate(dist.broadcast, tensor, 0)


def communicate(operation, *arguments):
    """operation(*arguments); if another process is gone, leave it to the launcher to say why.

    The launcher shows the log of one failed process: it must not be that of a mere witness.
    """
    try:
        operation(*arguments)
    except RuntimeError as error:
        print(f"rank {get_rank()}: lost another process, see its workerlog, or waited for it for "
              f"too long ({error})", file=sys.stderr, flush=True)
        time.sleep(GRACE)
        raise
