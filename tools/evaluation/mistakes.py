"""What is behind an AP: which results are right, what is wrong with the others, what was missed.

Results are matched to objects as COCO does it, at one IoU: by descending score each takes the free
object of its class that it covers best.  D: results; G: objects, without crowds.
"""
from dataclasses import dataclass

import numpy as np
from pycocotools import mask as coco_mask

from tools.data.masks import segmentation_to_rle
from tools.evaluation.coco_eval import AREA_BOUNDS, ground_truth, image_numbers

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
class Matching:
    """All results and objects of a data set; the images are those of `image_numbers`, 1..N."""

    scores: np.ndarray             # float64 [D]
    classes: np.ndarray            # int64 [D], class indices
    images: np.ndarray             # int64 [D]
    kinds: np.ndarray              # int64 [D]: CORRECT ... IGNORED (inside a crowd of its class)
    rles: list                     # [D]
    object_classes: np.ndarray     # int64 [G]
    object_images: np.ndarray      # int64 [G]
    object_sizes: np.ndarray       # int64 [G]: 0 small, 1 medium, 2 large
    object_rles: list              # [G]
    found_scores: np.ndarray       # float64 [G]: score of the result that found it; -1: none did

    def of_class(self, index):
        """The Matching of one class alone."""
        own, objects = self.classes == index, self.object_classes == index
        return Matching(self.scores[own], self.classes[own], self.images[own], self.kinds[own],
                        [], self.object_classes[objects], self.object_images[objects],
                        self.object_sizes[objects], [], self.found_scores[objects])


def match(dataset, results):
    """The Matching of COCO result dicts (see `evaluate`) with the objects of a CocoDataset."""
    truth, numbers = ground_truth(dataset), image_numbers(dataset)
    class_index = {category: index for index, category in enumerate(dataset.category_ids)}
    sizes = {image["id"]: (image["height"], image["width"]) for image in truth["images"]}
    objects = sorted(truth["annotations"], key=lambda annotation: annotation["image_id"])
    rles = [segmentation_to_rle(annotation["segmentation"], sizes[annotation["image_id"]])
            for annotation in objects]
    crowd = np.array([annotation["iscrowd"] for annotation in objects], bool)
    areas = np.array([annotation["area"] for annotation in objects], np.float64)
    object_classes = as_ints(class_index[annotation["category_id"]] for annotation in objects)
    object_images = as_ints(annotation["image_id"] for annotation in objects)
    scores = np.array([result["score"] for result in results], np.float64)
    classes = as_ints(class_index[result["category_id"]] for result in results)
    images = as_ints(numbers[result["image_id"]] for result in results)

    kinds, found_scores = np.full(len(results), BACKGROUND), np.full(len(objects), -1.0)
    for number in np.unique(images):
        own, there = np.flatnonzero(images == number), np.flatnonzero(object_images == number)
        own = own[np.argsort(-scores[own], kind="stable")]
        if not len(there):
            continue
        ious = coco_mask.iou([results[index]["segmentation"] for index in own],
                             [rles[index] for index in there], crowd[there].tolist())
        same_class = classes[own][:, None] == object_classes[there]
        kinds[own], owners = match_image(ious, same_class, crowd[there])
        hit = owners >= 0
        found_scores[there[owners[hit]]] = scores[own[hit]]
    kept = np.flatnonzero(~crowd)
    return Matching(scores, classes, images, kinds, [result["segmentation"] for result in results],
                    object_classes[kept], object_images[kept],
                    np.searchsorted(AREA_BOUNDS, areas[kept]), [rles[index] for index in kept],
                    found_scores[kept])


def as_ints(values):
    return np.array(list(values), np.int64)


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
    order = np.argsort(-matching.scores[counted], kind="stable")
    scores = matching.scores[counted][order]
    correct = np.cumsum(matching.kinds[counted][order] == CORRECT)
    last = np.flatnonzero(np.diff(scores, append=-np.inf))             # of equal scores
    scores, correct, shown = scores[last], correct[last], last + 1
    objects = len(matching.object_classes)
    return ScoreCurve(scores, correct / shown, correct / max(1, objects),
                      2 * correct / (shown + objects))
