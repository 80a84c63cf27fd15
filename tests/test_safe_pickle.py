"""The pickle reader: reads what we write, executes nothing, allocates what the file holds."""
import ast
import io
import os
import pickle
import struct
import subprocess
import tracemalloc
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from tools.errors import UserError
from tools.weights import pickle_machine, safe_pickle
from tools.weights.safe_pickle import UnsafePickle, load

ROOT = Path(__file__).resolve().parent.parent
HEAD = b"\x80\x04"


def short(string):
    return b"\x8c" + bytes([len(string)]) + string.encode()


DATA = {
    "float": np.arange(12, dtype=np.float32).reshape(3, 4), "fortran": np.asfortranarray(np.eye(3)),
    "scalar": np.float32(3), "count": np.array(5), "empty": np.zeros((0, 3)),
    "flags": np.array([True, False]), "big-endian": np.arange(3, dtype=">f4"),
    "list": [1, 2**40, -3, (1, 2, 3, 4), ()], "text": "héé\ud83d\ude00"[:3], "none": None,
    "ordered": OrderedDict(a=1), "bytes": b"ab", "no bytes": b"", "many bytes": bytes(70000),
    "number": 1.5, 3: "a number as key"}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_round_trip(protocol):
    result = load(io.BytesIO(pickle.dumps({**DATA, "same": DATA["float"]}, protocol)))
    for key, expected in DATA.items():
        if isinstance(expected, np.ndarray):
            np.testing.assert_array_equal(result[key], expected)
            assert result[key].shape == expected.shape and result[key].dtype.isnative
        else:
            assert result[key] == expected
    assert result["same"] is result["float"] and type(result["ordered"]) is dict


def test_numpy_2_and_1_names():
    content = pickle.dumps(DATA["float"], 4)
    for module in (b"numpy.core.multiarray", b"numpy._core.multiarray"):
        other = content
        for known in (b"numpy.core.multiarray", b"numpy._core.multiarray"):
            other = other.replace(short(known.decode()), short(module.decode()))
        other = b"\x80\x04" + other[11:]                 # the frame length has changed
        np.testing.assert_array_equal(load(io.BytesIO(other)), DATA["float"])


class Hostile:
    """Pickles to a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("function", [os.system, eval, exec, subprocess.call, os.mkdir, getattr,
                                      __import__, open, np.load, np.fromfile])
def test_nothing_is_called(function, protocol, tmp_path):
    target = str(tmp_path / "made")
    argument = {os.mkdir: target, os.system: f"mkdir {target}"}.get(
        function, f"open({target!r}, 'w')")
    for content in (Hostile(function, argument), [Hostile(function, argument)],
                    {"weight": Hostile(function, argument)}):
        with pytest.raises(UnsafePickle, match="refused"):
            load(io.BytesIO(pickle.dumps(content, protocol)))
    assert not os.listdir(tmp_path)


def test_error_names_the_file(tmp_path):
    path = tmp_path / "weights.pdparams"
    path.write_bytes(pickle.dumps(DATA, 4)[:-50])
    with pytest.raises(UserError, match="weights.pdparams.*damaged"):
        load(path)


def nested(depth):
    return HEAD + b")" + b"\x85" * depth + b"."


def laughs(levels):
    """A list that holds itself twice per level: 2**levels items when walked."""
    doubled = b"".join(b"](h" + bytes([i]) + b"h" + bytes([i]) + b"eq" + bytes([i + 1])
                       for i in range(levels))
    return HEAD + b"]q\0" + doubled + b"."


BOMBS = {
    "length beyond the file": HEAD + b"\x8e" + struct.pack("<Q", 1 << 60) + b"x.",
    "text beyond the file": HEAD + b"\x8d" + struct.pack("<Q", 1 << 40) + b"x.",
    "memo index": HEAD + b"Nr" + struct.pack("<I", 0xFFFFFFFF) + b".",
    "deep tuple": nested(200_000),
    "deep tuple as key": HEAD + b"})" + b"\x85" * 100_000 + b"Ns.",
    "deep list": HEAD + b"]" * 1000 + b"a" * 999 + b".",
    "list in itself": HEAD + b"]q\0h\0a.",
    "shared lists": laughs(200),
    "array too large": pickle.dumps(np.zeros(3, np.float32), 4).replace(
        b"K\x03\x85", b"J\xff\xff\xff\x7f\x85"),
    "objects": pickle.dumps(np.array([{}, []], dtype=object), 4),
    "text array": pickle.dumps(np.array(["a", "b"]), 4),
    "structure": pickle.dumps(np.zeros(2, [("a", "f4")]), 4),
    "codec": pickle.dumps(Hostile(__import__("codecs").encode, "abc", "rot13"), 2),
    "many opcodes": HEAD + b"0N" * 600_000 + b".",
    "long number": HEAD + b"\x8b" + struct.pack("<i", 1 << 20) + bytes(1 << 20) + b".",
    "nothing": b"", "no stop": HEAD + b"N", "two values": HEAD + b"NN.",
    "only a mark": HEAD + b"(.",
    "mark as value": HEAD + b"](a.", "key without value": HEAD + b"}(Nu.",
    "not called": HEAD + b"cnumpy\nndarray\n.", "unbuilt": HEAD
    + b"cnumpy.core.multiarray\n_reconstruct\n)R."}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs(name):
    tracemalloc.start()
    with pytest.raises(UnsafePickle):
        load(io.BytesIO(BOMBS[name]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 80e6 + 4 * len(BOMBS[name])


def test_repeated_encoding_is_bounded():
    """One text of the file made into bytes again and again."""
    size, times = 100_000, 2000
    encode = b"c_codecs\nencode\nh\0" + b"X\6\0\0\0latin1\x86R"
    others = b"".join(b"Nq" + bytes([i]) + b"0" for i in range(1, 6))
    content = (b"\x80\x02X" + struct.pack("<I", size) + b"a" * size + b"q\0" + others + b"]("
               + encode * times + b"e\x86.")
    tracemalloc.start()
    with pytest.raises(UnsafePickle, match="memory"):
        load(io.BytesIO(content))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * len(content)


def calls(path):
    """(object, attribute) of every call x.y(...) and (name,) of every call name(...) in a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield getattr(node.func.value, "id", ""), node.func.attr
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield (node.func.id,)


def test_no_other_reader_of_pickles_in_the_project():
    forbidden = {("pickle", "load"), ("pickle", "loads"), ("pickle", "Unpickler"), ("eval",),
                 ("paddle", "load"), ("torch", "load"), ("joblib", "load"), ("exec",),
                 ("paddle", "Model"), ("Unpickler",)}
    files = [path for folder in ("convert", "tools", "model", "config")
             for path in (ROOT / folder).rglob("*.py")] + list(ROOT.glob("*.py"))
    assert len(files) > 40
    found = {(path.name, call) for path in files for call in calls(path) if call in forbidden}
    assert found <= {("coco.py", ("pickle", "loads"))}   # of annotations it packed itself


def test_limits_leave_room():
    """A checkpoint with an optimizer is far from the limits."""
    arrays = {f"layer{i}": np.zeros(3, np.float32) for i in range(3000)}
    content = pickle.dumps({"model": arrays, "optimizer": arrays, "steps": list(range(9))}, 4)
    assert len(load(io.BytesIO(content))["optimizer"]) == 3000
    assert pickle_machine.MAX_OPCODES == safe_pickle.MAX_ITEMS == 1_000_000
