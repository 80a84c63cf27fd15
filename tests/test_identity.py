"""IDF1 against cases worked out by hand, and its assignment against trying every one."""
import itertools

import numpy as np
import pytest

from tools.evaluation.identity import IdentityScore, best_pairs, mask_iou


def block(left, width=4):
    mask = np.zeros((4, 40), bool)
    mask[:, left:left + width] = True
    return mask


def score(truth, found):
    result = IdentityScore()
    result.add(truth, found)
    return result


def test_perfect_tracks():
    frames = [{1: block(0), 2: block(20)}] * 3
    assert score(frames, [{7: block(0), 9: block(20)}] * 3).idf1 == 1


def test_a_swap_in_the_middle_costs_half():
    truth = [{1: block(0), 2: block(20)}] * 4
    found = [{7: block(0), 9: block(20)}] * 2 + [{9: block(0), 7: block(20)}] * 2
    assert score(truth, found).idf1 == pytest.approx(2 * 4 / (8 + 8))


def test_a_new_id_after_a_gap():
    """Object seen 10 frames; track 1 has 6 of them, track 2 the last 3: IDTP 6 of 10 and 9."""
    truth = [{1: block(0)}] * 10
    found = [{1: block(0)}] * 6 + [{}] + [{2: block(0)}] * 3
    assert score(truth, found).idf1 == pytest.approx(2 * 6 / (10 + 9))


def test_overlap_counts_from_one_half_on():
    assert mask_iou(block(0), block(2)) == pytest.approx(1 / 3)
    assert score([{1: block(0)}], [{1: block(2)}]).idf1 == 0
    assert score([{1: block(0)}], [{1: block(0, 8)}]).idf1 == 1


def test_nothing_at_all():
    assert score([{}], [{}]).idf1 == 1
    assert score([{1: block(0)}], [{}]).idf1 == 0
    assert mask_iou(np.zeros((2, 2), bool), np.zeros((2, 2), bool)) == 0


def test_videos_add_up():
    result = IdentityScore()
    result.add([{1: block(0)}] * 2, [{1: block(0)}] * 2)
    result.add([{1: block(0)}] * 2, [{1: block(20)}] * 2)
    assert result.idf1 == pytest.approx(2 * 2 / (4 + 4))


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (2, 5), (5, 2), (4, 4), (0, 3)])
def test_best_pairs_against_every_assignment(shape):
    rng = np.random.default_rng(sum(shape))
    for _ in range(20):
        gains = rng.integers(0, 6, shape)
        wide = gains if shape[0] <= shape[1] else gains.T
        best = max(sum(wide[row, column] for row, column in enumerate(columns))
                   for columns in itertools.permutations(range(wide.shape[1]), wide.shape[0]))
        pairs = best_pairs(gains)
        assert sum(gains[pair] for pair in pairs) == best
        assert len(pairs) == min(shape) == len({row for row, _ in pairs})
