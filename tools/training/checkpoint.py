"""Moved to tools/weights.  This import works until the next version (CHANGELOG.md)."""
import warnings

from tools.weights.weights_file import *  # noqa: F403

warnings.warn("tools.training.checkpoint is now tools.weights: from tools.weights import "
              "load_weights", FutureWarning, stacklevel=2)
