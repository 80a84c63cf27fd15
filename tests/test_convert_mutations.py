"""Thousands of damaged and hostile files: a refusal or an ordinary result, nothing else."""
import os
import pickle
import time
import zipfile

import numpy as np
import pytest

from convert.converter import convert
from convert.readers import read_checkpoint
from convert.writers import (
    text,
    torch_tensor,
    write_pdparams,
    write_pdparams_static,
    write_pth,
)
from tests.checkpoint_files import small_tensors, write_legacy_pth, write_variables
from tools.errors import UserError
from tools.weights.safe_pickle import load
from tools.weights.weights_file import save_weights

PER_LAYOUT = 1000
GLOBALS = [b"cos\nsystem\n", b"cposix\nsystem\n", b"cbuiltins\neval\n", b"cbuiltins\nexec\n",
           b"c__builtin__\n__import__\n", b"csubprocess\nPopen\n", b"cnumpy\nload\n",
           b"cnumpy.f2py\ncompile\n", b"ctorch.hub\nload\n", b"cpaddle\nload\n", b"cos\nmkdir\n"]
OPCODES = bytes(range(0x28, 0x7E)) + bytes(range(0x80, 0x99))


def write_ours(path, tensors):
    meta = {"config": "quickstart", "class_names": ["a"], "network": {}, "input": {}}
    save_weights(path, tensors, meta)


WRITERS = {
    "zip": lambda path, tensors: write_pth(path, "state_dict", tensors, {"meta": {"epoch": 1}}),
    "stream": lambda path, tensors: write_legacy_pth(path, "state_dict", tensors, {"epoch": 1}),
    "pdparams": write_pdparams, "static": write_pdparams_static, "ours": write_ours,
    "tar": lambda path, tensors: write_variables(f"{path}.tar", {
        name: array for name, array in tensors.items() if array.dtype == np.float32})}


def mutate(content, rng, target):
    """A copy of the bytes with one kind of damage."""
    data, kind = bytearray(content), rng.integers(8)
    place = int(rng.integers(len(data)))
    if kind == 0:                                        # some bits
        for index in rng.integers(len(data), size=rng.integers(1, 9)):
            data[index] ^= 1 << int(rng.integers(8))
    elif kind == 1:                                      # the end is missing
        del data[place:]
    elif kind == 2:                                      # a piece is missing
        del data[place:place + int(rng.integers(1, 64))]
    elif kind == 3:                                      # a piece twice
        data[place:place] = data[place:place + int(rng.integers(1, 200))]
    elif kind == 4:                                      # other opcodes, mostly in the pickle
        for index in rng.integers(min(len(data), 1500), size=rng.integers(1, 5)):
            data[index] = int(rng.choice(list(OPCODES)))
    elif kind == 5:                                      # extreme numbers
        size = int(rng.choice([1, 2, 4, 8]))
        data[place:place + size] = rng.choice([b"\xff", b"\x7f", b"\0"]) * size
    elif kind == 6:                                      # a call
        call = GLOBALS[rng.integers(len(GLOBALS))] + b"X" + len(target).to_bytes(
            4, "little") + target + b"\x85R0"
        spots = [i for i in range(min(len(data), 3000)) if data[i] in b"}]("]
        place = int(rng.choice(spots)) if spots else place
        data[place:place] = call
    else:                                                # noise behind the first bytes
        stop = min(len(data), place + int(rng.integers(1, 300)))
        data[max(place, 4):stop] = rng.bytes(max(0, stop - max(place, 4)))
    return bytes(data)


@pytest.mark.parametrize("layout", WRITERS)
def test_mutated_files(layout, tmp_path):
    """1000 mutations of each layout through the reader and the converter: seeded, so repeatable."""
    original = tmp_path / "original"
    WRITERS[layout](original, small_tensors())
    content = next(tmp_path.glob("original*")).read_bytes()
    rng = np.random.default_rng(list(WRITERS).index(layout))
    mutated, target = tmp_path / "mutated", str(tmp_path / "made").encode()
    refused, slowest = 0, 0.0
    for _ in range(PER_LAYOUT):
        mutated.write_bytes(mutate(content, rng, target))
        started = time.perf_counter()
        try:
            source = read_checkpoint(mutated)
            assert all(isinstance(array, np.ndarray) for array in source.arrays.values())
            assert sum(array.nbytes for array in source.arrays.values()) < 4 * len(content)
            convert(source)
        except UserError:
            refused += 1
        slowest = max(slowest, time.perf_counter() - started)
    assert refused == PER_LAYOUT                         # even an unhurt file is no SOLOv2
    assert slowest < 5 and {path.name for path in tmp_path.iterdir()} <= {
        "original", "original.tar", "mutated"}


def test_mutated_weights_and_checkpoints(tmp_path):
    """The reader behind read_weights and --resume."""
    write_ours(tmp_path / "w", small_tensors())
    state = pickle.dumps({"model": small_tensors(), "step": 3, "best_ap": 0.5}, 4)
    rng, outcomes = np.random.default_rng(9), []
    for content in ((tmp_path / "w").read_bytes(), state):
        for _ in range(PER_LAYOUT):
            (tmp_path / "m").write_bytes(mutate(content, rng, str(tmp_path / "made").encode()))
            try:
                load(tmp_path / "m")
                outcomes.append("read")
            except UserError:
                outcomes.append("refused")
    assert sorted(os.listdir(tmp_path)) == ["m", "w"]
    assert outcomes.count("refused") > PER_LAYOUT              # else: within the numbers


def test_many_views_of_one_storage(tmp_path):
    """50,000 tensors of 20 MB in a file of 30 MB: refused by their names, not by running out."""
    shared = np.zeros(5_000_000, np.float32)
    write_pth(tmp_path / "m", "state_dict", {"w": shared}, {})
    one = torch_tensor("0", shared)
    names = ["bbox_head.solo_cate.weight", "mask_feat_head.conv_pred.0.conv.weight",
             *(f"backbone.layer1.{i}.bn1.running_var" for i in range(50_000))]
    content = b"\x80\x02}(" + b"".join(text(name) + one for name in names) + b"u."
    with zipfile.ZipFile(tmp_path / "m") as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(tmp_path / "m", "w") as archive:
        for name, record in {**records, "archive/data.pkl": content}.items():
            archive.writestr(name, record)
    started = time.perf_counter()
    with pytest.raises(UserError):
        convert(read_checkpoint(tmp_path / "m"))
    assert time.perf_counter() - started < 30


@pytest.mark.parametrize("name", GLOBALS)
@pytest.mark.parametrize("layout", ["pdparams", "static", "ours"])
def test_hostile_globals(layout, name, tmp_path):
    """A call in front of an otherwise good file."""
    WRITERS[layout](tmp_path / "f", small_tensors())
    content = (tmp_path / "f").read_bytes()
    target = str(tmp_path / "made").encode()
    call = name + b"X" + len(target).to_bytes(4, "little") + target + b"\x85R0"
    (tmp_path / "f").write_bytes(content[:2] + call + content[2:])
    with pytest.raises(UserError, match="refused"):
        read_checkpoint(tmp_path / "f")
    assert os.listdir(tmp_path) == ["f"]
