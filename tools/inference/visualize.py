"""Instances drawn on their image: translucent masks, contours, labels that stay inside and apart.

Colours belong to the rank of an instance, so they do not change with the score threshold.
Sizes are (height, width); boxes of labels are integer (x1, y1, x2, y2), x2 and y2 exclusive.
"""
import colorsys
import unicodedata
from dataclasses import dataclass

import cv2
import numpy as np

OPACITY = 0.45
FIRST_HUE = 0.55                   # a light blue
GOLDEN_RATIO = 0.618034            # hues this far apart stay distinct, however many there are
LIGHTNESS = (0.55, 0.70, 0.42)     # cycled, so that neighbouring hues differ in lightness too
SATURATION = 0.85
CONTOUR = 1 / 350                  # line width relative to the side of the image
FONT = cv2.FONT_HERSHEY_SIMPLEX
FONT_SCALE = 1 / 1150              # relative to the side of the image (1.0: capitals of 22 pixels)
SMALLEST_FONT = 0.33               # font scale; below it nothing is readable


def draw(image, instances, class_names, score_threshold):
    """uint8 BGR copy of `image` with the instances of at least `score_threshold`.

    image: uint8 [H, W, 3] BGR or [H, W] gray; instances: `Instances` of the same size;
    class_names: name per class index.  Raises ValueError for another image format or size.
    """
    canvas = to_bgr(image)
    size = canvas.shape[:2]
    if size != tuple(instances.size):
        raise ValueError(f"instances of size {tuple(instances.size)} on an image of size {size}: "
                         "both must be (height, width) of the same image")
    shown = [index for index in range(len(instances))
             if instances.scores[index] >= score_threshold and instances.boxes[index].any()]
    draw_marks(canvas, [
        (instances.box_mask(index), color_of(index), f"{ascii_name(class_names, class_index)} "
                                                 f"{instances.scores[index]:.2f}")
        for index, class_index in zip(shown, instances.class_indices[shown], strict=True)])
    return canvas


def draw_marks(canvas, marks):
    """Draw masks with their contours and labels on a uint8 BGR image, the most important first.

    marks: list of ((top, left, bool [h, w]), BGR color, text); every mask covers a pixel.
    """
    for crop, color, _ in sorted(marks, key=lambda mark: -np.count_nonzero(mark[0][2])):
        draw_mask(canvas, crop, color)                 # small ones on top
    labels = []
    for crop, color, text in marks:                    # the first one chooses its place first
        label = place_label(text, color, crop, canvas.shape[:2], labels)
        if label:
            labels.append(label)
    for label in reversed(labels):                     # and stays on top
        draw_label(canvas, label)


def to_bgr(image):
    """A BGR copy of a uint8 image [H, W, 3], [H, W, 1] or [H, W]; ValueError otherwise."""
    if image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3:
        return np.array(image, order="C")
    if image.dtype == np.uint8 and (image.ndim == 2 or image.shape[2:] == (1,)):
        return cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_GRAY2BGR)
    raise ValueError(f"an image of shape {image.shape} and type {image.dtype}: "
                     "expected uint8 [H, W, 3] BGR or [H, W] gray")


def color_of(index):
    """BGR tuple of ints in 0..255 for the instance of this rank."""
    hue, lightness = FIRST_HUE + index * GOLDEN_RATIO, LIGHTNESS[index % len(LIGHTNESS)]
    red, green, blue = colorsys.hls_to_rgb(hue % 1, lightness, SATURATION)
    return round(255 * blue), round(255 * green), round(255 * red)


def side_of(size):
    """Side of the square with the area of an image, in pixels."""
    return (size[0] * size[1]) ** 0.5


def draw_mask(canvas, crop, color):
    """Blend one mask into `canvas` and draw its contour; touches only its surroundings."""
    top, left, mask = crop
    region = canvas[top:top + mask.shape[0], left:left + mask.shape[1]]
    blend = np.arange(256)[:, None] * (1 - OPACITY) + np.array(color) * OPACITY      # [256, 3]
    tinted = cv2.LUT(region, np.rint(blend).astype(np.uint8)[None])
    stencil = mask.astype(np.uint8)
    region[:] = cv2.copyTo(tinted, stencil, region.copy())
    contours, _ = cv2.findContours(stencil, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE,
                                   offset=(int(left), int(top)))
    width = max(1, round(side_of(canvas.shape) * CONTOUR))
    cv2.drawContours(canvas, contours, -1, color, width, cv2.LINE_AA)


@dataclass
class Label:
    """A text in its box."""

    text: str
    color: tuple                   # of the box, BGR
    box: tuple
    origin: tuple                  # (x, y) of the text's base line
    scale: float
    thickness: int


def place_label(text, color, crop, size, others):
    """The Label of a mask in an image of `size`, or None where not even a small one fits.

    Of the places around the mask the first wins that is clear of the labels `others`, else the
    clearest.  Small objects get smaller labels.
    """
    share = np.count_nonzero(crop[2]) / (size[0] * size[1])
    scale = side_of(size) * FONT_SCALE * min(1.0, 0.7 + share ** 0.5)
    height, width, ascent, pad, scale, thickness = measure_label(text, scale)
    if height > size[0] or width > size[1]:
        scale *= 0.95 * min(size[0] / height, size[1] / width)
        height, width, ascent, pad, scale, thickness = measure_label(text, scale)
    if height > size[0] or width > size[1]:
        return None
    boxes = []
    for x, y in anchors(crop, height, width):              # moved inside the image
        x, y = min(max(x, 0), size[1] - width), min(max(y, 0), size[0] - height)
        boxes.append((x, y, x + width, y + height))
    box = min(boxes, key=lambda box: sum(overlap(box, other.box) for other in others))
    return Label(text, color, box, (box[0] + pad, box[1] + pad + ascent), scale, thickness)


def measure_label(text, scale):
    """(height, width, ascent, padding, font scale, thickness) of a label, lengths in pixels."""
    scale = max(SMALLEST_FONT, scale)
    thickness, pad = max(1, round(1.6 * scale)), max(2, round(5 * scale))
    (width, ascent), descent = cv2.getTextSize(text, FONT, scale, thickness)
    return ascent + descent + 2 * pad, width + 2 * pad, ascent, pad, scale, thickness


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
    blue, green, red = label.color
    ink = (0, 0, 0) if 0.114 * blue + 0.587 * green + 0.299 * red > 128 else (255, 255, 255)
    cv2.putText(canvas, label.text, label.origin, FONT, label.scale, ink, label.thickness,
                cv2.LINE_AA)


def ascii_name(class_names, index):
    """The class name as OpenCV's fonts can write it: without accents, else 'class N'."""
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", class_names[index])
                    if not unicodedata.combining(letter))
    return plain if plain.isascii() else f"class {index}"
