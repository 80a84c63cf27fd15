"""A writer that is killed, or has no room: what was there before stays whole."""
import os
import resource
import signal
import sys
import time

import numpy as np
import pytest

from convert.writers import write_pdparams, write_pth
from tools.errors import UserError
from tools.weights.schema import CATEGORY
from tools.weights.weights_file import read_weights, save_weights

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
META = {"config": "quickstart", "class_names": ["a"], "network": {}, "input": {}}
KILLS = 25
WRITERS = {"ours": lambda path, arrays: save_weights(path, arrays, META),
           "pdparams": write_pdparams,
           "pth": lambda path, arrays: write_pth(path, "model", arrays, {})}


def arrays_of(version, size=300_000):
    return {CATEGORY: np.full((1, size, 1, 1), version, np.float32),
            "a.weight": np.full(size, version, np.float32)}


def forked(function):
    """The pid of a child that runs `function` and ends with 0, or 3 after a UserError."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            function()
            code = 0
        except UserError as error:
            code = 3 if "cannot write" in str(error) else 1
        finally:
            os._exit(code)
    return child


def write_for_ever(path):
    for version in range(1, 10_000):
        save_weights(path, arrays_of(version % 100), META)


def test_killed_while_writing(tmp_path):
    """At random moments: the file holds one version, never a mixture or a part."""
    path, rng, seen = tmp_path / "w.pdparams", np.random.default_rng(0), set()
    save_weights(path, arrays_of(0), META)
    for _ in range(KILLS):
        child = forked(lambda: write_for_ever(path))
        time.sleep(rng.uniform(0.005, 0.08))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        arrays, _ = read_weights(path)
        values = {float(value) for array in arrays.values() for value in np.unique(array)}
        assert len(values) == 1
        seen |= values
    assert len(seen) > 1                                 # it was killed in the middle of work


@pytest.mark.parametrize("name", WRITERS)
def test_full_disk(name, tmp_path):
    """A limit on the size of files stands for it: one sentence, the old file, no leftovers."""
    path = tmp_path / "w"
    WRITERS[name](path, arrays_of(1, 10))
    before = path.read_bytes()

    def write():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
        WRITERS[name](path, arrays_of(2))

    _, status = os.waitpid(forked(write), 0)
    assert os.waitstatus_to_exitcode(status) == 3
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["w"]


@pytest.mark.parametrize("name", WRITERS)
def test_no_place_to_write(name, tmp_path):
    """A file where the folder should be, as a read-only disk refuses it for root too."""
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(UserError, match="cannot write"):
        WRITERS[name](tmp_path / "file" / "w", arrays_of(1, 10))
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
