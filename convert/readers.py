"""Any checkpoint -> {name: ndarray}, without executing anything in it and without its framework.

PaddleDetection 2.x and 0.5 (.pdparams), PyTorch (.pth, both layouts), detectron2 (.pkl), variables
of Paddle 1.x (folder or .tar), and our own weights.
"""
import hashlib
import mmap
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from convert.errors import ConversionError
from convert.paddle_files import read_folder, read_tar
from convert.torch_files import TorchTensor, is_legacy, read_legacy, read_zip
from tools.errors import UserError, shown
from tools.weights import schema
from tools.weights.pickle_machine import SLOT, UnsafePickle
from tools.weights.safe_pickle import NUMPY, check_tail, read
from tools.weights.weights_file import INPUT_SETTINGS, META

MAX_TENSORS = 20_000
WRAPPERS = ("state_dict", "model")           # in this order: detectron2 has "model", mmcv the first


def tuple_of(machine, items=()):
    """What Paddle makes of a tensor that it saves with its name: tuple([name, array])."""
    if type(items) not in (list, tuple):
        raise UnsafePickle("refused a tuple of something that is no list")
    machine.hold(SLOT * len(items))
    return tuple(items)


PDPARAMS = {**NUMPY, ("builtins", "tuple"): tuple_of, ("__builtin__", "tuple"): tuple_of}


@dataclass
class Source:
    """What a checkpoint file holds: tensors by their own names, and what was left aside."""

    path: Path
    layout: str
    sha256: str
    arrays: dict
    extras: list = field(default_factory=list)       # names of other entries
    class_names: tuple = ()
    meta: dict | None = None                         # of a file of ours


def read_checkpoint(path):
    """The Source at `path`.  Raises ConversionError or UnsafePickle, which name the file."""
    path = Path(path)
    if not path.exists():
        raise ConversionError(f"no checkpoint '{path}'")
    try:
        if path.is_dir():
            arrays = read_folder(path)
            return Source(path, "folder of variables", hash_of(arrays), arrays)
        data = map_file(path)
        return read_data(path, data, hashlib.sha256(data).hexdigest())
    except UnsafePickle as error:
        raise UnsafePickle(f"'{path}' is damaged or not a checkpoint: {error}") from None
    except UserError as error:
        raise ConversionError(f"'{path}': {error}") from None
    except OSError as error:
        raise ConversionError(f"cannot read '{path}': {error.strerror or error}") from None


def map_file(path):
    """The bytes of a file, read as they are needed."""
    if not path.is_file():
        raise ConversionError("is no regular file")
    if path.stat().st_size < 64:
        raise ConversionError(f"is no checkpoint: it has {path.stat().st_size} bytes")
    with open(path, "rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def read_data(path, data, sha256):
    """The Source in the bytes of a file; its first bytes tell the layout."""
    if bytes(data[:4]) == b"PK\3\4":
        return torch_source(path, "torch zip", sha256, *read_zip(data))
    if bytes(data[257:262]) == b"ustar":
        return Source(path, "tar of variables", sha256, read_tar(data))
    if data[0] != 0x80:
        raise ConversionError(f"is no checkpoint: it begins with {bytes(data[:8])!r}; expected a "
                              ".pdparams, .pth, .pkl or .tar file, or a folder of variables")
    if is_legacy(data):
        return torch_source(path, "torch stream", sha256, *read_legacy(data))
    content, position = read(data, PDPARAMS)
    if isinstance(content, dict) and isinstance(content.get(META), str):
        check_tail(data, position)
        return own_source(path, sha256, content)
    tensors, extras, class_names = unwrap(content, (np.ndarray, tuple))
    arrays = {name: named_array(name, value) for name, value in tensors.items()}
    return Source(path, "pickle", sha256, arrays, extras, class_names)


def own_source(path, sha256, content):
    """The Source in the content of a weights file of ours."""
    try:
        meta = schema.parse_meta(content.pop(META))
    except UserError as error:
        raise ConversionError(f"its description is damaged: it {error}") from None
    if not set(INPUT_SETTINGS) <= set(meta["input"]):
        raise ConversionError("its description is damaged: it does not state its whole input")
    schema.check_arrays(content)
    schema.check_classes(meta, content)
    return Source(path, "ours", sha256, content, [], tuple(meta["class_names"]), meta)


def are_names(names):
    """Whether all are short texts that can be printed."""
    return all(type(name) is str and len(name) < 200 and name.isprintable() for name in names)


def named_array(name, value):
    """The ndarray of an entry; Paddle may save a tensor as (parameter name, array)."""
    if type(value) is tuple and len(value) == 2:
        value = value[1]
    if not isinstance(value, np.ndarray):
        raise ConversionError(f"the entry '{shown(name)}' is no array but {type(value).__name__}")
    return value


def torch_source(path, layout, sha256, content, array_of):
    tensors, extras, class_names = unwrap(content, (TorchTensor,))
    return Source(path, layout, sha256, {name: array_of(t) for name, t in tensors.items()}, extras,
                  class_names)


def unwrap(content, kinds):
    """(tensors, names of other entries, class names) of a state dict, wrapped or bare."""
    if not isinstance(content, dict):
        raise ConversionError(f"holds a {type(content).__name__}, expected a dict of tensors")
    wrapper = next((key for key in WRAPPERS if isinstance(content.get(key), dict)), None)
    state = content[wrapper] if wrapper else content
    extras = [key for key in content if key != wrapper] if wrapper else []
    tensors = {}
    for name, value in state.items():
        if isinstance(value, kinds) and are_names([name]):
            name = name.removeprefix("module.")
            if name in tensors:
                raise ConversionError(f"holds '{name}' twice, with and without 'module.'")
            tensors[name] = value
        elif type(name) is not str or not name.endswith("@@"):     # Paddle's table of names
            extras.append(name)
    if not tensors:
        raise ConversionError("holds no tensors")
    if len(tensors) > MAX_TENSORS:
        raise ConversionError(f"holds {len(tensors)} tensors; a SOLOv2 has less than a thousand")
    return tensors, [shown(key) for key in extras], class_names_in(content.get("meta"))


def class_names_in(meta):
    """The class names that mmdetection stores beside the weights, or ()."""
    if not isinstance(meta, dict):
        return ()
    dataset = meta.get("dataset_meta")
    for names in (meta.get("CLASSES"), *([dataset.get("classes"), dataset.get("CLASSES")]
                                         if isinstance(dataset, dict) else [])):
        if isinstance(names, (list, tuple)) and names and are_names(names):
            return tuple(names)
    return ()


def hash_of(arrays):
    """One sha256 over the names and values of the variables of a folder."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(name.encode() + b"\0" + array.tobytes())
    return digest.hexdigest()
