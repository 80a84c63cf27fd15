"""Reads pickles that hold plain containers, numbers, text and numpy arrays, and executes nothing else in them."""
import io
import pickle
from collections import OrderedDict

import numpy as np

from tools.errors import UserError


class UnsafePickle(UserError):
    """The file holds something other than containers, numbers, text and arrays, or is damaged."""


def _encode(text, encoding):
    if encoding != "latin1":
        raise UnsafePickle(f"refused codec '{encoding}'")
    return text.encode("latin1")


ALLOWED = {("collections", "OrderedDict"): OrderedDict, ("numpy", "ndarray"): np.ndarray, ("numpy", "dtype"): np.dtype,
           ("_codecs", "encode"): _encode}
for _module in ("numpy.core.multiarray", "numpy._core.multiarray"):
    ALLOWED[_module, "_reconstruct"] = np._core.multiarray._reconstruct if hasattr(np, "_core") \
        else np.core.multiarray._reconstruct
    ALLOWED[_module, "scalar"] = np._core.multiarray.scalar if hasattr(np, "_core") else np.core.multiarray.scalar


class _Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) not in ALLOWED:
            raise UnsafePickle(f"refused '{module}.{name}': only containers, numbers, text and arrays are read")
        return ALLOWED[module, name]


def load(path):
    """The object in the file at `path`.  Raises UnsafePickle for anything but plain data, or a damaged file."""
    with open(path, "rb") as file:
        data = file.read()
    try:
        return _Unpickler(io.BytesIO(data)).load()
    except UnsafePickle as error:
        raise UnsafePickle(f"{path}: {error}") from None
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError,
            UnicodeDecodeError, MemoryError, OverflowError, ImportError) as error:
        raise UnsafePickle(f"{path} is damaged or not a checkpoint ({type(error).__name__}: {error}); "
                           "fetch or convert it again") from None
