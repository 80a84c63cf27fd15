"""Synthetic data for the tests, and Paddle set up as the scripts do it."""
from tools.runtime import configure

configure()

import pytest
from tqdm import tqdm

from config import get_config
from tests.builders import TINY
from tools.data.shapes import write_split

tqdm.monitor_interval = 0              # no thread that watches bars


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


# Whole files that make test-fast leaves out: they start processes, train, or run every engine.
SLOW = ("test_benchmark", "test_convert_cli", "test_demo", "test_distributed", "test_durability",
        "test_engine", "test_engine_marks", "test_engines", "test_export", "test_golden",
        "test_quickstart", "test_scripts")


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.stem in SLOW:
            item.add_marker(pytest.mark.slow)
