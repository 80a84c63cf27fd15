"""The benchmarks run and print what they promise; synthetic masks give the decoder its work."""
import re

import numpy as np
import pytest

from config import get_config
from model.decode import Decoder
from tools.benchmark import infer
from tools.benchmark.synthetic import disks
from tools.benchmark.train_step import sgemm_rate
from tools.errors import UserError

SMALL = ["--engine", "dygraph", "--runs", "1", "--size", "64", "96",
         "-o", "test_short_side=64", "test_max_side=96"]


def test_infer_reports_every_stage(capsys):
    infer.main([*SMALL, "--images", "4", "--batch-size", "2"])
    printed = capsys.readouterr().out
    for stage in ("decode", "pre-process", "network", "post-process", "draw + write",
                  "image to masks"):
        assert re.search(rf"{re.escape(stage)} +median +\d", printed), printed
    assert re.search(r"convolutions: 0\.\d GFLOP", printed) and "x the network alone" in printed


def test_operations_grow_with_the_area():
    cfg = get_config("quickstart")
    counted, predicted = (infer.forward_count(infer.build_solov2(cfg), 192),
                          infer.forward_operations(cfg, (192, 192)))
    assert predicted == pytest.approx(counted, rel=0.01)


@pytest.mark.parametrize("count", [1, 37, 200])
def test_disks_are_found(count):
    cfg = get_config("quickstart", num_classes=200)
    found, = Decoder(cfg.strides, max_per_image=500)(disks(cfg, (40, 60), count), [(160, 240)],
                                                     [(160, 240)])
    assert len(found) == count and (found.boxes[:, 2] > found.boxes[:, 0]).all()


def test_growth_is_drawn(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    path = tmp_path / "growth.png"
    infer.main([*SMALL, "--growth", "instances", "--output", str(path)])
    assert path.read_bytes().startswith(b"\x89PNG")
    assert len(re.findall(r"^instances \d+: post-process", capsys.readouterr().out, re.M)) == 7


def test_unknown_benchmark():
    from tools.benchmark.__main__ import main
    with pytest.raises(UserError, match="no benchmark 'trian'"):
        main(["trian"])


def test_sgemm_rate_is_plausible():
    assert 1e8 < sgemm_rate(256, 2) < 1e14 and np.isfinite(sgemm_rate(64, 1))
