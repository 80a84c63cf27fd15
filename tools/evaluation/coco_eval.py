"""COCO average precision of results.

T: the 10 IoU thresholds 0.50, 0.55 .. 0.95; R: 101 recall steps 0.00, 0.01 .. 1.00; C: classes;
A: the object sizes of AREAS; N: images.
"""
import contextlib
import io

import numpy as np
from pycocotools import mask as coco_mask

from tools.errors import UserError
from tools.evaluation.evaluators import evaluator_classes
from tools.evaluation.results import results_columns

IOU_50, IOU_75 = 0, 5                                  # positions among the T thresholds
AREAS = ("all", "small", "medium", "large")
AREA_BOUNDS = (32 ** 2, 96 ** 2)                       # pixels: small below, medium up to, large
MAX_DETS = 100                                         # results that count per image and class
AT_ONCE = 40_000                                       # results and objects in an evaluator


def evaluate(dataset, results, iou_types=("segm",), evaluator="auto", max_dets=MAX_DETS):
    """Metrics of `results` on every image of `dataset`, also of those without objects.

    Arguments as for `precisions`.  Returns per type {"segm_AP", "segm_AP50", "segm_AP75",
    "segm_APs", "segm_APm", "segm_APl"} in 0..1, and "segm_per_class", {class name: AP}.
    No results: 0.  Without ground truth (of that class or size): -1, as in pycocotools.
    """
    return metrics_of(precisions(dataset, results, iou_types, evaluator, max_dets),
                     dataset.class_names)


def precisions(dataset, results, iou_types=("segm",), evaluator="auto", max_dets=MAX_DETS):
    """{iou_type: float64 [T, R, C, A]}, precision at each recall; -1 without ground truth.

    `dataset`: a CocoDataset (training=False).  `results`: dicts of the COCO results format with
    image_id, category_id, score, and segmentation (compressed RLE) for "segm", bbox (x, y, w, h)
    for "bbox".  `evaluator`: one of EVALUATORS; auto is the fast one where it is installed.
    max_dets: results that count per image and class, the best ones.
    Raises UserError for results of an unknown image.
    """
    classes = evaluator_classes(evaluator)
    truth = dataset.ground_truth()
    found = results_columns(results, truth)
    return {iou_type: np.concatenate([
        class_precisions(truth, found, group, iou_type, classes, max_dets)
        for group in class_groups(truth, found)], axis=2) for iou_type in iou_types}


def class_groups(truth, results):
    """Lists of neighbouring classes with about AT_ONCE results and objects: the evaluators keep
    much about each, and classes do not depend on each other."""
    num_classes = len(truth.category_ids)
    load = np.bincount(results.classes, minlength=num_classes) \
        + np.bincount(truth.classes, minlength=num_classes)
    groups, room = [], 0
    for number, size in enumerate(load.tolist()):
        if not groups or size > room:
            groups.append([])
            room = AT_ONCE
        groups[-1].append(number)
        room -= size
    return groups


def class_precisions(truth, results, group, iou_type, classes, max_dets):
    """float64 [T, R, c, A] of the classes in `group`, a list of class indices."""
    index_class, evaluator_class = classes
    number_of = image_numbers(truth.image_ids)
    images = [{"id": number, "height": height, "width": width} for number, (height, width)
              in zip(number_of.tolist(), truth.sizes.tolist(), strict=True)]
    shared = {"info": {}, "images": images,
              "categories": [{"id": number, "name": str(number)} for number in group]}
    contents = [{**shared, "annotations": annotations} for annotations in (
        truth_annotations(truth, group, number_of),
        result_annotations(results, group, number_of, iou_type))]
    with contextlib.redirect_stdout(io.StringIO()):                  # pycocotools prints
        run = evaluator_class(*(indexed(index_class, content) for content in contents), iou_type)
        run.params.imgIds = np.sort(number_of).tolist()
        run.params.catIds = group
        run.params.maxDets = [1, 10, max_dets]
        run.evaluate()
        run.accumulate()
    return run.eval["precision"][..., -1]


def image_numbers(image_ids):
    """int64 [N], 1..N for each image: the evaluators take numbers only.  In the order of the ids,
    as of equal scores the first image comes first; texts come after numbers."""
    order = sorted(range(len(image_ids)), key=lambda index: (isinstance(image_ids[index], str),
                                                             image_ids[index]))
    numbers = np.zeros(len(order), np.int64)
    numbers[order] = np.arange(1, len(order) + 1)
    return numbers


def truth_annotations(truth, group, number_of):
    """Annotations with every key that the evaluators need, numbered from 1.

    The evaluators take id 0 for "not matched" and lose one of two with the same id.
    """
    chosen = np.flatnonzero(np.isin(truth.classes, group)).tolist()
    return [{"id": number, "image_id": int(number_of[truth.images[index]]),
             "category_id": int(truth.classes[index]), "iscrowd": int(truth.crowd[index]),
             "area": float(truth.areas[index]), "bbox": truth.boxes[index].tolist(),
             "segmentation": truth.rles[index]} for number, index in enumerate(chosen, 1)]


def result_annotations(results, group, number_of, iou_type):
    """Results as annotations, with the area of what is compared: of the mask or of the box.

    (Their own reader takes the area of the box for masks too, which shifts APs, APm and APl.)
    UserError where a result lacks what is compared.
    """
    annotations = []
    for number, index in enumerate(np.flatnonzero(np.isin(results.classes, group)).tolist(), 1):
        rle, box = results.rles[index], results.boxes[index].tolist()
        if rle is None if iou_type == "segm" else box[0] != box[0]:
            raise UserError(f"result {index} has no {'mask' if iou_type == 'segm' else 'box'}")
        area = float(coco_mask.area(rle)) if iou_type == "segm" else box[2] * box[3]
        annotations.append({
            "id": number, "image_id": int(number_of[results.images[index]]), "iscrowd": 0,
            "category_id": int(results.classes[index]), "score": float(results.scores[index]),
            "area": area, "bbox": box, "segmentation": rle})
    return annotations


def indexed(index_class, content):
    """The COCO object of a library around `content`."""
    index = index_class()
    index.dataset = content
    index.createIndex()
    return index


def crowded_images(truth, limit, per_class):
    """How many images have more than `limit` objects, of one class or of all together."""
    images, classes = truth.images[~truth.crowd], truth.classes[~truth.crowd]
    num_classes = len(truth.category_ids)
    groups, counts = np.unique(images * num_classes + classes if per_class else images,
                               return_counts=True)
    groups = groups[counts > limit]
    return len(np.unique(groups // num_classes if per_class else groups))


def metrics_of(precision, class_names):
    """The metrics of `evaluate` from what `precisions` returned."""
    return {name: value for iou_type, values in precision.items()
            for name, value in summary(values, iou_type, class_names).items()}


def summary(precision, iou_type, class_names):
    """The metrics of `evaluate` from `precision` [T, R, C, A] of `precisions`."""
    means = {"AP": mean_of_defined(precision[..., 0]),
             "AP50": mean_of_defined(precision[IOU_50, ..., 0]),
             "AP75": mean_of_defined(precision[IOU_75, ..., 0])}
    for position, area in enumerate(AREAS[1:], 1):
        means[f"AP{area[0]}"] = mean_of_defined(precision[..., position])
    metrics = {f"{iou_type}_{name}": value for name, value in means.items()}
    metrics[f"{iou_type}_per_class"] = {name: mean_of_defined(precision[:, :, index, 0])
                                        for index, name in enumerate(class_names)}
    return metrics


def mean_of_defined(values):
    """Mean over the values that are not -1; -1 if there are none."""
    defined = values[values > -1]
    return float(np.mean(defined)) if defined.size else -1.0


def metric_text(value, digits):
    """A metric as text, "-" where it is undefined."""
    return "-" if value < 0 else f"{value:.{digits}f}"
