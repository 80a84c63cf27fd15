"""The images with the most mistakes as HTML: ground truth and results beside each other."""
import base64
from html import escape

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from tools.errors import UserError
from tools.evaluation import mistakes
from tools.inference.text import drawable_name
from tools.inference.visualize import draw_marks

MOST = 12                          # images in a report
SIDE = 640                         # pixels of the longer side within the report
JPEG_QUALITY = 82
FOUND_COLOR, MISSED_COLOR = "#2e9e5b", "#d6313f"
KIND_COLORS = {mistakes.CORRECT: FOUND_COLOR, mistakes.LOCALISATION: "#e08a2e",
               mistakes.WRONG_CLASS: "#8e5bb5", mistakes.DUPLICATE: "#2a7fc0",
               mistakes.BACKGROUND: "#6d7780", mistakes.IGNORED: "#c9ced3"}


def worst_images(dataset, matching, threshold):
    """HTML of up to MOST images: those with the most missed objects and false results.

    Results count from the score `threshold` on.  Of equally many mistakes the earlier image wins.
    """
    false = ((matching.results.scores >= threshold)
             & np.isin(matching.kinds, list(mistakes.MISTAKES)))
    missed = matching.found_scores < threshold
    images = len(dataset)
    counts = (np.bincount(matching.results.images[false], minlength=images)
              + np.bincount(matching.objects.images[missed], minlength=images))
    order = np.argsort(-counts, kind="stable")[:MOST]
    chosen = [index for index in order.tolist() if counts[index]]
    if not chosen:
        return "<p>No image has a mistake.</p>"
    figures = [figure(dataset, index, matching, threshold) for index in chosen]
    return (f'<p class="note">The {len(chosen)} of {len(dataset)} images with the most mistakes, '
            "missed objects and false results together; of equal ones the first. Left the ground "
            "truth, right the results from the score threshold on.</p>"
            f"{legend()}{''.join(figures)}")


def legend():
    entries = [("found", FOUND_COLOR), ("missed", MISSED_COLOR)]
    entries += [(name, KIND_COLORS[kind]) for kind, (name, _) in mistakes.MISTAKES.items()]
    return '<div class="legend">' + "".join(
        f'<span><i style="background:{color}"></i>{name}</span>' for name, color in entries
    ) + "</div>"


def figure(dataset, index, matching, threshold):
    """HTML of image `index`: what is in it, and both drawings."""
    results = matching.results
    objects = np.flatnonzero(matching.objects.images == index)
    shown = np.flatnonzero((results.images == index) & (results.scores >= threshold))
    shown = shown[np.argsort(-results.scores[shown], kind="stable")]
    missed = matching.found_scores[objects] < threshold
    names = dataset.class_names
    truth = [(matching.objects.rles[i], MISSED_COLOR if is_missed else FOUND_COLOR,
              drawable_name(names, matching.objects.classes[i]))
             for i, is_missed in zip(objects, missed, strict=True)]
    found = [(results.rles[i], KIND_COLORS[matching.kinds[i]],
              f"{drawable_name(names, results.classes[i])} {results.scores[i]:.2f}")
             for i in shown]
    try:
        image = dataset.load_image(index)
        pictures = "".join(f'<img alt="{alt}" src="{data_uri(drawn(image, marks))}">'
                           for alt, marks in (("ground truth", truth), ("results", found)))
    except UserError as error:
        pictures = f'<p class="note">{escape(str(error))}</p>'
    kinds = [(name, int((matching.kinds[shown] == kind).sum()))
             for kind, (name, _) in mistakes.MISTAKES.items()]
    said = ", ".join([f"{missed.sum()} of {len(objects)} objects missed",
                      *(f"{count} {name}" for name, count in kinds if count)])
    file_name = escape(dataset.image_info(index)["file_name"])
    return f'<div class="image"><p><b>{file_name}</b>: {said}</p><div>{pictures}</div></div>'


def drawn(image, marks):
    """The image with `marks`, (RLE, "#rrggbb", text) each, at most SIDE pixels long.

    Small images are enlarged first, so that their labels can be read.
    """
    scale = max(1.0, SIDE / max(image.shape[:2]))
    canvas = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    size = canvas.shape[1], canvas.shape[0]
    masks = [cv2.resize(coco_mask.decode(rle), size, interpolation=cv2.INTER_NEAREST)
             for rle, _, _ in marks]
    draw_marks(canvas, [((0, 0, mask.astype(bool)), bgr(color), text)
                        for mask, (_, color, text) in zip(masks, marks, strict=True)
                        if mask.any()])
    shrink = min(1.0, SIDE / max(size))
    small = [max(1, round(shrink * side)) for side in size]      # of 70000 x 3 pixels a line stays
    return cv2.resize(canvas, small, interpolation=cv2.INTER_AREA)


def bgr(color):
    """"#rrggbb" -> (blue, green, red)."""
    return tuple(int(color[start:start + 2], 16) for start in (5, 3, 1))


def data_uri(image):
    _, encoded = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))
    return f"data:image/jpeg;base64,{base64.b64encode(encoded).decode()}"
