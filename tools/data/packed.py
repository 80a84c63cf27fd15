"""A COCO json as arrays in a file beside it, so that it is read once and shared by all processes.

<json>.packed holds a head (json text) and the columns of annotation_columns.py and
image_columns.py, 64 bytes aligned.  It is mapped, not read: ranks and reader processes look at one
copy in the system's page cache.
It counts only for a json of the same bytes, read by the same code (a hash of both), is written
atomically, and only for jsons from SMALLEST on.  Several processes that open one json wait for the
first, which reads it.  Where the folder cannot be written the arrays stay in memory.
"""
import contextlib
import hashlib
import json
import logging
import os
from pathlib import Path

import numpy as np

from tools.data import (
    annotation_columns,
    coco_json,
    ids,
    image_columns,
    json_stream,
    masks,
    reasons,
    segmentations,
)
from tools.errors import UserError
from tools.files import atomic_file, irregular, key_of_file, note_input

try:
    import fcntl
except ImportError:                    # Windows: two processes may then both read the json
    fcntl = None

SMALLEST = 8 << 20                 # bytes of a json that is worth a packed file
MAGIC = b"SOLOv2 packed annotations 1\n\0\0\0\0"
ALIGNMENT = 64
DTYPES = {**annotation_columns.COLUMNS, **image_columns.COLUMNS}
WIDTHS = {**annotation_columns.WIDTHS, **image_columns.WIDTHS}
CODE = (annotation_columns, coco_json, ids, image_columns, json_stream, masks, reasons,
        segmentations)             # what decides on the columns

logger = logging.getLogger(__name__)


def open_coco(path):
    """(head, {column: array}) of a COCO json, see `read_coco_columns`; the arrays are read-only.

    UserError where the file is not COCO.
    """
    note_input(path, "the annotation file that was read")
    if irregular(path) or not os.path.exists(path) or os.path.getsize(path) < SMALLEST:
        return in_memory(path)
    with one_at_a_time(path):
        key, packed = key_of(path), f"{path}.packed"
        found = read_packed(packed, key)
        if found is None:
            head, chunks = coco_json.read_coco_columns(path)
            try:
                write_packed(packed, key, head, chunks)
            except UserError as error:
                logger.info("%s; the annotations stay in memory", error)
                return head, joined(chunks)
            del head, chunks
            found = read_packed(packed, key)
    return found


def in_memory(path):
    head, chunks = coco_json.read_coco_columns(path)
    return json.loads(json.dumps(head)), joined(chunks)


def joined(chunks):
    """{column: array} of {column: [arrays]}; gives the chunks up one by one."""
    return {name: np.concatenate([empty(name), *chunks.pop(name)]) for name in list(chunks)}


def empty(name):
    """A column without rows."""
    return np.zeros((0, WIDTHS[name]) if name in WIDTHS else 0, DTYPES[name])


@contextlib.contextmanager
def one_at_a_time(path):
    """Processes on one machine pass this block one after the other."""
    with open(path, "rb") as file:
        if fcntl is not None:
            with contextlib.suppress(OSError):         # a file system without locks
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def key_of(path):
    """A hash of a file's bytes and of the code that reads it, hexadecimal."""
    digest = hashlib.sha256(key_of_file(path).encode())
    for module in CODE:
        digest.update(Path(module.__file__).read_bytes())
    return digest.hexdigest()


def is_packed(path):
    """Whether a file begins as the packed files do."""
    try:
        with open(path, "rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def write_packed(path, key, head, chunks):
    """Write the file; UserError if that is not possible, or another file has its name."""
    if os.path.lexists(path) and not is_packed(path):
        raise UserError(f"'{path}' is a file of yours and stays")
    arrays, place = {}, 0
    for name, parts in chunks.items():
        place = -(-place // ALIGNMENT) * ALIGNMENT
        rows = sum(len(part) for part in parts)
        shape = [rows, *([WIDTHS[name]] if name in WIDTHS else [])]
        size = int(np.prod(shape)) * np.dtype(DTYPES[name]).itemsize
        arrays[name] = (shape, place, size)
        place += size
    text = json.dumps({"key": key, "arrays": arrays, "head": head}).encode()
    with atomic_file(path) as file:
        file.write(MAGIC + len(text).to_bytes(8, "little") + text)
        first = -(-file.tell() // ALIGNMENT) * ALIGNMENT
        for name, parts in chunks.items():
            file.write(bytes(first + arrays[name][1] - file.tell()))
            for part in parts:
                file.write(np.ascontiguousarray(part).data)


def read_packed(path, key):
    """(head, {column: array}), or None where there is no file for this key, or a damaged one."""
    try:
        with open(path, "rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                return None
            text = file.read(int.from_bytes(file.read(8), "little"))
            content = json.loads(text)
            first = -(-file.tell() // ALIGNMENT) * ALIGNMENT
        if content["key"] != key:
            return None
        data = np.memmap(path, np.uint8, mode="r").view(np.ndarray)
        found = {name: data[first + place:first + place + size].view(DTYPES[name])
                 .reshape(shape) for name, (shape, place, size) in content["arrays"].items()}
    except (OSError, ValueError, KeyError, TypeError, RecursionError, OverflowError):
        return None
    return content["head"], found
