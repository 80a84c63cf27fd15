"""Files are whole or not at all: full disks, errors, writers of one path, flipped bits."""
import errno
import json
import os
import re
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from convert.readers import read_checkpoint
from tools import files
from tools.errors import UserError
from tools.files import atomic_file, irregular, note_input, refuse_input, write_json, write_text
from tools.weights.weights_file import read_weights, save_weights

META = {"config": "quickstart", "class_names": ["a"], "network": {}, "input": {}}


def full_disk(monkeypatch, error=errno.ENOSPC):
    """From the third write on the disk is full."""

    class Full:
        def __init__(self, file):
            self.file, self.writes = file, 0

        def write(self, data):
            self.writes += 1
            if self.writes > 2:
                raise OSError(error, os.strerror(error))
            return self.file.write(data)

        def fileno(self):
            return self.file.fileno()

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

    monkeypatch.setattr(files, "open", lambda *args: Full(open(*args)), raising=False)


def test_a_full_disk_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "w.pdparams"
    save_weights(path, {"w": np.ones(100_000, np.float32)}, META)
    before = path.read_bytes()
    full_disk(monkeypatch)
    with pytest.raises(UserError, match="cannot write .*w.pdparams.*No space left.*unchanged"):
        save_weights(path, {"w": np.zeros(100_000, np.float32)}, META)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["w.pdparams"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_disk_that_fills_up_at_the_end_keeps_the_old_file(tmp_path, monkeypatch):
    """A device whose error only shows when the buffer is flushed."""
    (tmp_path / "a").write_bytes(b"old")
    monkeypatch.setattr(files, "open", lambda path, mode: open("/dev/full", "wb"), raising=False)
    with pytest.raises(UserError, match="No space left"), atomic_file(tmp_path / "a") as file:
        file.write(b"new")
    assert (tmp_path / "a").read_bytes() == b"old" and os.listdir(tmp_path) == ["a"]


def test_an_error_in_the_block_keeps_the_old_file(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), atomic_file(tmp_path / "a") as file:
        file.write(b"new")
        raise KeyboardInterrupt
    assert (tmp_path / "a").read_bytes() == b"old" and os.listdir(tmp_path) == ["a"]


def test_writers_of_one_path_do_not_disturb_each_other(tmp_path):
    """The one that ends last stays, whole; permissions are those of any new file."""
    barrier = threading.Barrier(8)

    def write(number):
        barrier.wait()
        for _ in range(20):
            with atomic_file(tmp_path / "sub/a", durable=False) as file:
                for _ in range(50):
                    file.write(bytes([number]) * 100)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    content = (tmp_path / "sub/a").read_bytes()
    assert len(content) == 5000 and len(set(content)) == 1
    (tmp_path / "plain").write_bytes(b"")
    assert (tmp_path / "sub/a").stat().st_mode == (tmp_path / "plain").stat().st_mode
    assert os.listdir(tmp_path / "sub") == ["a"]


def test_json(tmp_path):
    write_json(tmp_path / "new/ü.json", {"ä": [1, None]}, indent=1)
    assert json.loads((tmp_path / "new/ü.json").read_bytes()) == {"ä": [1, None]}
    with pytest.raises(TypeError):
        write_json(tmp_path / "new/ü.json", {1: object()})
    assert json.loads((tmp_path / "new/ü.json").read_bytes()) == {"ä": [1, None]}
    for path in (tmp_path / "new", tmp_path / "new/ü.json/below.json"):
        with pytest.raises(UserError, match=f"cannot write '{re.escape(str(path))}'"):
            write_json(path, {})


def test_a_flipped_bit_is_found(tmp_path):
    path = tmp_path / "w.pdparams"
    one_class = np.zeros((1, 1, 1, 1), np.float32)             # as many as META names
    save_weights(path, {"w": np.arange(50, dtype=np.float32),
                        "head.category_pred.weight": one_class}, META)
    whole = path.read_bytes()
    np.testing.assert_array_equal(read_weights(path)[0]["w"], np.arange(50))
    for place in range(len(whole)):
        data = bytearray(whole)
        data[place] ^= 1 << place % 8
        path.write_bytes(data)
        with pytest.raises(UserError, match="w.pdparams"):
            read_weights(path)
    for length in range(len(whole) - 39, len(whole)):        # 39 bytes: the checksum itself
        path.write_bytes(whole[:length])
        if length == len(whole) - 39:
            assert read_weights(path)[1] == META             # a file of the time before checksums
        else:
            with pytest.raises(UserError, match="checksum"):
                read_weights(path)
    data = bytearray(whole)
    data[whole.index(np.float32(7).tobytes())] ^= 1
    path.write_bytes(data)
    for read in (read_weights, read_checkpoint):
        with pytest.raises(UserError, match="checksum is wrong"):
            read(path)


def test_an_input_is_never_replaced_by_any_name(tmp_path):
    source = tmp_path / "set.json"
    source.write_text("mine")
    note_input(source, "the annotation file")
    (tmp_path / "link.json").symlink_to(source)
    os.link(source, tmp_path / "same.json")
    for path in (source, tmp_path / "link.json", tmp_path / "same.json",
                 f"{tmp_path}/none/../set.json", os.path.relpath(source)):
        with pytest.raises(UserError, match="is the annotation file, which would be replaced"):
            write_json(path, {})
    write_json(tmp_path / "other.json", {})
    assert source.read_text() == "mine" and (tmp_path / "link.json").is_symlink()
    refuse_input(tmp_path / "not there yet")
    note_input("not\0 a path", "nothing")


def test_what_is_no_regular_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    (tmp_path / "lost").symlink_to(tmp_path / "nowhere")
    found = [irregular(tmp_path / name)
             for name in ("pipe", "link", "file", "lost", "none", "x" * 999)]
    assert found == ["a named pipe", "a named pipe", "", "", "", ""]
    assert irregular("/dev/null") == "a device" and irregular(tmp_path) == "a folder"


def test_half_a_surrogate_is_written_as_a_question_mark(tmp_path):
    write_text(tmp_path / "a", "ü\ud83d")
    assert (tmp_path / "a").read_text(encoding="utf-8") == "ü?"


def test_what_killed_writers_left_is_removed_once_nobody_holds_it(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "CLEARED", set())
    old = [tmp_path / f".a.json.{digit * 32}.tmp" for digit in "abc"]
    for path, age in zip(old, (100, 100, 10), strict=True):
        path.write_bytes(b"half")
        os.utime(path, (time.time() - age,) * 2)
    (tmp_path / ".mine.tmp").write_bytes(b"no name of ours")
    os.utime(tmp_path / ".mine.tmp", (1, 1))
    folder = tmp_path / f".folder.{'d' * 32}.tmp"
    folder.mkdir()
    os.utime(folder, (1, 1))
    with files.open_alone(old[1]):                     # its writer lives
        os.utime(old[1], (1, 1))
        write_text(tmp_path / "new", "whole")
    assert set(tmp_path.iterdir()) == {*old[1:], tmp_path / ".mine.tmp", tmp_path / "new"}


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits on files")
@pytest.mark.parametrize("room, fits", [(100_000, True), (1, False), (0, False)])
def test_a_file_that_a_library_has_cut_on_a_full_disk(tmp_path, room, fits):
    (tmp_path / "a").write_bytes(b"x" * 50_000)
    program = (f"import resource; from tools.files import check_room; size = 50_000 + {room}\n"
               "resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))\n"
               f"check_room({str(tmp_path / 'a')!r})")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode == 0) is fits and (fits or "File too large" in done.stderr)
    assert (tmp_path / "a").read_bytes() == b"x" * 50_000
