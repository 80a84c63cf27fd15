"""Labels on an image: texts in boxes that stay inside and apart, and a legend in a free corner.

Sizes are (height, width); boxes are integer (x1, y1, x2, y2), x2 and y2 exclusive.
"""
from dataclasses import dataclass

import cv2
import numpy as np

from tools.inference.text import measure_text, put_text

FONT_SCALE = 1 / 1150              # relative to the side of the image (1.0: capitals of 22 pixels)
SMALLEST_FONT = 0.33               # font scale; below it nothing is readable
LARGEST_SHARE = 1 / 8              # of the image that a label may cover; no label beyond it
LOOK = 256                         # pixels per side in which the parts of a mask are looked at
LEGEND_SHARE = 0.6                 # of the height and width that a legend may take


@dataclass
class Label:
    """A text in its box."""

    text: str
    color: tuple                   # of the box, BGR
    box: tuple
    origin: tuple                  # (x, y) of the text's base line
    scale: float
    thickness: int


def side_of(size):
    """Side of the square with the area of an image, in pixels."""
    return (size[0] * size[1]) ** 0.5


def place_label(text, color, crop, size, others):
    """The Label of a mask in an image of `size`, or None where not even a small one fits.

    crop: (top, left, bool [h, w]).  Of the places around the mask's largest part the first wins
    that is clear of the labels `others`, else the clearest.  Small objects get smaller labels.
    """
    share = np.count_nonzero(crop[2]) / (size[0] * size[1])
    scale = side_of(size) * FONT_SCALE * min(1.0, 0.7 + share ** 0.5)
    height, width, ascent, pad, scale, thickness = measure_label(text, scale)
    if height > size[0] or width > size[1]:
        scale *= 0.95 * min(size[0] / height, size[1] / width)
        height, width, ascent, pad, scale, thickness = measure_label(text, scale)
    if height > size[0] or width > size[1] or height * width > LARGEST_SHARE * size[0] * size[1]:
        return None
    boxes = []
    for x, y in anchors(largest_part(crop), height, width):              # moved inside the image
        x, y = min(max(x, 0), size[1] - width), min(max(y, 0), size[0] - height)
        boxes.append((x, y, x + width, y + height))
    box = min(boxes, key=lambda box: sum(overlap(box, other.box) for other in others))
    return Label(text, color, box, (box[0] + pad, box[1] + pad + ascent), scale, thickness)


def measure_label(text, scale):
    """(height, width, ascent, padding, font scale, thickness) of a label, lengths in pixels."""
    scale = max(SMALLEST_FONT, scale)
    thickness, pad = max(1, round(1.6 * scale)), max(2, round(5 * scale))
    width, ascent, descent = measure_text(text, scale, thickness)
    return ascent + descent + 2 * pad, width + 2 * pad, ascent, pad, scale, thickness


def largest_part(crop):
    """(top, left, bool [h, w]) of a mask without its smaller parts, tight around the largest.

    Large masks are looked at in steps of some pixels: where a label goes is no matter of pixels.
    """
    top, left, mask = crop
    step = max(1, max(mask.shape) // LOOK)
    coarse = np.ascontiguousarray(mask[::step, ::step]).view(np.uint8)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(coarse, connectivity=8)
    if count <= 2:
        return crop
    number = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    part = (parts == number).repeat(step, 0).repeat(step, 1)[:mask.shape[0], :mask.shape[1]] & mask
    rows, columns = np.flatnonzero(part.any(1)), np.flatnonzero(part.any(0))
    tight = part[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]
    return top + int(rows[0]), left + int(columns[0]), tight


def anchors(crop, height, width):
    """Upper left corners (x, y) for a label of one mask, the best first."""
    top, left, mask = crop
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    y1, y2 = int(top + rows[0]), int(top + rows[-1] + 1)
    x1, x2 = int(left + columns[0]), int(left + columns[-1] + 1)
    highest = int(left + np.flatnonzero(mask[rows[0]]).mean()) - width // 2
    lowest = int(left + np.flatnonzero(mask[rows[-1]]).mean()) - width // 2
    middle = (y1 + y2 - height) // 2
    return [(highest, y1 - height), (lowest, y2), (x2, middle), (x1 - width, middle),
            (x1, y1 - height), (x2 - width, y1 - height), (x1, y2), (x2 - width, y2),
            ((x1 + x2 - width) // 2, middle)]


def overlap(box, other):
    """Common area of two boxes in pixels."""
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    return max(0, width) * max(0, height)


def draw_label(canvas, label):
    """A filled box with the text in black or white, whichever reads better on it."""
    x1, y1, x2, y2 = label.box
    canvas[y1:y2, x1:x2] = label.color
    put_text(canvas, label.text, label.origin, label.scale, ink_on(label.color), label.thickness)


def ink_on(color):
    """Black or white, by the luminance of a BGR color."""
    blue, green, red = color
    return (0, 0, 0) if 0.114 * blue + 0.587 * green + 0.299 * red > 128 else (255, 255, 255)


def legend_labels(entries, size, taken):
    """Labels that explain colors, one below the other in the corner freest of the boxes `taken`.

    entries: list of (BGR color, text), the most important first; what does not fit is counted.
    """
    scale = 0.8 * side_of(size) * FONT_SCALE
    height = measure_label("|", scale)[0]
    rows = int(LEGEND_SHARE * size[0]) // height
    if len(entries) > rows:
        entries = entries[:rows - 1] + [((90, 90, 90), f"+ {len(entries) - rows + 1}")]
    measured = [measure_label(text, scale) for _, text in entries]
    width = max((entry[1] for entry in measured), default=0)
    if rows < 2 or not measured or width > LEGEND_SHARE * size[1]:
        return []
    height = max(entry[0] for entry in measured)
    corners = [(x, y) for y in (0, size[0] - height * len(entries)) for x in (0, size[1] - width)]
    x, y = min(corners, key=lambda corner: sum(
        overlap((*corner, corner[0] + width, corner[1] + height * len(entries)), box)
        for box in taken))
    return [Label(text, color, (x, top, x + width, top + height), (x + pad, top + pad + ascent),
                  scale, thickness)
            for top, (color, text), (_, _, ascent, pad, scale, thickness)
            in zip(range(y, y + height * len(entries), height), entries, measured, strict=True)]
