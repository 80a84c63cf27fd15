"""Outlines of shapes as flat lists [x0, y0, x1, y1, ...] in pixels."""
import math

import numpy as np

from tools.data.masks import polygons_to_mask

FARTHEST = 1e5                     # pixels; filling takes memory for every one of them
ROUNDNESS = 0.01                   # pixels that the polygon of a circle may deviate from it


def flat_ring(points):
    """[[x, y], ...] or [x0, y0, ...] -> a flat list of the same numbers.

    Raises ValueError or TypeError where they are no numbers, too far out or fewer than 3 points.
    """
    flat = list(points)
    if flat and not isinstance(flat[0], (int, float, str)):
        if any(len(point) != 2 for point in flat):
            raise ValueError("points that are no pairs")
        flat = [value for point in flat for value in point]
    flat = [number(value) for value in flat]
    if len(flat) < 6 or len(flat) % 2:
        raise ValueError("fewer than three points")
    return flat


def number(value):
    """A coordinate as it is; text as a float.  ValueError if it cannot be one."""
    value = float(value) if isinstance(value, str) else value
    if isinstance(value, bool) or not abs(value) <= FARTHEST:      # NaN is not either
        raise ValueError(f"{value} is no coordinate")
    return value


def rectangle(x1, y1, x2, y2):
    """The four corners of an upright box."""
    return [x1, y1, x2, y1, x2, y2, x1, y2]


def ellipse(x, y, radius_x, radius_y, degrees=0.0):
    """A polygon that deviates from the ellipse by at most ROUNDNESS; degrees: turned clockwise."""
    x, y, radius_x, radius_y, degrees = (float(number(value)) for value in
                                         (x, y, radius_x, radius_y, degrees))
    longest = max(abs(radius_x), abs(radius_y), ROUNDNESS)
    count = max(16, math.ceil(math.pi / math.acos(max(0.0, 1 - ROUNDNESS / longest))))
    angles = np.arange(count) * (2 * math.pi / count)
    points = np.stack([radius_x * np.cos(angles), radius_y * np.sin(angles)], 1)
    return (turned(points, degrees) + (x, y)).ravel().tolist()


def turned(points, degrees):
    """float [P, 2], turned clockwise as seen on a screen around the origin."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.asarray(points, np.float64) @ np.array([[cos, sin], [-sin, cos]])


def turned_rectangle(x1, y1, x2, y2, degrees, pivot=None):
    """The corners of a box turned clockwise around `pivot`, by default its centre."""
    corners = rectangle(x1, y1, x2, y2)
    if not degrees:
        return corners
    pivot = ((x1 + x2) / 2, (y1 + y2) / 2) if pivot is None else pivot
    points = np.reshape(corners, (4, 2)) - pivot
    return (turned(points, degrees) + pivot).ravel().tolist()


def without_holes(outer, holes, size):
    """bool [H, W], outer and not holes: a list of polygons means their union, which has none."""
    mask = polygons_to_mask([flat_ring(outer)], size)
    for hole in holes:
        mask &= ~polygons_to_mask([flat_ring(hole)], size)
    return mask


def turned_back(ring, orientation, size):
    """A ring in the image as EXIF turns it -> in its stored pixels; `size` is equal for both."""
    if orientation == 1:
        return ring
    height, width = size
    x, y = ring[::2], ring[1::2]
    if orientation in (5, 7):
        x, y = y, x
    elif orientation == 6:
        x, y = y, [height - value for value in x]
    elif orientation == 8:
        x, y = [width - value for value in y], x
    if orientation in (2, 3, 7):
        x = [width - value for value in x]
    if orientation in (3, 4, 7):
        y = [height - value for value in y]
    return [value for point in zip(x, y, strict=True) for value in point]


def turned_mask_back(mask, orientation):
    """As `turned_back`, for [H, W]."""
    if orientation in (5, 7):
        mask = mask.T
    elif orientation == 6:
        mask = np.rot90(mask, 1)
    elif orientation == 8:
        mask = np.rot90(mask, -1)
    if orientation in (2, 3, 7):
        mask = mask[:, ::-1]
    if orientation in (3, 4, 7):
        mask = mask[::-1]
    return mask
