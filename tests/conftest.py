"""Synthetic data for the tests, and Paddle set up as the scripts do it."""
from tools.runtime import configure

configure()

import pytest

from config import get_config
from tools.data.shapes import write_split

TINY = {"backbone_width": 8, "fpn_channels": 16, "head_channels": 16, "head_convs": 1,
        "kernel_channels": 8, "mask_channels": 8, "norm_groups": 4, "num_grids": (8, 6, 4, 3, 2),
        "train_short_sides": (64,), "train_max_side": 96, "test_short_side": 64,
        "test_max_side": 96, "batch_size": 2, "reference_batch_size": 2, "num_workers": 0,
        "warmup_steps": 2, "log_every": 2, "checkpoint_every": 2, "eval_every": 0}


@pytest.fixture(scope="session")
def shapes_dir(tmp_path_factory):
    """A folder with a training split of 8 and a validation split of 4 drawn images."""
    folder = tmp_path_factory.mktemp("shapes")
    write_split(folder, "train", 8, seed=5, size=96)
    write_split(folder, "val", 4, seed=5, size=96)
    return folder


@pytest.fixture
def tiny_cfg(shapes_dir, tmp_path):
    """The quick-start config with a network that takes a moment, on the drawn images."""
    return get_config("quickstart", train_json=f"{shapes_dir}/train.json",
                      train_images=f"{shapes_dir}/train", val_json=f"{shapes_dir}/val.json",
                      val_images=f"{shapes_dir}/val", output_dir=str(tmp_path / "output"), **TINY)
