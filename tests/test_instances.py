"""Instances as a list: what they are called, how they are chosen, measured and printed."""
import numpy as np
import pytest

from model.instances import Instances

NAMES = ("cat", "dog")


def three():
    """dog 0.9: 2 x 4 pixels; cat 0.5: one pixel; dog 0.2: nothing."""
    wide, dot = np.zeros((2, 6, 8), bool)
    wide[1:3, 0:4], dot[5, 7] = True, True
    return Instances([0.9, 0.5, 0.2], [1, 0, 1],
                     [(0, 0, wide), (0, 0, dot), (0, 0, np.zeros((6, 8), bool))], (6, 8), NAMES)


def test_what_each_is():
    found = three()
    assert found.names == ["dog", "cat", "dog"] and found.counts == {"dog": 2, "cat": 1}
    assert found.areas.tolist() == [8, 1, 0]
    assert found.centroids.tolist() == [[2, 2], [7.5, 5.5], [0, 0]]
    one = found[0]
    assert (one.name, one.class_index, one.box, one.area, one.centroid) == (
        "dog", 1, [0, 1, 4, 3], 8, (2, 2))
    assert one.score == pytest.approx(0.9) and one.mask.sum() == 8 and one.track_id is None
    assert "dog 0.900" in repr(one)


def test_length_iteration_and_places():
    found = three()
    assert len(found) == 3 and [one.name for one in found] == ["dog", "cat", "dog"]
    assert found[-1].area == 0 and found[np.int64(1)].name == "cat"
    for place in (3, -4):
        with pytest.raises(IndexError, match=f"instance {place} of 3"):
            found[place]
    assert bool(found) and not found[:0]


@pytest.mark.parametrize("key, scores", [
    (slice(1, None), [0.5, 0.2]), ([2, 0], [0.2, 0.9]), ([], []), ("dog", [0.9, 0.2]),
    (["cat", "dog"], [0.9, 0.5, 0.2]), (("cat",), [0.5]),
    (np.array([True, False, True]), [0.9, 0.2]), ([False, False, False], [])])
def test_choosing(key, scores):
    chosen = three()[key]
    assert isinstance(chosen, Instances) and chosen.scores.tolist() == pytest.approx(scores)
    assert len(chosen.boxes) == len(chosen.areas) == len(chosen.names) == len(scores)
    assert chosen.masks.shape == (len(scores), 6, 8)


def test_choosing_by_score_keeps_tracks():
    found = three()
    found.track_ids = np.array([4, 5, 6])
    chosen = found[found.scores > 0.3]["cat"]
    assert chosen.track_ids.tolist() == [5] and chosen[0].track_id == 5
    assert found.track_ids.tolist() == [4, 5, 6]


def test_unknown_names():
    with pytest.raises(KeyError, match="no class 'cow': expected cat, dog"):
        three()["cow"]
    nameless = Instances([0.5], [3], [(0, 0, np.ones((2, 2), bool))], (2, 2))
    assert nameless.names == ["class 3"]
    with pytest.raises(KeyError, match="names are not known"):
        nameless["cow"]


def test_printing():
    assert repr(three()) == "Instances(3 in 6 x 8: 2 dog, 1 cat)"
    assert repr(three()[:0]) == str(three()[:0]) == "Instances(0 in 6 x 8)"
    lines = str(three()).splitlines()
    assert lines[0] == repr(three()) and lines[1].split() == [
        "class", "score", "area", "box", "(x1,", "y1,", "x2,", "y2)"]
    assert lines[2].split() == ["0", "dog", "0.900", "8", "0,", "1,", "4,", "3"] and len(lines) == 5
