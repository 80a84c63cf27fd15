"""Reader processes: they make batches ahead of the training, cannot hang it and do not outlive it.

Each reader has a pipe and makes every n-th batch, so their order does not depend on their speed.
Arrays come in memory files of Linux, which have no name, need no /dev/shm and vanish with their
processes; elsewhere through the pipe.  (Paddle's DataLoader waits in C, where no signal is heard,
and leaves named segments in /dev/shm when it is killed.)
"""
import contextlib
import glob
import itertools
import logging
import mmap
import multiprocessing
import os
import re
import signal
import sys
import threading
import time
from collections import deque
from multiprocessing import reduction

import cv2
import numpy as np

from tools.errors import UserError, shown

PREFETCH = 2                    # batches that each reader holds ready or makes
SLOW = 60                       # seconds after which an image that is being read is named
LOOK = 0.5                      # seconds between looks at a reader that is waited for
STALE = 60                      # seconds after which a segment without owner is no new one
SHARED_MEMORY = "/dev/shm"
MEMORY_FILES = hasattr(os, "memfd_create")
SIGNALS = {signal.SIGINT, signal.SIGTERM}

logger = logging.getLogger(__name__)


class Readers:
    """for batch in Readers(make, tasks, number, name_of): make(task, on_read), in order.

    make: runs in the readers; calls on_read(index) before it reads the image `index`, and returns a
    dict of arrays and plain values.  tasks: list of (epoch, index) items each.
    name_of: function(index) -> file name, for messages.
    UserError where a reader dies.
    """

    def __init__(self, make, tasks, number, name_of):
        self.make, self.tasks, self.number, self.name_of = make, tasks, number, name_of
        self.readers = []

    def __iter__(self):
        tasks, pending = iter(self.tasks), deque()
        try:
            remove_stale_segments()
            self.readers = [Reader(self.make) for _ in range(self.number)]
            turns = itertools.cycle(self.readers)
            for task in itertools.islice(tasks, PREFETCH * self.number):
                pending.append((next(turns), task))
                pending[-1][0].ask(task)
            while pending:
                reader, task = pending.popleft()
                batch = self.wait(reader, task)
                for following in itertools.islice(tasks, 1):
                    reader.ask(following)
                    pending.append((reader, following))
                yield batch
        finally:
            for reader in self.readers:
                reader.end()

    def wait(self, reader, task):
        """The batch of a task."""
        try:
            while (batch := reader.answer(LOOK)) is None:
                reader.name_slow(self.name_of)
        except (EOFError, OSError) as error:
            names = ", ".join(shown(self.name_of(index)) for _, index in task)
            raise UserError(f"a reader process died at or before the images {names}: of the "
                            "error printed above, or, if there is none, for lack of memory "
                            "(then lower num_workers or batch_size)") from error
        return batch


class Reader:
    """One process, and this end of its pipe."""

    def __init__(self, make):
        context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
        self.pipe, theirs = context.Pipe()
        self.reading = None, time.monotonic()          # index of an image, since when
        self.process = context.Process(target=serve, args=(theirs, make), daemon=True)
        with signals_held():                           # until the child has handlers of its own
            self.process.start()
        theirs.close()

    def ask(self, task):
        with contextlib.suppress(OSError):             # it is gone: said when it is waited for
            self.pipe.send(task)

    def answer(self, seconds):
        """The next batch, or None if there is none yet; EOFError or OSError if it died."""
        while self.pipe.poll(seconds):
            kind, content = self.pipe.recv()
            if kind == "batch":
                self.reading = None, time.monotonic()
                return received(self.pipe, *content)
            self.reading = content
        if not self.process.is_alive() and not self.pipe.poll(0):
            raise EOFError
        return None

    def name_slow(self, name_of):
        index, since = self.reading
        seconds = time.monotonic() - since
        if index is not None and seconds > SLOW:
            self.reading = None, since                                     # said once
            logger.warning("%s has been read for %d s and is not there yet: a hung disk, or no "
                           "ordinary file; training waits for it", shown(name_of(index)), seconds)

    def end(self):
        self.pipe.close()
        self.process.kill()                            # it has nothing to tidy up
        self.process.join(0.2)


# -- in the readers --------------------------------------------------------------------------------

def serve(pipe, make):
    """What a reader does: make a batch for every task, until nobody wants one."""
    prepare()

    def on_read(index):
        pipe.send(("reading", (index, time.monotonic())))

    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        send(pipe, make(task, on_read))


def prepare():
    """One thread, no signals of the terminal, and an end with the trainer.

    Several readers with OpenCV threads each would only fight for the cores.  A signal to the
    process group is for the trainer, which needs the batches to end its step.
    """
    cv2.setNumThreads(0)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if hasattr(os, "setsid"):
        os.setsid()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    threading.Thread(target=end_with_parent, daemon=True).start()


def end_with_parent():
    """End this reader when the trainer is gone, even by SIGKILL."""
    multiprocessing.parent_process().join()
    os._exit(1)


@contextlib.contextmanager
def signals_held():
    """Within the block signals wait; a process that is forked in it starts with them held."""
    if not hasattr(signal, "pthread_sigmask"):         # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# -- batches between processes ---------------------------------------------------------------------

def send(pipe, batch):
    """Send a dict of arrays and plain values."""
    arrays = {name: np.ascontiguousarray(value) for name, value in batch.items()
              if isinstance(value, np.ndarray)}
    plain = {name: value for name, value in batch.items() if name not in arrays}
    if not MEMORY_FILES:
        pipe.send(("batch", (plain, arrays, 0)))
        return
    layout, size = {}, 0
    for name, array in arrays.items():
        layout[name] = array.shape, array.dtype.str, size
        size += -(-array.nbytes // 64) * 64
    file = os.memfd_create("batch")
    try:
        os.ftruncate(file, size)
        for name, array in arrays.items():
            write(file, array, layout[name][2])
        pipe.send(("batch", (plain, layout, size)))
        reduction.send_handle(pipe, file, None)
    finally:
        os.close(file)


def write(file, array, position):
    """Write all bytes of an array (one call writes 2 GB at most)."""
    data = memoryview(array.reshape(-1).view(np.uint8))
    while len(data):
        written = os.pwrite(file, data, position)
        data, position = data[written:], position + written


def received(pipe, plain, layout, size):
    """The batch that `send` sent."""
    if not MEMORY_FILES:
        return {**plain, **layout}
    file = reduction.recv_handle(pipe)
    try:
        memory = mmap.mmap(file, size, access=mmap.ACCESS_COPY) if size else b""
    finally:
        os.close(file)
    return {**plain, **{name: np.ndarray(shape, dtype, memory, position)
                        for name, (shape, dtype, position) in layout.items()}}


def remove_stale_segments():
    """Remove segments that readers of Paddle's DataLoader, killed earlier, left in /dev/shm."""
    for path in glob.glob(f"{SHARED_MEMORY}/paddle_*"):
        match = re.match(r"paddle_(\d+)_", os.path.basename(path))
        with contextlib.suppress(OSError):
            found = os.stat(path)
            if (match and not os.path.exists(f"/proc/{match[1]}") and found.st_uid == os.getuid()
                    and time.time() - found.st_mtime > STALE):
                os.remove(path)
                logger.warning("removed %s (%d MB), left by a process that is gone", path,
                               found.st_size >> 20)
