"""Targets against hand-counted cells and against what PaddleDetection made of the same objects."""
import cv2
import numpy as np
import pytest

from model.targets import build_targets, mass_centers, quarter_masks, smooth_quarter_masks
from tests.builders import square
from tests.golden_data import golden, unpack
from tools.data.masks import masks_to_boxes

GRIDS, RANGES = (40, 36, 24, 16, 12), ((1, 96), (48, 192), (96, 384), (192, 768), (384, 2048))


def boxed(top, left, side):
    return (square(left, top, side, (64, 64)),
            np.float32([left, top, left + side, top + side]))


def batch_of(*squares, classes):
    masks, boxes = zip(*squares, strict=True)
    return [(np.stack(masks), np.stack(boxes), np.array(classes))]


def test_one_square_owns_the_cells_around_its_centre():
    # 64x64 image, grid 8: cells of 8 pixels; the centre (31.5, 31.5) lies in cell 3, the half
    # extent 0.5*32*0.2 = 3.2 pixels reaches 28.3..34.7, which are the cells 3 and 4.
    targets = build_targets(batch_of(boxed(16, 16, 32), classes=[2]), (64, 64), (8,), ((1, 100),))
    category = targets["category_targets"].reshape(8, 8)
    assert (category[3:5, 3:5] == 2).all() and (category >= 0).sum() == 4
    assert targets["cells"].tolist() == [27, 28, 35, 36]
    assert targets["cell_masks"].tolist() == [0] * 4
    assert targets["object_masks"].shape == (1, 16, 16)
    assert targets["object_masks"][0, 4:12, 4:12].all() and targets["object_masks"].sum() == 64


def test_at_most_one_cell_away_from_the_centre():
    targets = build_targets(batch_of(boxed(0, 0, 64), classes=[0]), (64, 64), (32,), ((1, 100),))
    rows, columns = np.nonzero(targets["category_targets"].reshape(32, 32) >= 0)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (14, 16, 14, 16)


def test_a_shared_cell_is_labelled_by_the_later_object_and_keeps_both_masks():
    objects = batch_of(boxed(16, 16, 32), boxed(20, 20, 24), classes=[1, 4])
    targets = build_targets(objects, (64, 64), (8,), ((1, 99),))
    shared = targets["cells"] == 27
    assert targets["category_targets"][0, 27] == 4
    assert sorted(targets["cell_masks"][shared]) == [0, 1]


def test_scale_ranges_choose_the_levels():
    objects = batch_of(boxed(16, 16, 32), classes=[0])
    category = build_targets(objects, (64, 64), (8, 4), ((1, 31), (32, 64)))["category_targets"]
    assert (category[0, :64] == -1).all() and (category[0, 64:] == 0).any()


def test_nothing_to_learn_from_is_an_ordinary_batch():
    nothing = (np.zeros((0, 60, 50), bool), np.zeros((0, 4), np.float32), np.zeros(0, np.int64))
    hidden = (np.zeros((1, 60, 50), bool), np.float32([[3, 3, 40, 40]]), np.array([1]))
    targets = build_targets([nothing, hidden], (64, 64), (8, 4), ((1, 31), (32, 64)))
    assert targets["category_targets"].shape == (2, 80)
    assert (targets["category_targets"] == -1).all()
    assert len(targets["cells"]) == 0 and targets["object_masks"].shape == (1, 16, 16)
    assert targets["object_images"].tolist() == [1]


def test_centres_and_quarter_masks_by_hand():
    mask = np.zeros((2, 8, 8), bool)
    mask[0, 2, 3] = mask[0, 2, 5] = True
    y, x, area = mass_centers(mask)
    assert (y[0], x[0], area.tolist()) == (2, 4, [2, 0])
    mask[1, :4, 4:] = True
    assert quarter_masks(mask, (32, 32))[1].nonzero()[0].tolist() == [0]


def padded_resize(mask, size):
    """PaddleDetection's: the mask on the canvas of the batch, resized there."""
    canvas = np.zeros(size, np.uint8)
    canvas[:mask.shape[0], :mask.shape[1]] = mask
    return cv2.resize(canvas, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_LINEAR)


def counted(mask, size):
    """Pixel by pixel: a quarter pixel is 1 where two of the middle four of its 16 are."""
    small = np.zeros((size[0] // 4, size[1] // 4), np.uint8)
    for row, column in np.ndindex(*small.shape):
        small[row, column] = mask[4 * row + 1:4 * row + 3, 4 * column + 1:4 * column + 3].sum() >= 2
    return small


@pytest.mark.parametrize("remainders", [(2, 2), (2, 0), (0, 2), (1, 3), (3, 2), (0, 0)])
def test_quarter_masks_are_those_of_the_padded_mask(remainders):
    """Also where a side is 2 modulo 4 and the mask reaches that border; 226 pixels lost a row."""
    rng = np.random.default_rng(remainders)
    for _ in range(60):
        height, width = 4 * rng.integers(1, 16, 2) + remainders
        masks = rng.random((2, height, width)) < rng.uniform(0.2, 1.0)
        size = -(-height // 32) * 32, -(-width // 32) * 32
        for mask, small in zip(masks, quarter_masks(masks, size), strict=True):
            np.testing.assert_array_equal(small, padded_resize(mask, size))
            np.testing.assert_array_equal(small, counted(mask, size))
    edge = quarter_masks(np.ones((1, 226, 342), bool), (256, 352))[0]
    assert edge[56].tolist() == [1] * 85 + [0] * 3 and edge[:57, 85].tolist() == [1] * 56 + [0]


@pytest.mark.parametrize("height, width", [(64, 96), (30, 57), (1, 2), (33, 35)])
def test_smooth_quarter_masks_are_the_covered_parts(height, width):
    masks = np.random.default_rng(height).random((3, height, width)) < 0.4
    found = smooth_quarter_masks(masks, (96, 128))
    canvas = np.zeros((3, 96, 128))
    canvas[:, :height, :width] = masks
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, canvas.reshape(3, 24, 4, 32, 4).mean((2, 4)), atol=1e-6)
    objects = [(masks, masks_to_boxes(masks), np.zeros(3, int))]
    sides, ranges = (4,), ((1, 1000),)
    smooth = build_targets(objects, (96, 128), sides, ranges, smooth=True)
    np.testing.assert_array_equal(smooth["object_masks"], found)
    published = build_targets(objects, (96, 128), sides, ranges)
    for name in ("cells", "cell_masks", "category_targets"):
        np.testing.assert_array_equal(smooth[name], published[name])


def test_smooth_masks_enlarged_have_the_outline():
    """Ellipses and bars: enlarged again, the published masks lose what the smooth ones keep."""
    rng, overlaps = np.random.default_rng(0), {quarter_masks: [], smooth_quarter_masks: []}
    for _ in range(40):
        mask = np.zeros((128, 128), np.uint8)
        center, axes = rng.uniform(50, 78, 2), rng.uniform(8, 40, 2)
        cv2.ellipse(mask, (tuple(center), tuple(axes), rng.uniform(0, 180)), 1, -1)
        for shrink, found in overlaps.items():
            small = np.float32(shrink(mask[None].view(bool), (128, 128))[0])
            large = cv2.resize(small, None, fx=4, fy=4, interpolation=cv2.INTER_LINEAR) > 0.5
            found.append((large & (mask > 0)).sum() / (large | (mask > 0)).sum())
    smooth, published = np.mean(overlaps[smooth_quarter_masks]), np.mean(overlaps[quarter_masks])
    assert smooth > 0.95 and 1 - smooth < 0.6 * (1 - published), (smooth, published)


@pytest.mark.parametrize("name", ["train__paddledet2__solov2_r50_fpn_3x_coco",
                                  "train__paddledet2__solov2_r50_enhance_coco"])
def test_every_cell_and_mask_of_paddledetection(name):
    data = golden(name)
    objects = [(unpack(data, f"masks_{b}"), data[f"boxes_{b}"], data[f"labels_{b}"])
               for b in range(2)]
    targets = build_targets(objects, data["input"].shape[2:], GRIDS, RANGES)
    first = np.cumsum([0, *(side * side for side in GRIDS)])
    rows = targets["cells"] // first[-1], targets["cells"] % first[-1]
    for image in range(2):
        for level, side in enumerate(GRIDS):
            start, stop = first[level], first[level + 1]
            labels = targets["category_targets"][image, start:stop].reshape(side, side)
            np.testing.assert_array_equal(labels, data[f"target_labels_{image}_{level}"])
            chosen = (rows[0] == image) & (rows[1] >= start) & (rows[1] < stop)
            cells = rows[1][chosen] - start
            np.testing.assert_array_equal(cells, data[f"target_cells_{image}_{level}"])
            masks = targets["object_masks"][targets["cell_masks"][chosen]].astype(bool)
            np.testing.assert_array_equal(masks, unpack(data, f"target_masks_{image}_{level}"))
