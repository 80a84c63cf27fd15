"""The project's own weights files: from tools.weights import load_weights."""
from tools.weights.weights_file import load_pretrained, load_weights, read_weights, save_weights

__all__ = ["load_pretrained", "load_weights", "read_weights", "save_weights"]
