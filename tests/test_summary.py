"""Parameters by hand, operations against a count on the image itself."""
import numpy as np
import pytest

from config import get_config
from model.solov2 import build_solov2
from tests.builders import SLIM
from tools.benchmark.infer import forward_count
from tools.summary import main, operations, operations_at, parameters_of


def test_operations_of_any_size_are_those_counted_there():
    model = build_solov2(get_config(2, **SLIM))
    model.eval()
    assert operations(model, (192, 192)) == pytest.approx(operations_at(model, 192), rel=1e-9)
    assert sum(operations_at(model, 192).values()) == forward_count(model, 192)
    assert operations(model, (64, 128))["fpn"] * 2 == operations(model, (128, 128))["fpn"]


def test_parameters_by_hand():
    """A lateral 1x1 and an output 3x3 convolution with biases for each of C2 to C5."""
    cfg = get_config("quickstart", fpn_channels=8, norm_groups=4, frozen_stages=1)
    model = build_solov2(cfg)
    inputs = np.array([16, 32, 64, 128])
    assert parameters_of(model.fpn) == (int((inputs * 8 + 8 + 9 * 64 + 8).sum()),) * 2
    every, trained = parameters_of(model.backbone)
    assert every - trained == parameters_of(model.backbone.stem)[0] == 3 * 16 * 49 + 2 * 16


def test_the_table(capsys):
    main(["--config", "quickstart", "--size", "100", "200"])
    printed = capsys.readouterr().out
    assert "image 128x224" in printed and "all " in printed and "weights file: 4.1 MB" in printed
