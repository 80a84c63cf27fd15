"""Masks, polygons, RLE and boxes against counts one can do by hand, and against shapely."""
import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from tools.data.masks import (
    mask_to_box,
    mask_to_polygons,
    mask_to_rle,
    masks_to_boxes,
    polygons_to_mask,
    rle_runs,
    rle_to_mask,
    segmentation_to_mask,
)

SQUARE = [1, 1, 3, 1, 3, 3, 1, 3]                      # covers the 4 pixels at 1..2


def checkers(height=5, width=4):
    return np.indices((height, width)).sum(0) % 2 == 0


def test_polygon_of_four_pixels():
    expected = np.zeros((4, 4), bool)
    expected[1:3, 1:3] = True
    mask = polygons_to_mask([SQUARE], (4, 4))
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, expected)


def test_polygons_are_united_not_subtracted():
    inner = [2, 2, 6, 2, 6, 6, 2, 6]
    mask = polygons_to_mask([[0, 0, 8, 0, 8, 8, 0, 8], inner], (8, 8))
    assert mask.all()


def test_polygon_beyond_the_image_is_clipped():
    mask = polygons_to_mask([[-10, -10, 2, -10, 2, 2, -10, 2]], (5, 6))
    assert mask.sum() == 4 and mask[:2, :2].all()


def test_polygon_outside_and_no_polygon_give_empty_masks():
    assert not polygons_to_mask([[20, 20, 30, 20, 30, 30]], (5, 6)).any()
    assert polygons_to_mask([], (5, 6)).shape == (5, 6)


def test_polygon_area_agrees_with_shapely():
    shapely = pytest.importorskip("shapely")
    rng = np.random.default_rng(0)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 17))
    points = 60 + rng.uniform(20, 50, (17, 1)) * np.stack([np.cos(angles), np.sin(angles)], 1)
    polygon = shapely.Polygon(points)
    area = polygons_to_mask([points.ravel().tolist()], (120, 120)).sum()
    assert area == pytest.approx(polygon.area, abs=polygon.length)


@pytest.mark.parametrize("mask", [checkers(), np.zeros((3, 7), bool), np.ones((3, 7), bool)],
                         ids=["checkers", "empty", "full"])
def test_rle_round_trip(mask):
    rle = mask_to_rle(mask)
    assert rle["size"] == list(mask.shape) and isinstance(rle["counts"], str)
    np.testing.assert_array_equal(rle_to_mask(rle, mask.shape), mask)
    np.testing.assert_array_equal(coco_mask.decode(rle), mask)


def test_rle_of_a_view_of_any_type():
    mask = checkers(6, 6)[::-1, ::2]
    for view in (mask, mask.astype(np.uint8), mask.T.copy().T):
        np.testing.assert_array_equal(rle_to_mask(mask_to_rle(view), mask.shape), mask)


def test_uncompressed_rle_runs_down_the_columns():
    mask = rle_to_mask({"size": [3, 2], "counts": [1, 3, 2]}, (3, 2))
    np.testing.assert_array_equal(mask, [[0, 1], [1, 0], [1, 0]])


@pytest.mark.parametrize("size, counts", [([2, 3], [6]), ([3, 2], [1, 3]), ([3, 2], [-1, 7]),
                                          ([3, 2], [])])
def test_rle_that_does_not_fit_is_an_error(size, counts):
    with pytest.raises(ValueError):
        rle_to_mask({"size": size, "counts": counts}, (3, 2))


def test_segmentation_of_every_kind_is_the_same_mask():
    mask = polygons_to_mask([SQUARE], (4, 4))
    compressed = mask_to_rle(mask)
    as_bytes = {**compressed, "counts": compressed["counts"].encode()}
    uncompressed = {"size": [4, 4], "counts": [5, 2, 2, 2, 5]}
    for segmentation in ([SQUARE], compressed, as_bytes, uncompressed):
        np.testing.assert_array_equal(segmentation_to_mask(segmentation, (4, 4)), mask)


def test_box_is_tight_with_exclusive_ends():
    mask = np.zeros((6, 8), bool)
    mask[2, 3] = True
    np.testing.assert_array_equal(mask_to_box(mask), [3, 2, 4, 3])
    mask[5, 7] = True
    np.testing.assert_array_equal(mask_to_box(mask), [3, 2, 8, 6])
    assert mask_to_box(mask).dtype == np.float32


def test_boxes_agree_with_a_loop():
    masks = np.random.default_rng(1).random((30, 9, 11)) > 0.97
    masks[0] = False
    boxes = masks_to_boxes(masks)
    assert boxes.shape == (30, 4) and boxes.dtype == np.float32
    for mask, box in zip(masks, boxes, strict=True):
        expected = [0, 0, 0, 0]
        if mask.any():
            rows, columns = np.nonzero(mask)
            expected = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_array_equal(box, expected)


@pytest.mark.parametrize("shape", [(0, 5, 5), (2, 0, 5), (2, 5, 0)])
def test_boxes_of_nothing(shape):
    boxes = masks_to_boxes(np.zeros(shape, bool))
    assert boxes.shape == (shape[0], 4) and not boxes.any()


def test_compressed_rles_decode_as_pycocotools_does():
    rng = np.random.default_rng(0)
    for trial in range(200):
        height, width = rng.integers(1, 400 if trial % 20 == 0 else 40, 2).tolist()
        mask = rng.random((height, width)) < rng.random() ** (1 + trial % 4)
        if trial % 10 == 0:
            mask[:] = trial % 20 == 0
        rle = coco_mask.encode(np.asfortranarray(mask, np.uint8))
        for counts in (rle["counts"], rle["counts"].decode(), rle_runs(rle, mask.shape).tolist()):
            found = rle_to_mask({"size": [height, width], "counts": counts}, mask.shape)
            np.testing.assert_array_equal(found, mask)


def test_damaged_rles_are_refused():
    """pycocotools decodes many of them, to whatever the memory held."""
    rng = np.random.default_rng(0)
    whole = mask_to_rle(rng.random((20, 30)) < 0.3)["counts"].encode()
    refused = 0
    for _ in range(1000):
        place, byte = rng.integers(1, len(whole)), bytes(rng.integers(0, 256, 1).tolist())
        cut = whole[:place]                            # one byte missing, one more, none after it
        for counts in (cut + whole[place + 1:], cut + byte + whole[place:], cut):
            try:
                runs = rle_runs({"size": [20, 30], "counts": counts}, (20, 30))
                assert runs.sum() == 600 and runs.min() >= 0      # by chance an RLE again
            except ValueError:
                refused += 1
    assert refused > 2900


def test_polygon_of_one_pixel_and_of_none():
    mask = np.zeros((4, 6), bool)
    assert mask_to_polygons(mask) == []
    mask[2, 5] = True
    for tolerance in (0.0, 3.0):
        polygon, = mask_to_polygons(mask, tolerance)
        assert sorted(polygon.tolist()) == [[5, 2], [5, 3], [6, 2], [6, 3]]


def test_polygon_of_a_frame_goes_round_its_hole():
    mask = np.ones((6, 8), bool)
    mask[2:4, 3:5] = False
    polygon, = mask_to_polygons(mask)
    x, y = polygon.T
    assert abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2 == 44
    assert set(map(tuple, polygon.tolist())) == {(0, 0), (8, 0), (8, 6), (0, 6),
                                                 (3, 2), (5, 2), (5, 4), (3, 4)}


@pytest.mark.parametrize("seed", range(40))
def test_masks_survive_the_way_over_polygons(seed):
    """Parts, holes, islands in holes, single pixels, touching corners, borders."""
    rng = np.random.default_rng(seed)
    noise = rng.random(rng.integers(1, 50, 2)).astype(np.float32)
    mask = cv2.GaussianBlur(noise, (0, 0), float(rng.choice([0.3, 1, 2]))) > 0.5
    np.testing.assert_array_equal(polygons_to_mask(mask_to_polygons(mask), mask.shape), mask)


def test_tolerance_saves_corners_and_keeps_the_mask():
    y, x = np.ogrid[:400, :600]
    distance = np.hypot(y - 200, x - 300)
    mask = (distance < 150) & (distance > 60)
    exact, fewer = mask_to_polygons(mask)[0], mask_to_polygons(mask, 1.0)[0]
    back = polygons_to_mask([fewer], mask.shape)
    assert len(fewer) < len(exact) / 5
    assert (back & mask).sum() / (back | mask).sum() > 0.99


def test_a_simplified_outline_does_not_cross_itself():
    shapely = pytest.importorskip("shapely")
    rng, crossing, fewer = np.random.default_rng(0), 0, 0
    for _ in range(60):
        mask = cv2.GaussianBlur(rng.normal(size=(60, 60)), (0, 0), 2.5) > 0
        exact = mask_to_polygons(mask)
        for ring, corners in zip(mask_to_polygons(mask, 1.5), exact, strict=True):
            crossing += shapely.Polygon(corners).is_valid and not shapely.Polygon(ring).is_valid
            fewer += len(ring) < len(corners)
    assert fewer > 100 and crossing == 0
