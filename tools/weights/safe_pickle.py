"""Reads pickles that hold plain data and numpy arrays, and refuses everything else.

The only reader of weights files and checkpoints: `pickle.load` and `paddle.load` execute what a
file of somebody else tells them to.  Behind the pickle our own files hold its checksum, b"sha256:"
and the 32 bytes, which other readers of pickles do not look at.
"""
import hashlib
import math
from pathlib import Path

import numpy as np

from tools.weights.pickle_machine import Machine, Unfinished, UnsafePickle, check_key

MAX_ITEMS = 1_000_000      # of the result, counting a shared item wherever it appears
MAX_DEPTH = 50
DTYPES = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"}
BYTES = (bytes, bytearray, memoryview)


class DType(Unfinished):
    """A numpy dtype under construction; BUILD tells its byte order."""

    def __init__(self, code, *_):
        if code not in DTYPES:
            raise UnsafePickle(f"refused array type {code!r}; expected one of {sorted(DTYPES)}")
        self.dtype = np.dtype(code)

    def build(self, state, machine):
        if state[1] not in ("<", ">", "|", "="):
            raise UnsafePickle(f"refused byte order {state[1]!r}")
        self.dtype = self.dtype.newbyteorder(state[1])
        return self


class Array(Unfinished):
    """An array under construction; BUILD brings shape, type and bytes."""

    def build(self, state, machine):
        _, shape, dtype, fortran, raw = state
        self.value = new_array(machine, raw, dtype, shape, "F" if fortran else "C")
        return self.value


def new_array(machine, raw, dtype, shape, order):
    """The array of the bytes `raw`, which must fill the shape exactly."""
    if isinstance(raw, str):                             # Python 2 wrote bytes as text
        raw = raw.encode("latin1")
    if not isinstance(dtype, DType) or not isinstance(raw, BYTES):
        raise UnsafePickle("refused an array of objects")
    if type(shape) is not tuple or len(shape) > 8 or order not in ("C", "F") or not all(
            type(side) is int and side >= 0 for side in shape):
        raise UnsafePickle(f"refused an array of shape {str(shape)[:80]}")
    size = math.prod(shape) * dtype.dtype.itemsize
    if size != len(raw):
        raise UnsafePickle(f"an array of shape {shape} and type {dtype.dtype} needs {size} bytes, "
                           f"not {len(raw)}")
    machine.spend(size)
    values = np.frombuffer(raw, dtype.dtype).reshape(shape, order=order)     # read-only, no copy
    return values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))


def no_array(machine, *_):
    return Array()


def dtype_of(machine, *args):
    return DType(*args)


def scalar(machine, dtype, raw):
    return new_array(machine, raw, dtype, (), "C").item()


def from_buffer(machine, raw, dtype, shape, order):
    return new_array(machine, raw, dtype, shape, order)


def encoded(machine, text, codec):
    if codec != "latin1" or not isinstance(text, str):
        raise UnsafePickle(f"refused codec {codec!r}")
    machine.spend(len(text))
    machine.forget(text)
    return text.encode("latin1")


def ordered_dict(machine, items=()):
    return {check_key(key): value for key, value in items}


def empty_bytes(machine):
    return b""


NUMPY = {("numpy", "ndarray"): None, ("numpy", "dtype"): dtype_of, ("_codecs", "encode"): encoded,
         ("__builtin__", "bytes"): empty_bytes, ("builtins", "bytes"): empty_bytes,
         ("collections", "OrderedDict"): ordered_dict}
for _core in ("numpy.core", "numpy._core"):
    NUMPY[f"{_core}.multiarray", "_reconstruct"] = no_array
    NUMPY[f"{_core}.multiarray", "scalar"] = scalar
    NUMPY[f"{_core}.numeric", "_frombuffer"] = from_buffer


def check_result(result, leaves):
    """UnsafePickle unless `result` is plain data, not too deep, and not endless by sharing."""
    plain = (str, bytes, bytearray, int, float, bool, type(None), *leaves)
    waiting, count = [(result, 0)], 0
    while waiting:
        value, depth = waiting.pop()
        kind = type(value)
        if kind in plain:
            continue
        if kind not in (dict, list, tuple):
            raise UnsafePickle(f"refused a {kind.__name__} in the result")
        count += len(value) + 1
        if depth > MAX_DEPTH or count > MAX_ITEMS:
            raise UnsafePickle(f"is nested deeper than {MAX_DEPTH} or has over {MAX_ITEMS} items")
        items = value.values() if kind is dict else value
        waiting.extend((item, depth + 1) for item in items)


def read(data, constructors=NUMPY, persistent=None, leaves=(), position=0):
    """(object, position behind it) of a pickle within the buffer `data`; see Machine.

    `leaves`: types of the caller's constructors that the result may hold.
    """
    machine = Machine(data, constructors, persistent, position)
    result = machine.load()
    check_result(result, (np.ndarray, *leaves))
    return result, machine.position


class HashingFile:
    """Writes through to a binary file; `tail()` is the checksum that belongs behind a pickle."""

    def __init__(self, file):
        self.file, self.digest = file, hashlib.sha256()

    def write(self, data):
        self.digest.update(data)
        return self.file.write(data)

    def tail(self):
        return b"sha256:" + self.digest.digest()


def check_tail(data, position):
    """UnsafePickle unless what follows the pickle is its checksum, or nothing (older files)."""
    view = memoryview(data)
    expected = b"sha256:" + hashlib.sha256(view[:position]).digest()
    if len(view) > position and view[position:] != expected:
        raise UnsafePickle("its checksum is wrong, so bytes of it have changed or are missing")


def load(file):
    """The object pickled in a file (path or binary file).  Raises UnsafePickle, a UserError.

    Allowed: dict (keys str, int, None), list, tuple, text, bytes, numbers, None, numpy arrays of
    numbers.  An OrderedDict becomes a dict.  Nothing but its checksum may follow the pickle.
    """
    data = file.read() if hasattr(file, "read") else Path(file).read_bytes()
    name = getattr(file, "name", "the file") if hasattr(file, "read") else file
    try:
        result, position = read(data)
        check_tail(data, position)
        return result
    except UnsafePickle as error:
        raise UnsafePickle(f"'{name}' is damaged or not a checkpoint: {error}; fetch or convert it "
                           "again") from None
