"""Reads pickles that hold plain data and numpy arrays, and refuses everything else.

The only reader of weights files and checkpoints: `pickle.load` and `paddle.load` execute what a
file of somebody else tells them to.  Behind the pickle our own files hold its checksum, b"sha256:"
and the 32 bytes, which other readers of pickles do not look at.
"""
import hashlib
import math
from pathlib import Path

import numpy as np

from tools.errors import shown
from tools.weights.pickle_machine import ENTRY, Machine, Unfinished, UnsafePickle, check_key

MAX_ITEMS = 1_000_000      # of the result, counting a shared item wherever it appears
MAX_DEPTH = 50
DTYPES = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"}
BYTES = (bytes, memoryview)
MAX_NUMBERS = 2**31        # of an array; sides of 0 count as 1
MAX_SIDES = 8


class DType(Unfinished):
    """A numpy dtype under construction; BUILD tells its byte order."""

    def __init__(self, code, *_):
        if type(code) is not str or code not in DTYPES:
            raise UnsafePickle(f"refused array type '{shown(code)}'; expected one of "
                               f"{', '.join(sorted(DTYPES))}")
        self.dtype = np.dtype(code)

    def build(self, state, machine):
        if type(state) is not tuple or len(state) < 2 or type(state[1]) is not str \
                or state[1] not in ("<", ">", "|", "="):
            raise UnsafePickle("refused an array type without a byte order")
        self.dtype = self.dtype.newbyteorder(state[1])
        return self


class Array(Unfinished):
    """An array under construction; BUILD brings shape, type and bytes."""

    def build(self, state, machine):
        if type(state) is not tuple or len(state) != 5 or type(state[3]) not in (bool, int):
            raise UnsafePickle("refused an array without shape, type and bytes")
        _, shape, dtype, fortran, raw = state
        self.value = new_array(machine, raw, dtype, shape, "F" if fortran else "C")
        return self.value


def is_shape(shape):
    """Whether it is a tuple of at most MAX_SIDES sides that numpy can handle, empty or not."""
    return (type(shape) is tuple and len(shape) <= MAX_SIDES
            and all(type(side) is int and 0 <= side <= MAX_NUMBERS for side in shape)
            and math.prod(max(side, 1) for side in shape) <= MAX_NUMBERS)


def new_array(machine, raw, dtype, shape, order):
    """The array of the bytes `raw`, which must fill the shape exactly."""
    if type(raw) is str:                                 # Python 2 wrote bytes as text
        machine.spend(len(raw))
        raw = raw.encode("latin1")
    if type(dtype) is not DType or type(raw) not in BYTES:
        raise UnsafePickle("refused an array of objects")
    if not is_shape(shape) or type(order) is not str or order not in ("C", "F"):
        raise UnsafePickle(f"refused an array of shape {shown(shape)}")
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
    if type(codec) is not str or codec != "latin1" or type(text) is not str:
        raise UnsafePickle(f"refused codec '{shown(codec)}'")
    machine.spend(len(text))
    machine.forget(text)
    return text.encode("latin1")


def pairs(machine, items):
    """`items`, if it is a list or tuple of pairs; paid for as the entries of a dict."""
    if type(items) not in (list, tuple) or not all(
            type(item) in (list, tuple) and len(item) == 2 for item in items):
        raise UnsafePickle("refused a dict that is not made of pairs")
    machine.hold(ENTRY * len(items))
    return items


def ordered_dict(machine, items=()):
    return {check_key(key): value for key, value in pairs(machine, items)}


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
    plain = (str, bytes, memoryview, int, float, bool, type(None), *leaves)
    path, count = [iter((result,))], 0                   # iterators of the containers we are in
    while path:
        value = next(path[-1], path)                     # itself: the end
        kind = type(value)
        if value is path:
            path.pop()
        elif kind in (dict, list, tuple):
            count += len(value) + 1
            if len(path) > MAX_DEPTH or count > MAX_ITEMS:
                raise UnsafePickle(f"is nested deeper than {MAX_DEPTH} or has over {MAX_ITEMS} "
                                   "items")
            path.append(iter(value.values() if kind is dict else value))
        elif kind not in plain:
            raise UnsafePickle(f"refused a {kind.__name__} in the result")


def read(data, constructors=NUMPY, persistent=None, leaves=(), position=0, budget=None):
    """(object, position behind it) of a pickle within the buffer `data`; see Machine.

    `leaves`: types of the caller's constructors that the result may hold.
    """
    machine = Machine(data, constructors, persistent, position, budget)
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


def read_regular(path):
    """The bytes of a file; a pipe or a device, which may never end, is refused."""
    path = Path(path)
    if path.exists() and not path.is_file():
        raise UnsafePickle(f"'{path}' is no regular file")
    return path.read_bytes()


def load(file):
    """The object pickled in a file (path or binary file).  Raises UnsafePickle, a UserError.

    Allowed: dict (keys str, int, None), list, tuple, text, bytes, numbers, None, numpy arrays of
    numbers.  An OrderedDict becomes a dict, bytes are views of the file.  Nothing but its checksum
    may follow the pickle.
    """
    data = file.read() if hasattr(file, "read") else read_regular(file)
    name = getattr(file, "name", "the file") if hasattr(file, "read") else file
    try:
        result, position = read(data)
        check_tail(data, position)
        return result
    except UnsafePickle as error:
        raise UnsafePickle(f"'{name}' is damaged or not a checkpoint: {error}; fetch or convert it "
                           "again") from None
