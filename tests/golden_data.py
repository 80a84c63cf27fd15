"""Access to the outputs that the original projects gave; tests skip where the folder is absent."""
import os
import sys

import numpy as np
import pytest

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "shared", "golden")


def require_golden():
    if not os.path.isdir(FOLDER):
        pytest.skip("the original projects' outputs are not here (../shared/golden)")


def golden(name):
    """The arrays of data/<name>.npz."""
    require_golden()
    return np.load(os.path.join(FOLDER, "data", f"{name}.npz"))


def golden_weights(name):
    """{name: array} of a checkpoint, in the names of its own project."""
    require_golden()
    if FOLDER not in sys.path:
        sys.path.append(FOLDER)
    import checkpoints
    return checkpoints.weights(name)


def unpack(data, key):
    """bool masks from the packed bits of `key`."""
    width = data[f"{key}_shape"][2]
    return np.unpackbits(data[f"{key}_packed"], axis=-1)[..., :width].astype(bool)
