"""The benchmarks run and print what they promise; synthetic masks give the decoder its work."""
import re
import sys

import numpy as np
import pytest

from config import get_config
from model.decode import Decoder
from model.instances import Instances
from tests.builders import TINY
from tools.benchmark import infer, outlines
from tools.benchmark.agreement import matched_pairs
from tools.benchmark.synthetic import disks
from tools.benchmark.train_step import LOADER_PARTS, STEP_PARTS, sgemm_rate, time_steps
from tools.errors import UserError
from tools.training.loop import Trainer

SMALL = ["--engine", "dygraph", "--runs", "1", "--size", "64", "96",
         "-o", "test_short_side=64", "test_max_side=96"]


def test_infer_reports_every_stage(capsys):
    infer.main([*SMALL, "--images", "4", "--batch-size", "2"])
    printed = capsys.readouterr().out
    for stage in ("decode", "pre-process", "network", "post-process", "draw + write",
                  "image to masks"):
        assert re.search(rf"{re.escape(stage)} +median +\d", printed), printed
    assert re.search(r"convolutions: 0\.\d GFLOP", printed) and "x the network alone" in printed


def test_agreement_with_itself(capsys):
    infer.main([*SMALL, "--agreement"])
    line, of_the_same = capsys.readouterr().out.splitlines()[-2:]
    count = re.search(r"within 0.0e\+00 .* (\d+) of \1 instances \(dygraph: \1\)", line).group(1)
    assert int(count) > 0 and line.endswith("same, 0 of them in another place of the order")
    assert "up to 0.0e+00, and 0.0e+00 of the mask pixels" in of_the_same


def test_instances_are_matched_by_class_and_mask():
    square = 0, 0, np.ones((4, 4), bool)
    half, elsewhere = (0, 0, np.ones((4, 2), bool)), (4, 4, np.ones((4, 4), bool))
    found = Instances([0.9, 0.8, 0.7], [0, 0, 1], [square, elsewhere, square], (8, 8))
    expected = Instances([0.9, 0.8], [0, 0], [elsewhere, half], (8, 8))
    partners, ious, different = matched_pairs(found, expected)
    assert partners[:2].tolist() == [1, 0] and ious.tolist() == [0.5, 1, 0]
    assert different[:2].tolist() == [8, 0]
    nothing = Instances([0.9], [0], [(0, 0, np.zeros((2, 2), bool))], (8, 8))
    assert [part.tolist() for part in matched_pairs(nothing, nothing)] == [[0], [1], [0]]
    assert [len(part) for part in matched_pairs(found.select([]), expected)] == [0, 0, 0]
    assert matched_pairs(found, expected.select([]))[1].tolist() == [0, 0, 0]


def test_beside_busy_processes(capsys):
    infer.main([*SMALL, "--beside", "1"])
    line = capsys.readouterr().out.splitlines()[-1]
    assert re.fullmatch(r"network alone \d.* ms, beside 1 busy processes .*: \d+\.\d+ times", line)


def test_8_bits_without_their_packages(monkeypatch):
    monkeypatch.setitem(sys.modules, "nncf", None)                   # as if not installed
    monkeypatch.delitem(sys.modules, "tools.engines.int8", raising=False)
    with pytest.raises(UserError, match="precision int8 needs more .*requirements-extras.txt"):
        infer.main([*SMALL, "--engine", "openvino-int8"])


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


def test_outlines_without_a_network(shapes_dir, capsys):
    outlines.main(["-o", f"val_json={shapes_dir}/val.json", f"val_images={shapes_dir}/val",
                   "test_short_side=128", "test_max_side=128"])
    rows = {line.split()[0]: [float(value) for value in line.split()[1:]]
            for line in capsys.readouterr().out.splitlines() if line.startswith(("pub", "smooth"))}
    published, smooth = rows["published"], rows["smooth"]
    assert 0.5 < published[0] < smooth[0] <= 1 and len(smooth) == 5
    assert published[3] < smooth[3]                    # objects that reach an IoU of 0.9


def test_unknown_benchmark():
    from tools.benchmark.__main__ import main
    with pytest.raises(UserError, match="no benchmark 'trian'"):
        main(["trian"])


def test_the_step_is_that_of_a_run(monkeypatch):
    """With the parts, the average and the clipping of the config; not a copy of its own."""
    calls, real = [], Trainer.train_step

    def counted(trainer, batch):
        calls.append((trainer.cfg.accumulate_steps, trainer.ema is not None))
        return real(trainer, batch)

    monkeypatch.setattr(Trainer, "train_step", counted)
    cfg = get_config("quickstart", **TINY, accumulate_steps=2, ema_decay=0.9)
    times, operations = time_steps(cfg, 2, (64, 64), 2, 3)
    assert calls == [(2, True)] * 4 and list(times) == [*LOADER_PARTS, *STEP_PARTS, "step"]
    assert all(len(seconds) == 2 and min(seconds) > 0 for seconds in times.values())
    assert operations["backward"] > operations["forward"] > 0


def test_sgemm_rate_is_plausible():
    assert 1e8 < sgemm_rate(256, 2) < 1e14 and np.isfinite(sgemm_rate(64, 1))
