"""Tiles and test-time augmentation, with stand-ins for the network that find bright shapes."""
import tracemalloc

import cv2
import numpy as np
import pytest

from config import get_config
from model.instances import Instances
from tools.cli import add_prediction_arguments, build_parser, load_config
from tools.inference.augmented import Candidate, Frame, mean_of, merge, segment_augmented, warp
from tools.inference.pipeline import Pipeline
from tools.inference.predictor import ROOT, Predictor
from tools.inference.tiles import segment_tiles, starts, tile_side, windows


class BrightShapes:
    """Finds connected bright pixels, reduced to `short_side` and back like a real network.

    Of a reduced image it finds what is left of a shape there: small ones vanish.
    """

    class_names = ("shape",)

    def __init__(self, **settings):
        self.cfg = get_config("quickstart", tile_overlap=0.25, **settings)
        self.seen = []

    def segment_once(self, pixels):
        self.seen.append(pixels.shape[:2])
        factor = max(1, max(pixels.shape[:2]) // 100)
        small = cv2.resize(pixels[..., 0], None, fx=1 / factor, fy=1 / factor,
                           interpolation=cv2.INTER_NEAREST)
        small = cv2.morphologyEx(small, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
        bright = cv2.resize((small > 128).astype(np.uint8), pixels.shape[1::-1],
                            interpolation=cv2.INTER_NEAREST)
        count, parts = cv2.connectedComponents(bright)
        return Instances([0.9] * (count - 1), [0] * (count - 1),
                         [(0, 0, parts == number) for number in range(1, count)],
                         pixels.shape[:2])

    segment = segment_once


def tiled(image, side=100, **settings):
    predictor = BrightShapes(**settings)
    return segment_tiles(predictor, image, side, BrightShapes.segment_once), predictor


def picture(*boxes, size=(260, 340)):
    image = np.zeros((*size, 3), np.uint8)
    for top, left, height, width in boxes:
        image[top:top + height, left:left + width] = 255
    return image


def test_tiles_cover_the_image_and_overlap():
    for size, side, overlap in (((100, 250), 100, 0.2), ((77, 1000), 64, 0.5), ((90, 90), 100, 0)):
        seen = np.zeros(size, int)
        for top, left, bottom, right in windows(size, side, overlap):
            seen[top:bottom, left:right] += 1
            assert bottom - top <= side and right - left <= side
        assert seen.min() >= 1
    assert starts(100, 100, 0.2) == [0] and starts(180, 100, 0.2) == [0, 80]
    assert starts(181, 100, 0.2) == [0, 40, 81]


@pytest.mark.parametrize("boxes", [
    [(10, 10, 20, 20)],                                # inside of a tile
    [(10, 88, 15, 15)],                                # whole in two tiles at once
    [(80, 80, 15, 15)],                                # in four
    [(40, 60, 20, 70)],                                # cut by a seam on both sides
    [(70, 70, 60, 60)],                                # cut by two seams
    [(10, 10, 20, 20), (10, 32, 20, 20), (200, 300, 60, 40)]])
def test_objects_on_seams_become_one(boxes):
    image = picture(*boxes)
    found, _ = tiled(image)
    assert len(found) == len(boxes)
    covered = np.any(found.masks, 0)
    assert np.array_equal(covered, image[..., 0] > 0)
    assert sum(np.count_nonzero(mask) for mask in found.masks) == np.count_nonzero(covered)


def test_large_objects_come_from_the_whole_image():
    """The tiles see a ring as pieces of a curve; the whole image sees it at once."""
    image = picture(size=(400, 400))
    cv2.circle(image, (200, 200), 150, (255, 255, 255), 30)
    cv2.rectangle(image, (190, 190), (200, 200), (255, 255, 255), -1)    # only tiles see it
    found, predictor = tiled(image)
    assert sorted(max(box[2:] - box[:2]) for box in found.boxes) == pytest.approx([11, 331], abs=6)
    assert predictor.seen[0] == (400, 400) and len(predictor.seen) == 1 + 25


def test_long_objects_are_one_though_every_tile_sees_a_piece():
    image = picture((0, 20, 260, 12), (100, 60, 12, 280))
    found, _ = tiled(image)
    assert len(found) == 2
    covered = np.any(found.masks, 0)
    assert np.count_nonzero(covered & (image[..., 0] > 0)) > 0.7 * np.count_nonzero(covered)


def test_nothing_in_tiles():
    found, _ = tiled(picture())
    assert len(found) == 0 and found.size == (260, 340)


def test_small_images_are_not_tiled_and_auto_is_for_large_ones():
    cfg = get_config("quickstart", tile_size=100)
    assert tile_side(cfg, (80, 100)) == 0 and tile_side(cfg, (80, 101)) == 100
    auto = get_config("quickstart", tile_size=-1)                        # test size 320
    assert tile_side(auto, (500, 640)) == 0 and tile_side(auto, (500, 641)) == 320
    assert tile_side(get_config("quickstart"), (5000, 5000)) == 0


def test_tiles_need_little_memory_beside_the_image():
    """Beside the image: what 100 tiles need, with an object in each, is a small part of it."""
    places = range(20, 960, 120)
    image = picture(*((top, left, 12, 12) for top in places for left in places), size=(1000, 1000))

    def in_tiles_only(predictor, pixels):
        large = max(pixels.shape) > 100
        return Instances([], [], [], pixels.shape[:2]) if large else predictor.segment_once(pixels)

    tracemalloc.start()
    found = segment_tiles(BrightShapes(), image, 100, in_tiles_only)
    memory = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found) == len(places) ** 2
    assert memory < image.nbytes / 4


def test_frames_map_to_each_other():
    """A point of the image is at the same place whatever the scale; mirrored at the other side."""
    small, large = Frame((20, 30), (80, 120)), Frame((40, 60), (160, 240))
    matrix = small.to(large, False)
    assert matrix @ [0, 0, 1] == pytest.approx([0.5, 0.5])
    assert matrix @ [29, 19, 1] == pytest.approx([58.5, 38.5])
    mirrored = small.to(small, True)
    assert mirrored @ [0, 3, 1] == pytest.approx([29, 3])


class Soft:
    def __init__(self, top, left, probs):
        self.top, self.left = top, left
        self.logits = np.log(np.clip(probs, 1e-6, 1 - 1e-6) / (1 - np.clip(probs, 1e-6, 1 - 1e-6)))


def test_masks_keep_their_place_when_warped():
    frame = Frame((20, 30), (80, 120))
    probs = np.pad(np.full((4, 6), 0.9, np.float32), 2)
    top, left, same = warp(Soft(3, 5, probs), frame.to(frame, False), frame.map_size)
    assert (top, left) == (3, 5) and np.allclose(same, probs, atol=1e-5)
    top, left, mirrored = warp(Soft(3, 5, probs), frame.to(frame, True), frame.map_size)
    assert (top, left) == (3, 30 - 5 - 10) and np.allclose(mirrored, probs, atol=1e-5)
    outside = warp(Soft(3, 40, probs), frame.to(frame, False), frame.map_size)
    assert outside[2].size == 0


def candidate(score, view, left=0, class_index=0, level=0.9):
    return Candidate(score, class_index, view, 0, left, np.full((4, 4), level, np.float32))


def test_views_vote():
    """Score: sum over the views that agree; probability: their mean."""
    agreed, = merge([candidate(0.8, 0), candidate(0.6, 1, level=0.7)], 2, 0.6, 0.5)
    assert agreed.score == pytest.approx(0.7) and np.allclose(agreed.probs, 0.8)
    alone = merge([candidate(0.8, 0), candidate(0.6, 1, left=3)], 2, 0.6, 0.5)
    assert sorted(entry.score for entry in alone) == pytest.approx([0.3, 0.4])
    assert len(merge([candidate(0.8, 0), candidate(0.6, 1, class_index=1)], 2, 0.6, 0.5)) == 2
    assert len(merge([candidate(0.8, 0), candidate(0.6, 0)], 2, 0.6, 0.5)) == 2    # of one view
    assert merge([], 2, 0.6, 0.5) == []
    shifted = mean_of([candidate(0.8, 0), candidate(0.6, 1, left=1)], 2)
    assert shifted.probs.shape == (4, 5) and np.allclose(shifted.probs[:, 0], 0.45)


@pytest.fixture(scope="module")
def predictor():
    return Predictor.open("quickstart", engine="dygraph", device="cpu")


def test_one_plain_view_is_the_plain_result(predictor):
    """With one view, nothing is merged: the same instances, pixel by pixel."""
    image = cv2.imread(str(sorted((ROOT / "images/test").glob("*.jpg"))[0]))
    plain = predictor.segment(image)
    predictor.cfg.tta_scales, predictor.cfg.tta_flip = (1.0,), False
    try:
        found = segment_augmented(predictor, image)
    finally:
        del predictor.cfg.tta_scales, predictor.cfg.tta_flip
    assert len(plain) == len(found) > 0
    assert np.allclose(plain.scores, found.scores, atol=1e-5)
    assert np.mean([np.array_equal(*pair) for pair in zip(plain.masks, found.masks, strict=True)]) \
        > 0.9


def test_augmented_and_tiled_through_the_pipeline(predictor):
    """The flags reach the network; the pipeline gives what the predictor gives."""
    parser = build_parser("")
    add_prediction_arguments(parser)
    cfg = load_config(parser.parse_args(["--tta", "--tile", "64", "--overlap", "0.5"]))
    assert cfg.tta and cfg.tile_size == 64 and cfg.tile_overlap == 0.5
    assert load_config(parser.parse_args(["--tile", "auto"])).tile_size == -1
    assert load_config(parser.parse_args([])).tile_size == 0
    image = np.full((96, 64, 3), 60, np.uint8)
    cv2.circle(image, (30, 40), 25, (40, 40, 220), -1)
    predictor.cfg.tta, predictor.cfg.tile_size, predictor.cfg.tta_flip = True, 64, False
    calls, engine = [], predictor.engine
    predictor.engine = lambda images: calls.append(images.shape) or engine(images)
    try:
        found = predictor.segment(image)
        assert len(calls) == (1 + 2) * 2                   # whole and two tiles, two views each
        jobs = list(Pipeline(predictor, lambda *_: None, lambda source: image)([("a", "a")]))
    finally:
        del predictor.cfg.tta, predictor.cfg.tile_size, predictor.cfg.tta_flip
        predictor.engine = engine
    assert len(jobs) == 1 and np.array_equal(jobs[0].instances.scores, found.scores)
