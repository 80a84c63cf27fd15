"""A Trace and its Lesson as what the page holds: pictures, and the numbers to their last bit.

T cells of all levels, K candidates (cell, class), E kernel channels.
"""
import cv2
import numpy as np

from model.soft_masks import SoftMask, logit, mask_logits, sigmoid
from tools.explain import sheets
from tools.explain.trace import decays_of
from tools.inference.visualize import color_of, draw

THUMB = 2400                       # pixels of the mask of a cell
LARGE = 192                        # pixels of the longer side of those of the best candidates
LARGE_MASKS = 48                   # how many of them
TARGET = 128                       # pixels of the longer side of the mask of an object
PHOTO = 900                        # pixels of the longer side
CLASSES_SHOWN = 3                  # classes of a cell
CHANNELS_SHOWN = 6                 # mask features that weigh most in a mask
MAPS_SHOWN = 8                     # channels of a level of the pyramid
NEIGHBOURS = ((0, 1), (1, 0), (1, 1))      # that points NMS looks at: rows up, columns left
CANDIDATES = 300                   # at least so many are listed, and all that enter Matrix NMS
SETTINGS = ("score_threshold", "mask_threshold", "max_candidates", "nms_kernel", "nms_sigma",
            "update_threshold", "max_per_image", "draw_threshold", "center_region",
            "mask_loss_weight", "focal_alpha", "focal_gamma")


def page_content(found, lesson, predictor):
    """Everything but the words, as a dict for json."""
    cfg, decoder = predictor.cfg, predictor.decoder
    masks, area, maskness = masks_of_all_cells(found, cfg, decoder)
    stride = np.repeat(cfg.strides, [side * side for side in cfg.num_grids])
    candidates, instances = candidate_content(found, decoder, area, stride)
    listed = max(CANDIDATES, len(found.order))
    return {
        "classes": list(predictor.class_names),
        "sizes": {"original": found.image.shape[:2], "resized": found.resized.shape[1:],
                  "padded": found.padded.shape[1:], "map": found.mask_features.shape[1:]},
        "photo": sheets.jpeg_uri(shown_input(found.padded, cfg), 85),
        "result": sheets.jpeg_uri(result_picture(found, predictor), 85),
        "pyramid": pyramid(found), "levels": level_content(found, cfg, masks),
        "large": masks["large"],
        "features": {**sheets.map_sheet(found.mask_features, 96, cv2.COLORMAP_MAGMA),
                     "highest": exact(found.mask_features.max((1, 2)))},
        "cells": cell_content(found, cfg.num_grids, area, maskness),
        "candidates": candidates[:listed], "instances": instances,
        "candidates_left_out": max(0, len(candidates) - listed),
        "settings": {name: getattr(cfg, name) for name in SETTINGS},
        "lesson": lesson_content(lesson)}


def exact(values):
    """A list of the shortest decimals that give the same float32 (float64) numbers again."""
    values = np.asarray(values)
    return [float(str(value)) for value in values.ravel()]


def shown_input(padded, cfg):
    """uint8 BGR of the padded input, normalisation undone; the padding, zeros, is the mean color.
    """
    image = padded.transpose(1, 2, 0) * np.float32(cfg.pixel_std) + np.float32(cfg.pixel_mean)
    image = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    return sheets.shrink(image[..., ::-1] if cfg.channel_order == "rgb" else image,
                         sheets.fit(image.shape[:2], PHOTO))


def result_picture(found, predictor):
    picture = draw(found.image, found.instances, predictor.class_names,
                   predictor.cfg.draw_threshold)
    return sheets.shrink(picture, sheets.fit(picture.shape[:2], PHOTO))


def pyramid(found):
    """Per map of backbone and pyramid its shape, range, and the channels that vary most."""
    entries = []
    for name, maps in found.pyramid.items():
        busiest = np.argsort(-maps.std((1, 2)), kind="stable")[:MAPS_SHOWN]
        entries.append({"name": name, "shape": maps.shape, "channels": busiest.tolist(),
                        "lowest": float(maps.min()), "highest": float(maps.max()),
                        **sheets.map_sheet(maps[busiest], 136)})
    return entries


def masks_of_all_cells(found, cfg, decoder):
    """The masks of every cell, by the model's own code, and their area and maskness.

    {"soft", "binary": a sheet per level, "large": both kinds of the best candidates}, [T], [T].
    """
    counts = [side * side for side in cfg.num_grids]
    first, map_size = np.cumsum([0, *counts]), found.mask_features.shape[1:]
    thumb = sheets.fit_area(map_size, THUMB)
    levels = [(sheets.Sheet(thumb, count), sheets.Sheet(thumb, count)) for count in counts]
    best = best_cells(found)
    large = [sheets.Sheet(sheets.fit(map_size, LARGE), len(best)) for _ in range(2)]
    total = len(found.kernels)
    area, maskness = np.zeros(total, np.int64), np.zeros(total, np.float32)
    rows = (row for logits in mask_logits(found.kernels, found.mask_features, decoder.pool)
            for row in logits)
    for cell, row in enumerate(rows):
        mask = SoftMask(row, logit(decoder.mask_threshold))
        area[cell], maskness[cell] = mask.area, mask.maskness
        level = int(np.searchsorted(first, cell, "right")) - 1
        pictures = sigmoid(row), whole(mask, map_size)
        put(levels[level], cell - first[level], pictures)
        if cell in best:
            put(large, best[cell], pictures)
    described = [describe(pair) for pair in levels]
    return {"soft": [soft for soft, _ in described], "binary": [binary for _, binary in described],
            "large": {"tiles": best, **dict(zip(("soft", "binary"), describe(large), strict=True))}
            }, area, maskness


def best_cells(found):
    """{cell: tile} of the cells whose masks are shown large: those of the best candidates."""
    ranked = found.cells[np.argsort(-found.rescored, kind="stable")].tolist()
    return {cell: tile for tile, cell in enumerate(list(dict.fromkeys(ranked))[:LARGE_MASKS])}


def whole(mask, size):
    """float32 [size]: 1 where a SoftMask is above the threshold."""
    canvas = np.zeros(size, np.float32)
    height, width = mask.above.shape
    canvas[mask.top:mask.top + height, mask.left:mask.left + width] = mask.above
    return canvas


def put(pair, index, pictures):
    """Set a tile of a soft and of a binary sheet."""
    for sheet, picture, steps in zip(pair, pictures, (255, 1), strict=True):
        sheet.put(index, np.rint(sheets.shrink(picture, sheet.size) * steps).astype(np.uint8))


def describe(pair):
    soft, binary = pair
    return (soft.describe(sheets.jpeg_uri(soft.pixels, 55)),
            binary.describe(sheets.binary_uri(binary.pixels)))


def level_content(found, cfg, masks):
    """Per level its grid, its scale range, and the sheets of masks and kernels."""
    entries, first = [], 0
    for number, side in enumerate(cfg.num_grids):
        kernels = found.kernels[first:first + side * side]
        entries.append({"side": side, "first": first, "stride": cfg.strides[number],
                        "range": cfg.scale_ranges[number], "soft": masks["soft"][number],
                        "binary": masks["binary"][number],
                        "kernels": sheets.kernel_sheet(kernels)})
        first += side * side
    return entries


def cell_content(found, sides, area, maskness):
    """Columns with an entry (or a row) per cell: its best classes, its mask, its main channels."""
    shown = min(CLASSES_SHOWN, found.scores.shape[1])
    classes = np.argsort(-found.scores, 1, kind="stable")[:, :shown]
    scores = np.take_along_axis(found.scores, classes, 1)
    points = np.take_along_axis(found.points, classes, 1)
    rival, rival_score = rivals(found, classes[:, 0], sides)
    channels = np.argsort(-np.abs(found.kernels), 1, kind="stable")[:, :CHANNELS_SHOWN]
    weights = np.take_along_axis(found.kernels, channels, 1)
    return {"classes": classes.tolist(), "scores": rows(scores), "points": rows(points),
            "rival": rival, "rivalScore": rival_score, "area": area.tolist(),
            "maskness": exact(maskness), "channels": channels.tolist(), "weights": rows(weights)}


def rivals(found, classes, sides):
    """(cell or None, score or None) [T]: the neighbour for which points NMS silenced a class."""
    cells, scores, first = [], [], 0
    for side in sides:
        for inside in range(side * side):
            cell = first + inside
            row, column = divmod(inside, side)
            near = [cell - down * side - right for down, right in NEIGHBOURS
                    if row >= down and column >= right]
            best = max(near, key=lambda other: found.scores[other, classes[cell]], default=None)
            silenced = found.points[cell, classes[cell]] < found.scores[cell, classes[cell]]
            cells.append(best if silenced else None)
            scores.append(exact(found.scores[best, classes[cell]])[0] if silenced else None)
        first += side * side
    return cells, scores


def rows(values):
    return [exact(row) for row in values]


def candidate_content(found, decoder, area, stride):
    """(an entry per candidate, the best first; an entry per instance) with the fate of each.

    stride int [T]: a mask must cover more pixels than that of its level.
    """
    ranked = np.argsort(-found.rescored, kind="stable")
    after = dict(zip(found.order.tolist(), exact(found.decayed), strict=True))
    instance_of = {candidate: number for number, candidate in enumerate(found.kept)}
    decay_of, entries = decays_of(found, decoder), []
    place = {int(candidate): number for number, candidate in enumerate(ranked)}
    for candidate in ranked.tolist():
        cell, decay = int(found.cells[candidate]), decay_of.get(candidate)
        mask = found.masks.get(cell)
        entries.append({
            "cell": cell, "class": int(found.class_indices[candidate]),
            "score": exact(found.candidate_scores[candidate])[0],
            "maskness": exact(mask.maskness)[0] if mask else None,
            "area": mask.area if mask else None,
            "rescored": exact(found.rescored[candidate])[0], "after": after.get(candidate),
            "by": place[decay.by] if decay else None, "iou": decay and exact(decay.iou)[0],
            "factor": decay and exact(decay.factor)[0], "instance": instance_of.get(candidate),
            "fate": fate(candidate, instance_of, after, decoder, area[cell] <= stride[cell])})
    instances = [{"candidate": place[candidate], "class": int(class_index),
                  "score": exact(score)[0], "box": exact(box), "color": hex_color(number)}
                 for number, (candidate, class_index, score, box) in enumerate(zip(
                     found.kept, found.instances.class_indices, found.instances.scores,
                     found.instances.boxes, strict=True))]
    return entries, instances


def fate(candidate, instance_of, after, decoder, small):
    """What became of a candidate, one word of the page's vocabulary."""
    if candidate in instance_of:
        return "kept"
    if candidate in after:
        return "decayed" if after[candidate] < decoder.update_threshold else "crowded"
    return "small" if small else "left"


def hex_color(number):
    blue, green, red = color_of(number)
    return f"#{red:02x}{green:02x}{blue:02x}"


def lesson_content(lesson):
    """Objects, pairs and losses; None where nothing is taught."""
    if lesson is None:
        return None
    y, x, _ = lesson.centers
    small = lesson.targets["object_masks"]
    sheet = sheets.Sheet(sheets.fit(small.shape[1:], TARGET), len(small))
    for number, mask in enumerate(small):
        sheet.put(number, np.rint(sheets.shrink(np.float32(mask), sheet.size)).astype(np.uint8))
    return {
        "objects": [{"class": int(lesson.class_indices[number]), "color": hex_color(number),
                     "box": exact(lesson.boxes[number]), "scale": exact(lesson.scales[number])[0],
                     "levels": lesson.levels[number].tolist(), "center": [x[number], y[number]],
                     "region": lesson.regions[number].tolist()}
                    for number in range(len(lesson.boxes))],
        "masks": sheet.describe(sheets.binary_uri(sheet.pixels)),
        "labels": lesson.targets["category_targets"][0].tolist(),
        "pairs": {"cell": lesson.targets["cells"].tolist(),
                  "object": lesson.targets["cell_masks"].tolist(),
                  "dice": exact(lesson.dice_losses)},
        "category_losses": exact(lesson.category_losses), "losses": lesson.losses,
        "counts": lesson.counts}
