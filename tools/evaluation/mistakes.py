"""What is behind an AP: which results are right, what is wrong with the others, what was missed.

Results are matched to objects as COCO does it, at one IoU: by descending score each takes the free
object of its class that it covers best.  D: results; G: objects, without crowds.
"""
from dataclasses import dataclass, replace

import numpy as np
from pycocotools import mask as coco_mask

from tools.evaluation.coco_eval import AREA_BOUNDS
from tools.evaluation.results import Results, results_columns

MATCH_IOU = 0.5
NEAR_IOU = 0.1                     # below it a result has nothing to do with an object
CORRECT, LOCALISATION, WRONG_CLASS, DUPLICATE, BACKGROUND, IGNORED = range(6)
MISTAKES = {                       # kind: (name, meaning)
    LOCALISATION: ("localisation", f"overlaps an object of its class by an IoU of {NEAR_IOU} to "
                                   f"{MATCH_IOU}"),
    WRONG_CLASS: ("wrong class", f"covers an object of another class (IoU {MATCH_IOU} or more)"),
    DUPLICATE: ("duplicate", "covers an object that a result of higher score has found already"),
    BACKGROUND: ("background", "nothing of its class is there")}


@dataclass
class Objects:
    """The objects of a data set, without crowds."""

    images: np.ndarray             # int64 [G], index of the image
    classes: np.ndarray            # int64 [G], class index
    sizes: np.ndarray              # int64 [G]: 0 small, 1 medium, 2 large
    rles: list                     # [G]

    def __len__(self):
        return len(self.images)


@dataclass
class Matching:
    """All results and objects of a data set, and what they are to each other."""

    results: Results               # D
    kinds: np.ndarray              # int64 [D]: CORRECT ... IGNORED (inside a crowd of its class)
    objects: Objects               # G
    found_scores: np.ndarray       # float64 [G]: score of the result that found it; -1: none did

    def of_class(self, index):
        """The Matching of one class alone, without masks and boxes."""
        own, there = self.results.classes == index, self.objects.classes == index
        results = replace(self.results, images=self.results.images[own], rles=[], boxes=[],
                          classes=self.results.classes[own], scores=self.results.scores[own])
        objects = Objects(self.objects.images[there], self.objects.classes[there],
                          self.objects.sizes[there], [])
        return Matching(results, self.kinds[own], objects, self.found_scores[there])


def match_results(dataset, results):
    """The Matching of COCO result dicts (see `evaluate`) with the objects of a CocoDataset."""
    truth = dataset.ground_truth()
    found = results_columns(results, truth)
    kinds, found_scores = np.full(len(found), BACKGROUND), np.full(len(truth.images), -1.0)
    order = np.lexsort((-found.scores, found.images))              # by image, then by score
    for own, there in by_image(found.images[order], truth.images, len(truth.sizes)):
        own = order[own]
        ious = coco_mask.iou([found.rles[index] for index in own],
                             [truth.rles[index] for index in there], truth.crowd[there].tolist())
        same_class = found.classes[own][:, None] == truth.classes[there]
        kinds[own], owners = match_image(ious, same_class, truth.crowd[there])
        hit = owners >= 0
        found_scores[there[owners[hit]]] = found.scores[own[hit]]
    kept = np.flatnonzero(~truth.crowd)
    objects = Objects(truth.images[kept], truth.classes[kept],
                      np.searchsorted(AREA_BOUNDS, truth.areas[kept]),
                      [truth.rles[index] for index in kept])
    return Matching(found, kinds, objects, found_scores[kept])


def by_image(first, second, num_images):
    """Yield the positions in two sorted columns of image indices, for images that are in both."""
    edges = np.arange(num_images + 1)
    first, second = np.searchsorted(first, edges), np.searchsorted(second, edges)
    for image in np.flatnonzero((np.diff(first) > 0) & (np.diff(second) > 0)).tolist():
        yield (np.arange(first[image], first[image + 1]),
               np.arange(second[image], second[image + 1]))


def match_image(ious, same_class, crowd):
    """(kinds int64 [D], index of the object that was found or -1, int64 [D]) of one image.

    ious: float64 [D, G'], by descending score, for G' objects and crowds; same_class: bool
    [D, G']; crowd: bool [G'].
    """
    kinds, owners = np.full(len(ious), BACKGROUND), np.full(len(ious), -1)
    free = ~crowd
    for number, (iou, same) in enumerate(zip(ious, same_class, strict=True)):
        own = iou * same
        if (own * free).max() >= MATCH_IOU:
            owners[number] = (own * free).argmax()
            free[owners[number]] = False
            kinds[number] = CORRECT
        elif own.max() >= MATCH_IOU:
            kinds[number] = IGNORED if (own * crowd).max() >= MATCH_IOU else DUPLICATE
        elif (iou * ~crowd).max() >= MATCH_IOU:
            kinds[number] = WRONG_CLASS
        elif (own * ~crowd).max() >= NEAR_IOU:
            kinds[number] = LOCALISATION
    return kinds, owners


@dataclass
class ScoreCurve:
    """Precision, recall and their harmonic mean F1 of the results from each score on, [S]."""

    scores: np.ndarray             # descending, each once
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray

    @property
    def best(self):
        """Position of the best F1; None where nothing was found or there was nothing to find."""
        return int(self.f1.argmax()) if self.f1.any() else None


def score_curve(matching):
    """The ScoreCurve of a Matching, over all its classes."""
    counted = matching.kinds != IGNORED
    order = np.argsort(-matching.results.scores[counted], kind="stable")
    scores = matching.results.scores[counted][order]
    correct = np.cumsum(matching.kinds[counted][order] == CORRECT)
    last = np.flatnonzero(np.diff(scores, append=-np.inf))             # of equal scores
    scores, correct, shown = scores[last], correct[last], last + 1
    objects = len(matching.objects)
    return ScoreCurve(scores, correct / shown, correct / max(1, objects),
                      2 * correct / (shown + objects))
