"""One image through the predictor, with what every step took and returned kept beside the result.

Nothing is computed a second time: `watched` stands between caller and method and looks on.
T cells of all levels, C classes, E kernel channels, K candidates (cell, class).
"""
import contextlib
import time
from dataclasses import dataclass

import numpy as np

from model.arrays import to_host
from model.decode import flatten_cells, points_nms
from model.instances import Instances
from model.matrix_nms import decays, pairwise_iou
from model.soft_masks import sigmoid


@dataclass
class Call:
    """The last call of a watched method."""

    arguments: tuple
    returned: object
    seconds: float


@contextlib.contextmanager
def watched(owner, *names):
    """Yields {name: Call} of these methods of an object; within the block it fills."""
    calls = {}

    def watch(name):
        method = getattr(owner, name)

        def look_on(*arguments):
            started = time.perf_counter()
            returned = method(*arguments)
            calls[name] = Call(arguments, returned, time.perf_counter() - started)
            return returned
        setattr(owner, name, look_on)

    own = {name: value for name, value in vars(owner).items() if name in names}
    for name in names:
        watch(name)
    try:
        yield calls
    finally:
        for name in names:
            delattr(owner, name)
        for name, value in own.items():
            setattr(owner, name, value)


@dataclass
class Trace:
    """What one image became on its way; all arrays are numpy's, of the one image."""

    image: np.ndarray              # uint8 [H, W, 3] BGR, the photograph
    resized: np.ndarray            # float32 [3, h, w], normalised
    resized_size: tuple
    padded: np.ndarray             # float32 [3, H, W]
    pyramid: dict                  # {"c2": float32 [channels, h, w], ..., "p6": ...}
    outputs: dict                  # of the network, as the engine returned them
    scores: np.ndarray             # float32 [T, C], before points NMS
    points: np.ndarray             # float32 [T, C], after it: 0 where a neighbour is better
    kernels: np.ndarray            # float32 [T, E]
    mask_features: np.ndarray      # float32 [E, h, w]
    cells: np.ndarray              # int64 [K] of the candidates
    class_indices: np.ndarray      # int64 [K]
    candidate_scores: np.ndarray   # float32 [K]
    rescored: np.ndarray           # float32 [K], times maskness; 0: not drawn, or too small
    order: np.ndarray              # int64: candidates that entered Matrix NMS, the best first
    decayed: np.ndarray            # float32: their scores after it
    masks: dict                    # {cell: SoftMask} that were drawn
    kept: list                     # the candidate behind every instance
    instances: Instances
    network_seconds: float


def trace(predictor, image):
    """The Trace of a uint8 BGR image through a predictor that runs dygraph."""
    model, decoder = predictor.engine.model, predictor.decoder
    with watched(predictor, "preprocess", "network") as steps, \
            watched(model.backbone, "forward") as backbone, \
            watched(model.fpn, "forward") as fpn, \
            watched(decoder, "candidates", "suppress", "detect") as decoding:
        instances = predictor(image)
    resized, resized_size = steps["preprocess"].returned
    outputs = steps["network"].returned
    category_logits, kernels, mask_features = decoding["detect"].arguments
    probabilities = [sigmoid(level) for level in category_logits]
    cells, class_indices, scores = decoding["candidates"].returned
    order, _, _, rescored, masks = decoding["suppress"].arguments
    return Trace(
        image, resized, resized_size, to_host(steps["network"].arguments[0])[0],
        {**named("c", backbone["forward"].returned), **named("p", fpn["forward"].returned)},
        outputs, flatten_cells(probabilities),
        flatten_cells([points_nms(level) for level in probabilities]), flatten_cells(kernels),
        to_host(mask_features), cells, class_indices, scores, rescored, order,
        decoding["suppress"].returned, masks,
        candidates_of(decoding["detect"].returned, cells, class_indices, masks), instances,
        steps["network"].seconds)


def named(letter, maps):
    """{"c2": float32 [C, H, W], ...} of Tensors [1, C, H, W]."""
    return {f"{letter}{number}": to_host(value)[0] for number, value in enumerate(maps, start=2)}


def candidates_of(detected, cells, class_indices, masks):
    """Which candidate each result of `Decoder.detect` is: that of the same mask and class."""
    cell_of = {id(mask): cell for cell, mask in masks.items()}
    numbers = {key: number for number, key in
               enumerate(zip(cells.tolist(), class_indices.tolist(), strict=True))}
    _, found_classes, found_masks = detected
    return [numbers[int(cell_of[id(mask)]), int(class_index)]
            for class_index, mask in zip(found_classes, found_masks, strict=True)]


@dataclass
class Decay:
    """What Matrix NMS did to one candidate, by its number."""

    by: int                        # the candidate whose mask decayed it most
    iou: float                     # of the two masks
    factor: float                  # score after = score before * factor


def decays_of(found, decoder):
    """{candidate: Decay} of those that another one decayed, by the model's own factors."""
    decay_of = {}
    for class_index in np.unique(found.class_indices[found.order]):
        group = found.order[found.class_indices[found.order] == class_index]
        if len(group) < 2:
            continue
        iou = pairwise_iou([found.masks[cell].binary for cell in found.cells[group]])
        factors = decays(iou, decoder.nms_kernel, decoder.nms_sigma)
        strongest = np.where(np.isnan(factors), np.inf, factors).argmin(0)
        for column, row in enumerate(strongest):
            if factors[row, column] < 1:
                decay_of[int(group[column])] = Decay(int(group[row]), float(iou[row, column]),
                                                     float(factors[row, column]))
    return decay_of
