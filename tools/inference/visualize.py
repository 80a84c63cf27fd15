"""Instances drawn on their image: translucent masks, contours, labels (labels.py), a legend.

Colors belong to the rank of an instance, so they do not change with the score threshold, or to its
class or track.
"""
import colorsys

import cv2
import numpy as np

from tools.errors import UserError
from tools.inference.labels import draw_label, legend_labels, place_label, side_of
from tools.inference.text import drawable_name

OPACITY = 0.35                     # more of it and dark objects drown in their color
FIRST_HUE = 0.55                   # a light blue
GOLDEN_RATIO = 0.618034            # hues this far apart stay distinct, however many there are
LIGHTNESS = (0.55, 0.70, 0.42)     # cycled, so that neighbouring hues differ in lightness too
SATURATION = 0.85
CONTOUR = 1 / 350                  # line width relative to the side of the image
NO_TRACK = (160, 160, 160)         # BGR, of what belongs to no track (yet)
COLORS = ("instance", "class", "track")                # what a color stands for


def draw(image, instances, class_names, score_threshold, color="instance", with_scores=True,
         with_legend=True):
    """uint8 BGR copy of `image` with the instances of at least `score_threshold`.

    image: uint8 [H, W, 3] BGR or [H, W] gray; instances: `Instances` of the same size;
    class_names: name per class index; color: one of COLORS, the last two with a legend;
    with_scores: False for ground truth; with_legend: False where the picture moves.
    ValueError for another image format or size.
    """
    canvas = to_bgr(image)
    size = canvas.shape[:2]
    if size != tuple(instances.size):
        raise ValueError(f"instances of size {tuple(instances.size)} on an image of size {size}: "
                         "both must be (height, width) of the same image")
    shown = np.flatnonzero((instances.scores >= score_threshold) & instances.boxes.any(1))
    colors, legend = colors_of(instances, shown, class_names, color)
    marks = []
    for index, mark_color in zip(shown, colors, strict=True):
        text = drawable_name(class_names, instances.class_indices[index])
        if instances.track_ids is not None and instances.track_ids[index]:
            text = f"#{instances.track_ids[index]} {text}"
        if with_scores:
            text += f" {instances.scores[index]:.2f}"
        marks.append((instances.box_mask(index), mark_color, text))
    draw_marks(canvas, marks, legend if with_legend else ())
    return canvas


def colors_of(instances, shown, class_names, color):
    """(BGR color of each shown instance, legend: list of (color, text))."""
    if color == "instance":
        return [color_of(index) for index in shown], []
    if color == "class":
        classes = instances.class_indices[shown].tolist()
        legend = [(color_of(index), f"{drawable_name(class_names, index)}: {classes.count(index)}")
                  for index in sorted(set(classes))]
        return [color_of(index) for index in classes], legend
    if color != "track" or instances.track_ids is None:
        raise UserError(f"color '{color}': expected 'instance' or 'class', or 'track' in a video "
                        "with tracks")
    tracks = instances.track_ids[shown].tolist()
    names = [drawable_name(class_names, index) for index in instances.class_indices[shown]]
    legend = [(color_of(track), f"#{track} {name}")
              for track, name in sorted(zip(tracks, names, strict=True)) if track]
    return [color_of(track) if track else NO_TRACK for track in tracks], legend


def draw_marks(canvas, marks, legend=()):
    """Draw masks with their contours and labels on a uint8 BGR image, the most important first.

    marks: list of ((top, left, bool [h, w]), BGR color, text); every mask covers a pixel.
    legend: list of (BGR color, text), drawn in the freest corner.
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
    taken = [label.box for label in labels] + [
        (left, top, left + mask.shape[1], top + mask.shape[0]) for (top, left, mask), *_ in marks]
    for label in legend_labels(list(legend), canvas.shape[:2], taken):
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
    """BGR tuple of ints in 0..255 for the instance of this rank, or a class or track."""
    hue, lightness = FIRST_HUE + index * GOLDEN_RATIO, LIGHTNESS[index % len(LIGHTNESS)]
    red, green, blue = colorsys.hls_to_rgb(hue % 1, lightness, SATURATION)
    return round(255 * blue), round(255 * green), round(255 * red)


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
