"""COCO average precision of detections, by pycocotools or the faster, equal faster-coco-eval.

T: the 10 IoU thresholds 0.50, 0.55 .. 0.95; R: 101 recall steps 0.00, 0.01 .. 1.00; C: classes;
A: the object sizes of AREAS.
"""
import contextlib
import functools
import io
from importlib.metadata import version

import numpy as np
from pycocotools import mask as coco_mask

from tools.data.coco_json import read_coco_json
from tools.data.masks import mask_to_box, segmentation_to_mask
from tools.data.segmentations import usable_segmentation
from tools.errors import UserError

IOU_50, IOU_75 = 0, 5                                  # positions among the T thresholds
AREAS = ("all", "small", "medium", "large")
AREA_BOUNDS = (32 ** 2, 96 ** 2)                       # pixels: small below, medium up to, large
MAX_DETECTIONS = (1, 10, 100)                          # per image and class; the last one counts
EVALUATORS = ("auto", "pycocotools", "faster")


def evaluate(dataset, results, iou_types=("segm",), evaluator="auto"):
    """Metrics of `results` on every image of `dataset`, also of those without objects.

    Arguments as for `precisions`.  Returns per type {"segm_AP", "segm_AP50", "segm_AP75",
    "segm_APs", "segm_APm", "segm_APl"} in 0..1, and "segm_per_class", {class name: AP}.
    No results: 0.  Without ground truth (of that class or size): -1, as in pycocotools.
    """
    return summaries(precisions(dataset, results, iou_types, evaluator), dataset.class_names)


def precisions(dataset, results, iou_types=("segm",), evaluator="auto"):
    """{iou_type: float64 [T, R, C, A]}, precision at each recall; -1 without ground truth.

    `dataset`: a CocoDataset (training=False).  `results`: dicts of the COCO results format with
    image_id, category_id, score, and segmentation (compressed RLE) for "segm", bbox (x, y, w, h)
    for "bbox".  `evaluator`: one of EVALUATORS; auto is the fast one where it is installed.
    Raises UserError for results of an unknown image.
    """
    index_class, evaluator_class = evaluator_classes(evaluator)
    numbers = image_numbers(dataset)
    unknown = {result["image_id"] for result in results} - set(numbers)
    if unknown:
        raise UserError(f"results for image id {min(unknown, key=str)}, which is not in "
                        f"'{dataset.path}'; they belong to another data set")
    truth = ground_truth(dataset)
    results = [{**result, "image_id": numbers[result["image_id"]]} for result in results]
    by_class = np.argsort(np.argsort(dataset.category_ids))     # the evaluators sort by category_id
    precision = {}
    for iou_type in iou_types:
        detections = {**truth, "annotations": detection_annotations(results, iou_type)}
        with contextlib.redirect_stdout(io.StringIO()):              # pycocotools prints
            run = evaluator_class(indexed(index_class, truth), indexed(index_class, detections),
                                  iou_type)
            run.params.imgIds = list(numbers.values())
            run.params.catIds = list(dataset.category_ids)
            run.params.maxDets = list(MAX_DETECTIONS)
            run.evaluate()
            run.accumulate()
        precision[iou_type] = run.eval["precision"][..., -1][:, :, by_class]
    return precision


def evaluator_name(evaluator="auto"):
    """Name and version of what `evaluator`, one of EVALUATORS, stands for here."""
    package = evaluator_classes(evaluator)[0].__module__.split(".")[0].replace("_", "-")
    return f"{package} {version(package)}"


def evaluator_classes(evaluator):
    """The index class and the evaluator class behind one of EVALUATORS."""
    if evaluator not in EVALUATORS:
        raise UserError(f"unknown evaluator '{evaluator}', expected {', '.join(EVALUATORS)}")
    if evaluator != "pycocotools":
        try:
            from faster_coco_eval import COCO, COCOeval_faster
            return COCO, functools.partial(COCOeval_faster, print_function=lambda *_: None)
        except ImportError:
            if evaluator == "faster":
                raise UserError("faster-coco-eval is not installed: pip install faster-coco-eval, "
                                "or use the evaluator pycocotools") from None
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval
    return COCO, COCOeval


def image_numbers(dataset):
    """{image id: 1..N}: the evaluators take numbers only.  Sorted, as of equal scores the first
    image comes first; texts come after numbers."""
    ids = [dataset.image_info(index)["image_id"] for index in range(len(dataset))]
    ids = sorted(ids, key=lambda image_id: (isinstance(image_id, str), image_id))
    return {image_id: number for number, image_id in enumerate(ids, 1)}


def ground_truth(dataset):
    """The json of a CocoDataset as far as it counts, with every key that the evaluators need.

    Unusable objects are left out by the rules of CocoDataset.  Images have the ids of
    `image_numbers`.  Annotations are numbered anew from 1, since the evaluators take id 0 for "not
    matched" and lose one of two with the same id.
    """
    content = read_coco_json(dataset.path, annotated=False)
    numbers = image_numbers(dataset)
    sizes = {info["image_id"]: info["size"]
             for info in map(dataset.image_info, range(len(dataset)))}
    annotations = []
    for annotation in content["annotations"]:
        size = sizes.get(annotation["image_id"])
        if size is None or annotation["category_id"] not in dataset.category_ids:
            continue
        segmentation, _ = usable_segmentation(annotation, size)
        if segmentation:
            annotations.append({**measures(annotation, segmentation, size), **annotation,
                                "segmentation": segmentation, "id": len(annotations) + 1,
                                "image_id": numbers[annotation["image_id"]]})
    return {"info": {}, "annotations": annotations, "categories": content["categories"],
            "images": [{"id": number, "height": sizes[image_id][0], "width": sizes[image_id][1]}
                       for image_id, number in numbers.items()]}


def measures(annotation, segmentation, size):
    """{"area", "bbox"} of the mask where an annotation does not give both, else {}."""
    if "area" in annotation and "bbox" in annotation:
        return {}
    mask = segmentation_to_mask(segmentation, size)
    x1, y1, x2, y2 = mask_to_box(mask).tolist()
    return {"area": int(mask.sum()), "bbox": [x1, y1, x2 - x1, y2 - y1]}


def detection_annotations(results, iou_type):
    """Results as annotations, with the area of what is compared: of the mask or of the box.

    (Their own reader takes the area of the box for masks too, which shifts APs, APm and APl.)
    """
    if iou_type == "segm":                             # one by one: pycocotools takes up to 255
        areas = [coco_mask.area(result["segmentation"]) for result in results]
    else:
        areas = [result["bbox"][2] * result["bbox"][3] for result in results]
    return [{**result, "id": number, "area": float(area), "iscrowd": 0}
            for number, (result, area) in enumerate(zip(results, areas, strict=True), 1)]


def indexed(index_class, content):
    """The COCO object of a library around `content`."""
    index = index_class()
    index.dataset = content
    index.createIndex()
    return index


def summaries(precision, class_names):
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


def shown(value, digits):
    """A metric as text, "-" where it is undefined."""
    return "-" if value < 0 else f"{value:.{digits}f}"
