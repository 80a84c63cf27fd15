"""Variables of Paddle 1.x: a folder or a .tar with one LoDTensor record per file."""
import math
import struct
from pathlib import Path

import numpy as np

from convert.errors import ConversionError
from tools.errors import shown
from tools.weights.safe_pickle import is_shape

FLOAT32 = 5                # in Paddle's VarType
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


def read_tar(data):
    """{base name: ndarray} of the records in an uncompressed tar file in memory."""
    return read_records(tar_members(memoryview(data)))


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
    """One record: version, no levels of detail, version, description (protobuf), raw float32."""
    try:
        version, levels, version2, length = struct.unpack_from("<IQIi", content, 0)
        if (version, levels, version2) != (0, 0, 0) or not 0 < length < 256:
            raise ConversionError(f"'{shown(name)}' is not a tensor record of Paddle 1.x")
        shape = tensor_shape(name, bytes(content[20:20 + length]))
    except (struct.error, IndexError):
        raise ConversionError(f"the record '{shown(name)}' is damaged") from None
    raw = content[20 + length:]
    if math.prod(shape) * 4 != len(raw):
        raise ConversionError(f"'{shown(name)}' of shape {shape} needs {math.prod(shape) * 4} "
                              f"bytes, not {len(raw)}")
    return np.frombuffer(raw, "<f4").reshape(shape)


def tensor_shape(name, description):
    """The shape in a TensorDesc: field 1 the type, field 2 the sides, plain or packed varints."""
    position, kind, shape = 0, None, []
    while position < len(description):
        tag = description[position]
        value, position = varint(description, position + 1)
        if tag == 0x08:
            kind = value
        elif tag == 0x10:
            shape.append(value)
        elif tag == 0x12:
            stop = position + value
            while position < stop:
                side, position = varint(description, position)
                shape.append(side)
        else:
            raise ConversionError(f"the description of '{shown(name)}' is damaged")
    if kind != FLOAT32 or not is_shape(tuple(shape)):
        raise ConversionError(f"'{shown(name)}' has type {shown(kind)} and shape "
                              f"{shown(tuple(shape))}, expected float32 ({FLOAT32}) and a shape "
                              "that fits into memory")
    return tuple(shape)


def varint(data, position):
    """(number, position behind it) of a protobuf varint."""
    value = 0
    for shift in range(0, 42, 7):
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
    raise IndexError
