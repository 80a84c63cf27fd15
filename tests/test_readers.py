"""Reader processes: order, arrays, hung and killed readers, nothing left behind."""
import multiprocessing
import os
import signal
import time

import numpy as np
import pytest

from tools.data import readers
from tools.data.readers import Readers, remove_stale_segments
from tools.errors import UserError

TASKS = [[(0, step), (0, step + 100)] for step in range(7)]


def numbers(task, on_read):
    """A batch of arrays of several types and shapes; the later a step, the quicker."""
    time.sleep(0.02 * (7 - task[0][1]))
    step = task[0][1]
    on_read(step)
    return {"step": step, "task": task, "big": np.full((300, 1000), step, np.float32),
            "empty": np.zeros((0, 4, 5), np.uint8), "turned": np.arange(6).reshape(2, 3).T,
            "flags": np.array([True, False]), "single": np.float64(step) * np.ones(())}


def check(batches):
    assert [batch["step"] for batch in batches] == list(range(7))
    for step, batch in enumerate(batches):
        assert batch["task"] == TASKS[step]
        expected = numbers(TASKS[step], lambda index: None)
        for name, array in expected.items():
            if isinstance(array, np.ndarray):
                np.testing.assert_array_equal(batch[name], array)
                assert batch[name].dtype == array.dtype
        batch["big"][0, 0] = 5                         # its own memory, which may be written


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("memory_files", [True, False])
def test_order_and_arrays(monkeypatch, number, memory_files):
    monkeypatch.setattr(readers, "MEMORY_FILES", memory_files and readers.MEMORY_FILES)
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    check(list(Readers(numbers, TASKS, number, str)))
    if before is not None:
        assert len(os.listdir("/proc/self/fd")) <= before + 1


def test_readers_of_systems_without_fork(monkeypatch):
    monkeypatch.setattr(readers.sys, "platform", "darwin")
    found = Readers(numbers, TASKS[:3], 1, str)
    assert [batch["step"] for batch in found] == [0, 1, 2]


def hang(task, on_read):
    on_read(task[1][1])
    time.sleep(600)


def test_a_hung_reader_is_named_and_left(monkeypatch, caplog):
    """Waiting for it is interrupted, and it does not outlive that."""
    monkeypatch.setattr(readers, "SLOW", 1)
    monkeypatch.setattr(readers, "LOOK", 0.1)

    def stop(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 4)
    try:
        with pytest.raises(KeyboardInterrupt):
            list(Readers(hang, TASKS, 2, "photo {}.jpg\n".format))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert caplog.text.count("photo 100.jpg\\n has been read for 1 s") == 1
    deadline = time.monotonic() + 10
    while multiprocessing.active_children() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not multiprocessing.active_children()


def die(task, on_read):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_dead_reader_is_one_error():
    with pytest.raises(UserError, match="died at or before the images image 0, image 100"):
        list(Readers(die, TASKS, 2, "image {}".format))


def test_segments_of_dead_owners_are_removed(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(readers, "SHARED_MEMORY", str(tmp_path))
    gone = 4_194_305                                   # more than any process number of Linux
    for name in (f"paddle_{gone}_1", f"paddle_{os.getpid()}_1", f"other_{gone}_1", "paddle_x_1"):
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (0, 0))
    (tmp_path / f"paddle_{gone}_2").write_bytes(b"just made")
    remove_stale_segments()
    assert sorted(os.listdir(tmp_path)) == sorted([
        f"paddle_{os.getpid()}_1", f"other_{gone}_1", "paddle_x_1", f"paddle_{gone}_2"])
    assert f"paddle_{gone}_1" in caplog.text
