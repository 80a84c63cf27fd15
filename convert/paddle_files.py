"""Variables of Paddle 1.x: a folder or a .tar with one LoDTensor record per file."""
import math
import struct
from pathlib import Path

import numpy as np

from convert.errors import ConversionError
from convert.protobuf import message, sides
from tools.errors import shown
from tools.weights.safe_pickle import is_shape

FLOAT32 = 5                # in Paddle's VarType
TYPES = {0: "|b1", 1: "<i2", 2: "<i4", 3: "<i8", 4: "<f2", 5: "<f4", 6: "<f8", 20: "|u1", 21: "|i1"}
RECORD_START = bytes(16)   # two versions and the number of levels of detail, all 0
MAX_FILES = 10_000
BLOCK = 512                # of a tar file


def read_folder(folder):
    """{file name: ndarray} of the records in a folder; files of another kind are left out."""
    paths = sorted(path for path in Path(folder).iterdir() if path.is_file())
    if len(paths) > MAX_FILES:
        raise ConversionError(f"'{folder}' holds {len(paths)} files; is it the right folder?")
    return read_records((path.name, memoryview(path.read_bytes())) for path in paths
                        if begins_as_record(path))


def begins_as_record(path):
    with open(path, "rb") as file:
        return file.read(len(RECORD_START)) == RECORD_START


def read_records(files):
    tensors = {}
    for name, content in files:
        if bytes(content[:16]) == RECORD_START and len(content) > 20 and name.isprintable():
            tensors[name] = lod_tensor(name, content)
    if not tensors:
        raise ConversionError("no file in it is a variable of Paddle 1.x")
    return tensors


def tar_members(data):
    """(base name, content) of the regular files of a tar archive; nothing is extracted."""
    position = 0
    while position + BLOCK <= len(data):
        header = bytes(data[position:position + BLOCK])
        if header == bytes(BLOCK):
            return
        size, checksum = octal(header[124:136]), octal(header[148:156])
        if sum(header) - sum(header[148:156]) + 8 * 0x20 != checksum:
            raise ConversionError(f"the tar header at byte {position} is damaged")
        name = header[:100].rstrip(b"\0").decode("utf-8", "replace")
        if name.startswith("/") or ".." in name.split("/"):
            raise ConversionError(f"refused the tar member '{shown(name)}': outside the archive")
        start = position + BLOCK
        if start + size > len(data):
            raise ConversionError(f"the tar file is truncated in '{shown(name)}'")
        if header[156:157] in (b"0", b"\0"):
            yield name.rpartition("/")[2], data[start:start + size]
        position = start + -(-size // BLOCK) * BLOCK
    raise ConversionError("the tar file is truncated: its end mark is missing")


def octal(field):
    text = field.strip(b"\0 ")
    if text.strip(b"01234567") or len(text) > 12:
        raise ConversionError("the tar file has a number that is not octal")
    return int(text or b"0", 8)


def lod_tensor(name, content):
    """The float32 array of a file that is one record."""
    array, stop = record(name, content, 0, {FLOAT32: "<f4"})
    if stop != len(content):
        raise ConversionError(f"'{shown(name)}' of shape {array.shape} needs {array.nbytes} bytes, "
                              f"not {len(content) - stop + array.nbytes}")
    return array


def record(name, data, position, types=TYPES):
    """(array, position behind it) of the record at `position`: version, no levels of detail,
    version, description (protobuf), raw numbers."""
    start = position + 20
    head = bytes(data[position:start])
    length = struct.unpack("<IQIi", head)[3] if len(head) == 20 else -1
    if head[:16] != RECORD_START or not 0 < length < 256 or start + length > len(data):
        raise ConversionError(f"'{shown(name)}' is not a tensor record of Paddle, or damaged")
    kind, shape = description(data[start:start + length])
    if kind not in types or not is_shape(shape):
        raise ConversionError(f"'{shown(name)}' has type {shown(kind)} and shape {shown(shape)}, "
                              f"expected {', '.join(map(str, types))} and a shape that fits into "
                              "memory")
    dtype, start = np.dtype(types[kind]), start + length
    stop = start + math.prod(shape) * dtype.itemsize
    if stop > len(data):
        raise ConversionError(f"'{shown(name)}' of shape {shape} needs {stop - start} bytes, "
                              f"not {len(data) - start}")
    return np.frombuffer(data[start:stop], dtype).reshape(shape), stop


def description(content):
    """(type, shape) in a TensorDesc."""
    found = message(content, {1: "type", 2: "sides"})
    return (found["type"] or [None])[0], sides(found["sides"])
