"""Raw outputs as numpy arrays: Tensors of dygraph and arrays of the other engines alike."""
import numpy as np
import paddle


def to_host(values):
    """A float32 numpy array of a Tensor or an array; what is one already is not copied."""
    if isinstance(values, paddle.Tensor):
        values = values.astype("float32").numpy()
    return np.asarray(values, np.float32)


def on_host_or_gpu(values):
    """float32: a Tensor if `values` is one on a GPU, where products are fast, else an array."""
    if isinstance(values, paddle.Tensor) and not values.place.is_cpu_place():
        return values.astype("float32")
    return to_host(values)
