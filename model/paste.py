"""A soft mask at stride 4 -> the binary mask in the original image (SOLOv2, section 3.4).

Bilinear x4, cut to the resized size, bilinear to the original size, > threshold.  Both steps are
linear and separable, so together they are a few taps along each side; a pixel can only exceed the
threshold if one of the probabilities that it is interpolated from does, so only those rows and
columns are computed.
"""
from functools import lru_cache

import numpy as np

BLOCK = 1 << 16    # pixels computed at a time: they fit into a cache, and memory stays bounded


def paste(probs, map_size, resized_size, original_size, threshold, top=0, left=0):
    """The crop (top, left, bool [h, w]) of a mask in the image.

    probs float32: a part of the map of size `map_size`, at `top` and `left`, with at least two
    pixels around everything above the threshold, or all there is.  Sizes are (height, width).
    """
    rows = upsampling(map_size[0], int(resized_size[0]), int(original_size[0]))
    columns = upsampling(map_size[1], int(resized_size[1]), int(original_size[1]))
    above = probs > threshold
    first_row, last_row = reach(*rows, above.any(1), top)
    first_column, last_column = reach(*columns, above.any(0), left)
    wide = interpolate(probs.T, *columns, left, first_column, last_column).T.copy()      # [.., w]
    mask = np.empty((last_row - first_row, last_column - first_column), bool)
    for start in range(0, len(mask), step := 1 + BLOCK // (mask.shape[1] + 1)):
        stop = min(start + step, len(mask))
        mask[start:stop] = interpolate(wide, *rows, top, first_row + start,
                                       first_row + stop) > threshold
    return first_row, first_column, mask


def interpolate(values, taps, weights, offset, start, stop):
    """Rows start:stop of the up-sampled values; their row 0 is row `offset` of the map."""
    taps = np.clip(taps[:, start:stop] - offset, 0, len(values) - 1)   # outside: the weight is 0
    weights = weights[:, start:stop, None]
    result = values[taps[0]] * weights[0]
    result += values[taps[1]] * weights[1]
    third = np.flatnonzero(weights[2])                 # few: a pixel rarely lies between three
    result[third] += values[taps[2, third]] * weights[2, third]
    return result


def reach(taps, weights, above, offset):
    """(start, stop) of the outputs that the inputs marked in `above`, from `offset` on, reach."""
    marked = np.zeros(taps.max() + 1 + len(above) + offset, bool)
    marked[offset:offset + len(above)] = above
    outputs = np.flatnonzero((marked[taps] & (weights > 0)).any(0))
    return (int(outputs[0]), int(outputs[-1]) + 1) if len(outputs) else (0, 0)


@lru_cache(maxsize=64)
def upsampling(size, resized, original):
    """(taps int64 [3, original], weights float32 [3, original]) of both steps along one side.

    `size` pixels x4, cut to `resized`, then to `original`: a pixel lies between two of the
    enlarged map, each of which lies between two neighbours of the map.
    """
    matrix = bilinear_matrix(resized, original) @ bilinear_matrix(size, 4 * size)[:resized]
    first = (matrix > 0).argmax(1)
    taps = first + np.arange(3)[:, None]
    matrix = np.pad(matrix, ((0, 0), (0, 3)))
    return taps, np.take_along_axis(matrix, taps.T, 1).T.astype(np.float32)


def bilinear_matrix(size, new_size):
    """float64 [new_size, size]: bilinear interpolation with half-pixel centres along one side."""
    position = np.clip((np.arange(new_size) + 0.5) * size / new_size - 0.5, 0, size - 1)
    lower = np.floor(position).astype(np.int64)
    matrix = np.zeros((new_size, size))
    matrix[np.arange(new_size), lower] += 1 - (position - lower)
    matrix[np.arange(new_size), np.minimum(lower + 1, size - 1)] += position - lower
    return matrix
