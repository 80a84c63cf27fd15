"""What helps a person who trains: early end, pictures, lines, curves, a start that can learn."""
import importlib.util
import json
import struct
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from config import get_config
from tests.builders import make_trainer
from tools.data.splits import open_dataset
from tools.errors import UserError
from tools.training import progress
from tools.training.progress import Lines
from tools.training.run_log import RunLog
from tools.training.samples import draw_samples, sheet, spread
from tools.training.start import check_start, resume_training, start_training
from tools.training.tensorboard import EventFile, crc32c, varint


def test_patience_ends_a_run_and_a_resume_stays_ended(tiny_cfg, capsys):
    cfg = tiny_cfg.replace(patience=2, eval_every=1, checkpoint_every=100)
    aps = iter([0.1, 0.3, 0.2, 0.3, 0.9])
    trainer = make_trainer(cfg, 9)
    trainer.evaluate = lambda model: {"segm_AP": next(aps)}
    trainer.run()
    assert trainer.step == 4 and trainer.best_ap == 0.3 and not trainer.terminated
    assert "no better mask AP in 2 evaluations" in capsys.readouterr().out
    assert Path(cfg.run_dir, "last.pdparams").exists()
    again = make_trainer(cfg, 9)
    resume_training(again)
    again.run()
    assert again.step == 4
    assert next(aps) == 0.9                                # nothing was evaluated again


@pytest.mark.parametrize("changes, stops", [
    ({}, True), ({"frozen_stages": 0}, True), ({"pretrained": "some.pdparams"}, False),
    ({"frozen_stages": 0, "freeze_norm_statistics": False, "freeze_norm_affine": False}, False)])
def test_a_frozen_backbone_needs_weights(changes, stops):
    cfg = get_config(1, **changes)
    if not stops:
        check_start(cfg)
        return
    with pytest.raises(UserError, match=r"python -m convert --config solov2_light.* --download.*"
                                        "freeze_norm_statistics=false"):
        check_start(cfg)


def test_it_is_said_before_anything_is_built(tiny_cfg):
    with pytest.raises(UserError, match="it would stay random"):
        start_training(tiny_cfg.replace(frozen_stages=2), open_dataset(tiny_cfg, "train"))


def test_sample_pictures_at_every_evaluation(tiny_cfg):
    cfg = tiny_cfg.replace(eval_every=2, sample_pictures=3)
    trainer = start_training(cfg, open_dataset(cfg, "train"), open_dataset(cfg, "val"), num_steps=4)
    trainer.run()
    pictures = sorted(Path(cfg.run_dir, "samples").iterdir())
    assert [picture.name for picture in pictures] == ["0000002.jpg", "0000004.jpg"]
    image = cv2.imread(str(pictures[0]))
    assert image.shape[1:] == (2 * 480 + 4, 3) and image[:, :400].min() < 100
    assert (image[-200:, -400:] > 250).all()               # the place of a fourth one


def test_sheets_of_pictures():
    assert spread(200, 4) == [25, 75, 125, 175] and spread(2, 4) == [0, 1] and spread(0, 4) == []
    low, high = np.full((100, 480, 3), 10, np.uint8), np.full((300, 480, 3), 20, np.uint8)
    canvas = sheet([low, high, low])
    assert canvas.shape == (300 + 4 + 100, 964, 3)
    assert (canvas[:100, :480] == 10).all() and (canvas[100:300, :480] == 255).all()
    assert (canvas[:300, 484:] == 20).all() and (canvas[304:, :480] == 10).all()
    assert sheet([low]).shape == low.shape


def test_images_that_cannot_be_read_are_left_out(tiny_cfg, tmp_path, monkeypatch):
    dataset = open_dataset(tiny_cfg, "val")

    def unreadable(index):
        raise UserError("broken")

    monkeypatch.setattr(dataset, "load_image", unreadable)
    trainer = make_trainer(tiny_cfg, 1)
    draw_samples(tiny_cfg, dataset, trainer.model, str(tmp_path / "x.jpg"))
    assert not list(tmp_path.iterdir())


def test_lines_of_a_log(monkeypatch, capsys):
    """The first step at once, then by time, and the last one."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    lines = Lines(100, 0, True)
    record = {"lr": 0.01, "loss": 2.0, "mask": 1.5, "category": 0.5, "data_s": 0, "step_s": 1,
              "eta_s": 9}
    for step in range(1, 101):
        lines.advance(step)
        if step % 5 == 0 or lines.due():
            lines.say({"step": step, **record})
        now[0] += 4
    steps = [int(line.split("/")[0].split()[1]) for line in capsys.readouterr().out.splitlines()]
    assert steps == [1, 9, 17, 25, 33, 41, 49, 57, 65, 73, 81, 89, 97, 100]
    silent = Lines(10, 0, False)
    assert not silent.due()
    silent.write("nothing")
    assert capsys.readouterr().out == ""


def events(path):
    """[(step, {name: value})] of an event file, read by the format's description."""
    data, found = Path(path).read_bytes(), []
    while data:
        length, = struct.unpack_from("<Q", data)
        for start, size in ((0, 8), (12, length)):
            crc = crc32c(data[start:start + size])
            masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
            assert struct.unpack_from("<I", data, start + size)[0] == masked
        message, data = data[12:12 + length], data[16 + length:]
        assert message[0] == 9 and message[9] == 16
        step, position = message[10], 11                   # steps below 128
        values = {}
        if message[position] == 42:
            position += 1 + (2 if message[position + 1] > 127 else 1)
            while position < len(message):
                size = message[position + 3]
                name = message[position + 4:position + 4 + size].decode()
                values[name], = struct.unpack_from("<f", message, position + 5 + size)
                position += 2 + message[position + 1]
        found.append((step, values))
    return found


def test_tensorboard_follows_the_log(tmp_path):
    assert crc32c(b"123456789") == 0xE3069283              # the check value of CRC-32C
    assert varint(300) == b"\xac\x02" and varint(0) == b"\0"
    RunLog(tmp_path, 0, tensorboard=True).append({"step": 2, "loss": 3.0, "lr": 0.5})
    RunLog(tmp_path, 2, tensorboard=True).append({"step": 4, "segm_AP": 0.25})
    file, = (tmp_path / "tensorboard").iterdir()
    assert file.name.startswith("events.out.tfevents.")
    assert events(file) == [(0, {}), (2, {"train/loss": 3.0, "train/lr": 0.5}),
                            (4, {"train/segm_AP": 0.25})]


@pytest.mark.skipif(not importlib.util.find_spec("tensorboard"), reason="no tensorboard here")
def test_tensorboard_reads_it(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    EventFile(f"{tmp_path}/x", [{"step": 70000, "loss": 3.0}, {"step": 70001, "loss": 2.0}])
    reader = EventAccumulator(f"{tmp_path}/x")
    reader.Reload()
    found = reader.Scalars("train/loss")
    assert [(scalar.step, scalar.value) for scalar in found] == [(70000, 3.0), (70001, 2.0)]
    assert abs(found[0].wall_time - time.time()) < 600


def test_curves_lie_in_the_folder_of_the_run(tmp_path):
    pytest.importorskip("matplotlib")
    from tools.plot_log import main
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "log.jsonl").write_text(json.dumps({"step": 1, "loss": 2.0}) + "\n")
    main([str(tmp_path / "one"), str(tmp_path / "two")])
    main([str(tmp_path / "two" / "log.jsonl")])
    assert (tmp_path / "one" / "curves.png").exists() and (tmp_path / "two" / "curves.png").exists()
