"""PyTorch's .pth files without PyTorch: the zip of torch >= 1.6 and the stream of older ones."""
import math
import struct
from dataclasses import dataclass

import numpy as np

from convert.errors import ConversionError
from convert.zip_records import ZipRecords
from tools.errors import shown
from tools.weights.pickle_machine import SLOT, Budget, Global
from tools.weights.safe_pickle import MAX_NUMBERS, NUMPY, is_shape, read

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
STORAGES = {"FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2",
            "LongStorage": "<i8", "IntStorage": "<i4", "ShortStorage": "<i2", "CharStorage": "|i1",
            "ByteStorage": "|u1", "BoolStorage": "|b1"}


@dataclass(frozen=True)
class Storage:
    """A block of numbers, stored apart from the pickle."""

    key: str
    dtype: np.dtype
    size: int


@dataclass(frozen=True)
class TorchTensor:
    """A view of a storage, read only when somebody wants it."""

    storage: Storage
    offset: int
    shape: tuple
    strides: tuple

    def array(self, content):
        """The tensor as an ndarray that views `content`, the bytes of its storage."""
        size = math.prod(self.shape)
        last = self.offset + sum((side - 1) * stride for side, stride
                                 in zip(self.shape, self.strides, strict=True))
        if len(content) != self.storage.size * self.storage.dtype.itemsize:
            raise ConversionError(f"storage {shown(self.storage.key)} has {len(content)} bytes "
                                  f"instead of {self.storage.size} {self.storage.dtype} numbers")
        if size > self.storage.size or (size and last >= self.storage.size):
            raise ConversionError(f"a tensor of shape {self.shape} lies outside its storage "
                                  f"{shown(self.storage.key)} of {self.storage.size} numbers")
        values = np.frombuffer(content, self.storage.dtype)[self.offset if size else 0:]
        return np.lib.stride_tricks.as_strided(
            values, self.shape, [stride * values.itemsize for stride in self.strides],
            writeable=False)


def rebuild_tensor(machine, storage, offset, shape, strides, *_):
    if type(storage) is not Storage or not is_shape(shape) or type(strides) is not tuple \
            or len(shape) != len(strides) \
            or not all(type(n) is int and 0 <= n <= MAX_NUMBERS for n in (offset, *strides)):
        raise ConversionError("refused a tensor outside a storage, or with a senseless "
                              f"shape ({shown(shape)}) or strides")
    return TorchTensor(storage, offset, shape, strides)


def keep_first(machine, value, *_):
    return value


def keep_items(machine, items=(), *_):
    if type(items) not in (list, tuple):
        return {}
    machine.hold(SLOT * len(items))
    return list(items)


def nothing(machine, *_):
    """In place of an object that training files hold and nobody needs: an empty dict."""
    return {}


TORCH = {**NUMPY,
         ("torch._utils", "_rebuild_tensor_v2"): rebuild_tensor,
         ("torch._utils", "_rebuild_parameter"): keep_first,
         ("torch", "Size"): keep_first, ("torch", "device"): nothing,
         ("collections", "Counter"): nothing, ("collections", "defaultdict"): nothing,
         ("builtins", "set"): keep_items, ("__builtin__", "set"): keep_items,
         ("builtins", "dict"): nothing, ("builtins", "list"): keep_items,
         ("argparse", "Namespace"): nothing,
         ("mmengine.logging.history_buffer", "HistoryBuffer"): nothing,
         **{("torch", name): None for name in STORAGES}}


def storage_of(pid):
    """The Storage that a persistent id describes."""
    if type(pid) is not tuple or len(pid) not in (5, 6) or type(pid[1]) is not Global \
            or pid[1].name not in STORAGES or type(pid[0]) is not str or pid[0] != "storage" \
            or type(pid[2]) is not str or type(pid[4]) is not int or not 0 <= pid[4] <= MAX_NUMBERS:
        raise ConversionError("refused a persistent id that is not a tensor storage")
    if len(pid) == 6 and pid[5] is not None:
        raise ConversionError("views of storages (torch < 0.4) are not read; save the file again")
    return Storage(pid[2], np.dtype(STORAGES[pid[1].name]), pid[4])


def read_zip(data):
    """(content, arrays) of a zip file: `arrays(tensor)` -> the ndarray of a TorchTensor."""
    records = ZipRecords(data)
    main = [name for name in records.records if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(main) != 1:
        raise ConversionError("the zip file is not a checkpoint of PyTorch: it has no data.pkl "
                              "(TorchScript files and plain archives are not read)")
    folder = main[0].split("/")[0]
    order = f"{folder}/byteorder"
    if order in records.records and bytes(records.read(order)) != b"little":
        raise ConversionError("the file is big-endian")
    content, _ = read(records.read(main[0]), TORCH, storage_of, (TorchTensor,))
    return content, lambda tensor: tensor.array(records.read(f"{folder}/data/{tensor.storage.key}"))


def is_legacy(data):
    return bytes(data[:16]).find(LEGACY_MAGIC.to_bytes(10, "little")) in range(3, 6)


def read_legacy(data):
    """As `read_zip`, for the older layout: five pickles, then the storages."""
    storages = {}

    def remember(pid):
        storage = storage_of(pid)
        return storages.setdefault(storage.key, storage)

    budget = Budget(len(data))
    _, position = read(data, budget=budget)
    protocol, position = read(data, position=position, budget=budget)
    system, position = read(data, position=position, budget=budget)
    if type(protocol) is not int or protocol != LEGACY_PROTOCOL or type(system) is not dict \
            or system.get("little_endian") is not True:
        raise ConversionError(f"the file has an unknown layout (protocol {shown(protocol)})")
    content, position = read(data, TORCH, remember, (TorchTensor,), position, budget)
    keys, position = read(data, position=position, budget=budget)
    if type(keys) is not list or not all(type(key) is str for key in keys):
        raise ConversionError("the list of storages is damaged")
    places = locate(data, keys, storages, position)

    def array(tensor):
        if tensor.storage.key not in places:
            raise ConversionError(f"the file has no storage {shown(tensor.storage.key)}")
        start, stop = places[tensor.storage.key]
        return tensor.array(data[start:stop])

    return content, array


def locate(data, keys, storages, position):
    """{key: (start, stop)} of the storages that follow each other from `position` on."""
    places = {}
    for key in keys:
        if key not in storages or position + 8 > len(data):
            raise ConversionError(f"the file is truncated or damaged at storage {shown(key)}")
        size, = struct.unpack_from("<q", data, position)
        if size != storages[key].size:
            raise ConversionError(f"storage {shown(key)} has {size} numbers instead of "
                                  f"{storages[key].size}")
        start = position + 8
        position = start + size * storages[key].dtype.itemsize
        if position > len(data):
            raise ConversionError(f"the file is truncated: storage {shown(key)} ends behind it")
        places[key] = start, position
    return places
