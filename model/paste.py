"""A soft mask at stride 4 -> the binary mask in the original image (SOLOv2, section 3.4).

Bilinear x4, cut to the resized size, bilinear to the original size, > threshold.  Both steps are
linear and separable, so together they are a matrix along each side.  Its rows hold a few neighbours
each, so a block of rows needs only a band of the mask.  A pixel can only exceed the threshold if
one of the probabilities that it is interpolated from does: nothing else is computed.
"""
from functools import lru_cache

import numpy as np

BLOCK = 64         # rows or columns of the image computed at a time


def paste(probs, map_size, resized_size, original_size, threshold, top=0, left=0):
    """The crop (top, left, bool [h, w]) of a mask in the image.

    probs float32: a part of the map of size `map_size`, at `top` and `left`, with at least two
    pixels around everything above the threshold, or all there is.  Sizes are (height, width).
    """
    above = probs > threshold
    first_row, last_row, row_bands = reached(map_size[0], resized_size[0], original_size[0], top,
                                             above.any(1))
    first_column, last_column, column_bands = reached(map_size[1], resized_size[1],
                                                      original_size[1], left, above.any(0))
    wide = np.empty((len(probs), last_column - first_column), np.float32)
    for block, band, weights in column_bands:
        np.matmul(probs[:, band], weights.T, out=wide[:, block])
    mask = np.empty((last_row - first_row, last_column - first_column), bool)
    for block, band, weights in row_bands:
        np.greater(weights @ wide[band], threshold, out=mask[block])
    return first_row, first_column, mask


def reached(size, resized, original, offset, marked):
    """(first, last, bands): the outputs that the `marked` inputs, from `offset` on, reach.

    bands: per BLOCK of these outputs its slice, the slice of the inputs that it is interpolated
    from, and their weights.  Of the inputs, those around the marked ones are all that is needed.
    """
    matrix, nonzero = upsampling(size, int(resized), int(original))
    end = offset + len(marked)
    outputs = np.flatnonzero(matrix[:, offset:end] @ marked.astype(np.float32))
    first, last = (int(outputs[0]), int(outputs[-1]) + 1) if len(outputs) else (0, 0)
    bands = []
    for start in range(first, last, BLOCK):
        stop = min(start + BLOCK, last)
        lower, upper = max(nonzero[start][0], offset), min(nonzero[stop - 1][1], end)
        bands.append((np.s_[start - first:stop - first], np.s_[lower - offset:upper - offset],
                      matrix[start:stop, lower:upper]))
    return first, last, bands


@lru_cache(maxsize=16)
def upsampling(size, resized, original):
    """The matrix float32 [original, size] of both steps along one side.

    With it, per row, the (first, last) of what is not zero: a pixel lies between two of the
    enlarged map, each of which lies between two of the map.
    """
    matrix, every = np.zeros((original, size)), np.arange(original)
    for enlarged, weight in neighbours(resized, original):
        for pixel, inner_weight in neighbours(size, 4 * size):
            matrix[every, pixel[enlarged]] += weight * inner_weight[enlarged]
    first, last = (matrix > 0).argmax(1), size - (matrix[:, ::-1] > 0).argmax(1)
    return matrix.astype(np.float32), list(zip(first.tolist(), last.tolist(), strict=True))


def neighbours(size, new_size):
    """((lower, weight), (upper, weight)): bilinear interpolation with half-pixel centres.

    int64 and float64 [new_size] each.
    """
    position = np.clip((np.arange(new_size) + 0.5) * size / new_size - 0.5, 0, size - 1)
    lower = np.floor(position).astype(np.int64)
    fraction = position - lower
    return (lower, 1 - fraction), (np.minimum(lower + 1, size - 1), fraction)
