"""Ground-truth objects -> which grid cells are positive, and for which mask (SOLOv2, section 3.3).

PaddleDetection 2.2's rules (Gt2Solov2Target).  N images, I objects of an image, L levels, S grid
side of a level, O objects of the batch, M positive (cell, object) pairs.  A cell that two objects
claim is labelled with the later one and keeps both masks, as in all the original projects.
"""
import cv2
import numpy as np


def build_targets(objects, padded_size, num_grids, scale_ranges, center_region=0.2,
                  smooth=False):
    """Training targets of one batch, as numpy arrays.

    objects: per image (masks bool [I, h, w] at the resized, unpadded size, boxes float32 [I, 4]
    xyxy in the same frame, class_indices int64 [I]).
    padded_size: (height, width) of the batch.
    smooth: `smooth_quarter_masks` instead of the published ones.

    Returns, with rows ordered by image, object, level, cell:
      category_targets  int64 [N, sum of S*S]   class index, -1 for background; by level, row-major
      cells             int64 [M]               index into the flattened category_targets
      cell_masks        int64 [M]               index into object_masks
      object_masks      uint8 [O, H/4, W/4]     masks at stride 4, at the top left of the canvas;
                        smooth: float32 in 0..1
      object_images     int64 [O]               image of each object
    """
    num_cells = sum(side * side for side in num_grids)
    categories, cells, cell_masks, images = [], [], [], []
    shrink = smooth_quarter_masks if smooth else quarter_masks
    masks = [shrink(np.zeros((0, 1, 1), bool), padded_size)]
    num_objects = 0
    for image, (image_masks, boxes, class_indices) in enumerate(objects):
        category = np.full(num_cells, -1, np.int64)
        owners, image_cells = positive_cells(image_masks, boxes, padded_size, num_grids,
                                             scale_ranges, center_region)
        category[image_cells] = class_indices[owners]  # of equal cells the last assignment stays
        categories.append(category)
        cells.append(image_cells + image * num_cells)
        cell_masks.append(owners + num_objects)
        masks.append(shrink(image_masks, padded_size))
        images.append(np.full(len(image_masks), image, np.int64))
        num_objects += len(image_masks)
    return {"category_targets": np.stack(categories), "cells": np.concatenate(cells),
            "cell_masks": np.concatenate(cell_masks), "object_masks": np.concatenate(masks),
            "object_images": np.concatenate(images)}


def positive_cells(masks, boxes, padded_size, num_grids, scale_ranges, center_region):
    """(owner, cell), int64 [M] each: object and cell index of every positive pair of one image.

    A cell is positive if it lies in the central part of the box around the mask's centre of mass,
    at most one cell away from the centre cell.  Objects with an empty mask own nothing.
    """
    if len(masks) == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    return cells_of_centers(mass_centers(masks), boxes, padded_size, num_grids, scale_ranges,
                            center_region)


def cells_of_centers(centers, boxes, padded_size, num_grids, scale_ranges, center_region):
    """`positive_cells` of objects that are known by `mass_centers`; they may be of several images.

    padded_size: height and width, of all objects or int [I] of each.
    """
    if len(boxes) == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    sides = np.asarray(num_grids)
    first_cell = np.concatenate([[0], np.cumsum(sides ** 2)[:-1]])
    center_y, center_x, area = centers
    used = learning_levels(boxes, scale_ranges) & (area > 0)[:, None]                    # [I, L]

    def cell(position, size):
        """Grid coordinate [I, L] of a position [I] along a side of the padded image.

        numpy's floor division, as in PaddleDetection.
        """
        return ((position / size)[:, None] // (1.0 / sides)).astype(np.int64)

    def span(low, center, high, size):
        """First and last positive grid coordinate [I, L] from `low` to `high` [I]."""
        middle = cell(center, size)
        first = np.maximum(cell(low, size), 0)
        last = np.minimum(cell(high, size), sides - 1)
        return np.maximum(first, middle - 1), np.minimum(last, middle + 1)

    x1, y1, x2, y2 = center_regions(centers, boxes, center_region)
    top, bottom = span(y1, center_y, y2, padded_size[0])
    left, right = span(x1, center_x, x2, padded_size[1])
    rows = top[..., None] + np.arange(3)                                                 # [I, L, 3]
    columns = left[..., None] + np.arange(3)
    inside = (rows <= bottom[..., None])[..., None] & (columns <= right[..., None])[..., None, :]
    owners, levels, r, c = np.nonzero(inside & used[..., None, None])
    rows, columns = rows[owners, levels, r], columns[owners, levels, c]                  # [M]
    return owners, first_cell[levels] + rows * sides[levels] + columns


def object_scales(boxes):
    """float32 [I]: sqrt(box area) in pixels, by which the levels share out the objects."""
    return np.sqrt((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))


def learning_levels(boxes, scale_ranges):
    """bool [I, L]: whose scale range holds the object; they overlap, so two levels may learn it."""
    low, high = np.asarray(scale_ranges, np.float32).T
    scales = object_scales(boxes)[:, None]
    return (scales >= low) & (scales <= high)


def center_regions(centers, boxes, center_region):
    """(x1, y1, x2, y2), [I] each: the part of the box, moved to the mass centre, that is taught."""
    half = 0.5 * (boxes[:, 2:] - boxes[:, :2]) * np.float32(center_region)               # [I, 2]
    center_y, center_x, _ = centers
    return (center_x - half[:, 0], center_y - half[:, 1],
            center_x + half[:, 0], center_y + half[:, 1])


def mass_centers(masks):
    """Centres of mass y, x (pixel indices) and areas, float64 [I], of bool masks [I, h, w].

    The sums are exact; OpenCV takes them six times as fast as numpy.
    """
    count, h, w = masks.shape
    row_sums, column_sums = np.zeros((count, h)), np.zeros((count, w))
    pixels = np.ascontiguousarray(masks).view(np.uint8)
    for mask, rows, columns in zip(pixels, row_sums, column_sums, strict=True):
        rows[:] = cv2.reduce(mask, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S)[:, 0]
        columns[:] = cv2.reduce(mask, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32S)[0]
    area = row_sums.sum(1)
    divisor = np.maximum(area, 1)
    return row_sums @ np.arange(h) / divisor, column_sums @ np.arange(w) / divisor, area


def quarter_masks(masks, padded_size):
    """bool [I, h, w] -> uint8 [I, H/4, W/4], at the top left of the padded canvas.

    cv2's bilinear resize by 1/4 of 0/1 pixels, rounded: of 4x4 pixels it sees the inner four.
    PaddleDetection resizes the masks that it has padded with the batch; zeros up to a multiple of 4
    are enough to give the same pixels.
    """
    return shrink_masks(masks, padded_size, np.uint8, cv2.INTER_LINEAR)


def smooth_quarter_masks(masks, padded_size):
    """bool [I, h, w] -> float32 [I, H/4, W/4]: the part of each 4x4 pixels that the mask covers.

    What is learned from these and enlarged again has its outline within a fraction of a pixel.
    """
    return shrink_masks(masks, padded_size, np.float32, cv2.INTER_AREA)


def shrink_masks(masks, padded_size, dtype, interpolation):
    canvas = np.zeros((len(masks), padded_size[0] // 4, padded_size[1] // 4), dtype)
    height, width = masks.shape[1:]
    for target, mask in zip(canvas, np.ascontiguousarray(masks).view(np.uint8), strict=True):
        pixels = cv2.copyMakeBorder(mask, 0, -height % 4, 0, -width % 4,
                                    cv2.BORDER_CONSTANT, value=0)
        small = cv2.resize(pixels.astype(dtype, copy=False), None, fx=0.25, fy=0.25,
                           interpolation=interpolation)
        target[:small.shape[0], :small.shape[1]] = small
    return canvas
