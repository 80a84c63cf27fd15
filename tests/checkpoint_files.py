"""Small checkpoint files in every layout that the converter reads."""
import io
import pickle
import struct
import tarfile
from pathlib import Path

import numpy as np

from convert.writers import (
    named,
    text,
    torch_tensor,
    value,
    write_pdparams,
    write_pdparams_static,
    write_pth,
)
from tests.golden.checkpoints import key_lists

WRAPPER = {"wxinlong": "state_dict", "mmdet3": "state_dict", "adelaidet": "model"}


def write_checkpoint(path, name, tensors):
    """The tensors of a golden checkpoint in the layout of its project."""
    layout, family = key_lists()[name]["layout"], name.split("__")[0]
    if layout == "pdparams":
        write_pdparams(path, tensors)
    elif layout == "pdparams-static":
        write_pdparams_static(path, tensors)
    elif layout == "variables":
        write_variables(path, tensors)
    else:
        write_pth(path, WRAPPER[family], tensors, {"epoch": 36})


def write_legacy_pth(path, wrapper, tensors, extras):
    """PyTorch < 1.6: magic, protocol and machine, the pickle, the keys, then the numbers."""
    entries = b"".join(text(name) + torch_tensor(str(i), array)
                       for i, (name, array) in enumerate(tensors.items()))
    entries = entries.replace(b"tQ", b"NtQ")             # their storages have a sixth entry
    keys = [str(i) for i in range(len(tensors))]
    with open(path, "wb") as file:
        for head in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
            pickle.dump(head, file, 2)
        state = named("collections", "OrderedDict") + b")R(" + entries + b"u"
        file.write(b"\x80\x02}(" + text(wrapper) + state
                   + b"".join(text(key) + value(item) for key, item in extras.items()) + b"u.")
        pickle.dump(keys, file, 2)
        for array in tensors.values():
            file.write(struct.pack("<q", array.size) + array.tobytes())


def lod_record(array):
    """A variable as Paddle 1.x stores it: float32, one protobuf varint per side."""
    sides = b"".join(b"\x10" + varint(side) for side in array.shape)
    description = b"\x08\x05" + sides
    return (struct.pack("<IQIi", 0, 0, 0, len(description)) + description
            + array.astype("<f4").tobytes())


def varint(number):
    low, rest = number & 127, number >> 7
    return bytes([low | 128]) + varint(rest) if rest else bytes([low])


def write_variables(path, tensors):
    """A folder with one record per variable, or a .tar of it."""
    if str(path).endswith(".tar"):
        with tarfile.open(path, "w") as archive:
            for name, array in tensors.items():
                info = tarfile.TarInfo(f"folder/{name}")
                info.size = len(lod_record(array))
                archive.addfile(info, io.BytesIO(lod_record(array)))
        return
    Path(path).mkdir()
    for name, array in tensors.items():
        (Path(path) / name).write_bytes(lod_record(array))


def small_tensors(seed=0):
    """A few tensors of every shape that matters."""
    rng = np.random.default_rng(seed)
    return {"stem.weight": rng.normal(size=(4, 3, 3, 3)).astype(np.float32),
            "norm.bias": rng.normal(size=7).astype(np.float32),
            "count": np.array(12, np.int64), "empty": np.zeros((0, 3), np.float32)}
