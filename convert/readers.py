"""Any checkpoint -> {name: ndarray}, without executing anything in it and without its framework.

PaddleDetection 2.x and 0.5 (.pdparams), PyTorch (.pth, both layouts), detectron2 (.pkl), variables
of Paddle 1.x (folder or .tar), exported models (folder, .tar or their files), and our own weights.
"""
import hashlib
import mmap
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from convert.errors import ConversionError
from convert.inference_model import (
    PARAMETERS,
    PROGRAMS,
    SETTINGS,
    Program,
    input_settings,
    is_inference_model,
    read_inference_model,
)
from convert.paddle_files import read_folder, read_records, tar_members
from convert.torch_files import TorchTensor, is_legacy, read_legacy, read_zip
from tools.errors import UserError, shown
from tools.weights import schema
from tools.weights.pickle_machine import SLOT, UnsafePickle
from tools.weights.safe_pickle import NUMPY, check_tail, read
from tools.weights.weights_file import INPUT_SETTINGS, META

MAX_TENSORS = 20_000
MODEL_FILES = (*PROGRAMS, *PARAMETERS)
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
    input: dict = field(default_factory=dict)        # settings that the file itself states
    program: Program | None = None                   # of an exported model


def read_checkpoint(path):
    """The Source at `path`.  Raises ConversionError or UnsafePickle, which name the file."""
    path = Path(path)
    if not path.exists():
        raise ConversionError(f"no checkpoint '{path}'")
    try:
        if path.is_dir() or path.name.endswith(MODEL_FILES):
            return folder_source(path)
        data = map_file(path)
        return read_data(path, data, hashlib.sha256(data).hexdigest())
    except UnsafePickle as error:
        raise UnsafePickle(f"'{path}' is damaged or not a checkpoint: {error}") from None
    except UserError as error:
        raise ConversionError(f"'{path}': {error}") from None
    except OSError as error:
        raise ConversionError(f"cannot read '{path}': {error.strerror or error}") from None


def folder_source(path):
    """The Source in a folder: an exported model (also named by one of its files), or variables."""
    folder, stem = (path, "") if path.is_dir() else (path.parent, path.stem)
    files = {file.name: file for file in sorted(folder.iterdir()) if file.is_file()}
    if not is_inference_model(files):
        arrays = read_folder(folder)
        return Source(path, "folder of variables", hash_of(arrays), arrays)
    chosen = {name: memoryview(file.read_bytes()) for name, file in files.items()
              if name.endswith((*MODEL_FILES, *SETTINGS)) and (
                  not stem or file.stem == stem or name.endswith(SETTINGS))}
    return model_source(path, chosen)


def model_source(path, files):
    """The Source in the files of an exported model, {name: bytes}."""
    arrays, program, config = read_inference_model(files)
    settings, class_names = input_settings(config)
    return Source(path, "exported model", hash_of(arrays), arrays, [],
                  class_names if are_names(class_names) else (), None, settings, program)


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
        files = dict(tar_members(data))
        if is_inference_model(files):
            return replace(model_source(path, files), sha256=sha256)
        return Source(path, "tar of variables", sha256, read_records(files.items()))
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
        digest.update(name.encode("utf-8", "surrogatepass") + b"\0" + array.tobytes())
    return digest.hexdigest()
