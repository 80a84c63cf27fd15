"""Checkpoint files in the layouts of the other projects, written without their frameworks.

The pickles are put together opcode by opcode, because they name functions of packages that are not
installed here, and `numpy.core`, the one name that every version of numpy can load.
"""
import struct
import zipfile

import numpy as np

from tools.files import atomic_file

STORAGES = {"float32": "FloatStorage", "int64": "LongStorage"}


def write_pdparams(path, tensors):
    """PaddleDetection 2.x: a pickled {name: array} and Paddle's table of parameter names."""
    with atomic_file(path) as file:
        file.write(b"\x80\x04}(")
        for name, array in tensors.items():
            write_array(file, name, array, raw_bytes)
        names = {name: name for name in tensors}
        file.write(text("StructuredToParameterName@@") + value(names) + b"u.")


def write_pdparams_static(path, tensors):
    """PaddleDetection 0.5: a pickled {name: array} of protocol 2, which Python 2 reads too."""
    with atomic_file(path) as file:
        file.write(b"\x80\x02}(")
        for name, array in tensors.items():
            write_array(file, name, array, raw_text)
        file.write(b"u.")


def write_pth(path, wrapper, tensors, extras):
    """PyTorch >= 1.6: {wrapper: state dict, **extras} in a zip file of uncompressed records."""
    entries = []
    for key, (name, array) in enumerate(tensors.items()):
        entries.append(text(name) + torch_tensor(str(key), array))
    state = named("collections", "OrderedDict") + b")R(" + b"".join(entries) + b"u"
    content = (b"\x80\x02}(" + text(wrapper) + state
               + b"".join(text(key) + value(item) for key, item in extras.items()) + b"u.")
    with atomic_file(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/byteorder", "little")
        for key, array in enumerate(tensors.values()):
            archive.writestr(f"archive/data/{key}", little_endian(array))
        archive.writestr("archive/version", "3\n")


def torch_tensor(key, array):
    """Opcodes of a contiguous tensor: a call that rebuilds it from its storage."""
    strides = [int(np.prod(array.shape[axis + 1:])) for axis in range(array.ndim)]
    storage = (b"(" + text("storage") + named("torch", STORAGES[array.dtype.name]) + text(key)
               + text("cpu") + value(array.size) + b"tQ")
    return (named("torch._utils", "_rebuild_tensor_v2") + b"(" + storage + value(0)
            + value(array.shape) + value(tuple(strides)) + b"\x89"
            + named("collections", "OrderedDict") + b")Rt" + b"R")


def write_array(file, name, array, raw):
    """Write opcodes of a dict item: the array as numpy pickles it; `raw` writes its bytes."""
    kind = {"float32": "f4", "int64": "i8"}[array.dtype.name]
    file.write(text(name) + named("numpy.core.multiarray", "_reconstruct")
               + named("numpy", "ndarray") + value((0,)))
    raw(file, b"b")
    file.write(b"\x87R(" + value(1) + value(array.shape) + named("numpy", "dtype") + text(kind)
               + value(0) + value(1) + b"\x87R(" + value(3) + text("<") + b"NNN" + value(-1)
               + value(-1) + value(0) + b"tb\x89")
    raw(file, little_endian(array))
    file.write(b"tb")


def raw_bytes(file, content):
    file.write(b"\x8e" + struct.pack("<Q", len(content)) + content)


def raw_text(file, content):
    """Bytes in protocol 2: text that is encoded again on loading."""
    file.write(named("_codecs", "encode") + text(content.decode("latin1")) + text("latin1")
               + b"\x86R")


def little_endian(array):
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()


def named(module, name):
    return f"c{module}\n{name}\n".encode()


def text(string):
    encoded = string.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def value(item):
    """Opcodes of an int, str, tuple or dict."""
    if isinstance(item, str):
        return text(item)
    if isinstance(item, int):
        return b"J" + struct.pack("<i", item)
    if isinstance(item, tuple):
        return b"(" + b"".join(map(value, item)) + b"t"
    return b"}(" + b"".join(text(key) + value(inner) for key, inner in item.items()) + b"u"
