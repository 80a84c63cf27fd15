"""What the benchmark of the tracks asks for, and the images of that of the tiles."""
import json

import numpy as np

from tools.benchmark import tiles
from tools.benchmark.synthetic import moving_blocks
from tools.benchmark.tracks import asked_for


def block(left):
    mask = np.zeros((4, 40), bool)
    mask[:, left:left + 8] = True
    return mask


def test_results_on_hidden_objects_are_neither_right_nor_wrong():
    truth, everything = {1: block(0)}, {1: block(0), 2: block(20)}
    found = {5: block(0), 6: block(20), 7: block(10)}
    assert set(asked_for(found, truth, everything)) == {5, 7}


def test_moving_blocks_stay_inside():
    for instances in moving_blocks(20, 50):
        assert len(instances) == 20
        assert (instances.boxes[:, :2] >= 0).all()
        assert (instances.boxes[:, 2:] <= (1280, 720)).all()


def test_large_images_are_drawn_with_their_truth(tmp_path, monkeypatch):
    monkeypatch.setattr(tiles, "SIZE", (300, 400))
    monkeypatch.setattr(tiles, "OBJECTS", 4)
    tiles.draw_images(tmp_path, 1, seed=3)
    content = json.loads((tmp_path / "val.json").read_text())
    assert 0 < len(content["annotations"]) <= 4 and (tmp_path / "1.jpg").exists()
