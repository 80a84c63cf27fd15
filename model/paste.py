"""A soft mask at stride 4 -> the binary mask in the original image (SOLOv2, section 3.4).

Bilinear x4, cut to the resized size, bilinear to the original size, > threshold.  Both steps are
linear and separable, so together they are two small matrix products; a pixel can only exceed the
threshold if one of the probabilities that it is interpolated from does, so only those rows and
columns are computed.
"""
from functools import lru_cache

import numpy as np


def paste(probs, map_size, resized_size, original_size, threshold, top=0, left=0):
    """The crop (top, left, bool [h, w]) of a mask in the image.

    probs float32: a part of the map of size `map_size`, at `top` and `left`, with at least two
    pixels around everything above the threshold, or all there is.  Sizes are (height, width).
    """
    rows = upsampling(map_size[0], int(resized_size[0]), int(original_size[0]))
    columns = upsampling(map_size[1], int(resized_size[1]), int(original_size[1]))
    rows, columns = rows[:, top:top + probs.shape[0]], columns[:, left:left + probs.shape[1]]
    above = probs > threshold
    top, bottom, first_row, last_row = reach(rows, above.any(1))
    left, right, first_column, last_column = reach(columns, above.any(0))
    support = probs[first_row:last_row, first_column:last_column]
    rows = rows[top:bottom, first_row:last_row]
    columns = columns[left:right, first_column:last_column]
    return top, left, rows @ support @ columns.T > threshold


def reach(matrix, above):
    """Outputs start:stop that the inputs marked in `above` reach, and the inputs they depend on."""
    if not above.any():
        return 0, 0, 0, 0
    outputs = np.flatnonzero(matrix[:, above].any(1))
    if len(outputs) == 0:                                  # only in the padding
        return 0, 0, 0, 0
    inputs = np.flatnonzero(matrix[outputs[0]:outputs[-1] + 1].any(0))
    return outputs[0], outputs[-1] + 1, inputs[0], inputs[-1] + 1


@lru_cache(maxsize=64)
def upsampling(size, resized, original):
    """float32 [original, size]: x4 along one side, cut to `resized`, then to `original`."""
    matrix = bilinear_matrix(resized, original) @ bilinear_matrix(size, 4 * size)[:resized]
    return matrix.astype(np.float32)


def bilinear_matrix(size, new_size):
    """float64 [new_size, size]: bilinear interpolation with half-pixel centres along one side."""
    position = np.clip((np.arange(new_size) + 0.5) * size / new_size - 0.5, 0, size - 1)
    lower = np.floor(position).astype(np.int64)
    matrix = np.zeros((new_size, size))
    matrix[np.arange(new_size), lower] += 1 - (position - lower)
    matrix[np.arange(new_size), np.minimum(lower + 1, size - 1)] += position - lower
    return matrix
