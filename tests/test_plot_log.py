"""Curves of runs: what is read from logs, which panels and lines are drawn, mistakes."""
import json
import sys

import cv2
import pytest

from tools.errors import UserError
from tools.plot_log import draw, main, read_runs

pytest.importorskip("matplotlib")

RECORDS = [{"step": 2, "loss": 3.0, "mask": 2.0, "category": 1.0, "lr": 0.1, "step_s": 1.0},
           {"step": 4, "loss": 2.0, "mask": 1.5, "category": 0.5, "lr": 0.1, "step_s": 1.0},
           {"step": 4, "segm_AP": 0.25, "segm_AP50": 0.5}]


@pytest.fixture
def runs(tmp_path):
    """The folder of a run, and the log of another implementation, which is being written."""
    (tmp_path / "run").mkdir()
    lines = [json.dumps(record) for record in RECORDS]
    (tmp_path / "run/log.jsonl").write_text("\n".join(lines) + "\n")
    (tmp_path / "theirs.txt").write_text('{"step": 1, "loss": 4}\n{"step": 2, "loss": 3}\n{"step')
    return [str(tmp_path / "run"), str(tmp_path / "theirs.txt")]


def test_lines_are_the_records(runs):
    figure = draw(read_runs(runs))
    panels = {axes.get_title(): axes for axes in figure.axes}
    assert list(panels) == ["loss", "mask loss", "category loss", "learning rate", "mask AP"]
    points = [[(x, y) for x, y in line.get_xydata().tolist()] for line in panels["loss"].lines]
    assert points == [[(2, 3.0), (4, 2.0)], [(1, 4), (2, 3)]]
    ours, theirs = panels["mask AP"].lines
    assert ours.get_xydata().tolist() == [[4, 0.25]] and len(theirs.get_xydata()) == 0
    assert ours.get_color() == panels["loss"].lines[0].get_color()
    assert [text.get_text() for text in panels["loss"].get_legend().get_texts()] == runs


def test_picture_is_written(runs, tmp_path, capsys):
    main([*runs, "--output", str(tmp_path / "new/curves.png")])
    image = cv2.imread(str(tmp_path / "new/curves.png"))
    assert image.shape[:2] == (960, 1200) and image.std() > 5
    assert "theirs.txt: 2 records to step 2" in capsys.readouterr().out
    main([*runs, "--output", str(tmp_path / "curves.SVG")])
    assert b"<svg" in (tmp_path / "curves.SVG").read_bytes()


def test_mistakes(runs, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    (tmp_path / "other.jsonl").write_text('{"step": 1, "speed": 4}\n')
    for arguments, message in ((["/nowhere"], "no records in '/nowhere'"),
                               ([runs[0], str(tmp_path / "empty")], "empty/log.jsonl"),
                               ([str(tmp_path / "other.jsonl")], "none of loss, mask"),
                               ([runs[0], "--output", "curves.bmp"], "ends in .png, .pdf, .svg")):
        with pytest.raises(UserError, match=message):
            main(arguments)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UserError, match="requirements-extras.txt"):
        main(runs)
