"""An evaluation that one can look at: a single HTML file with tables, curves and the worst images.

It needs no network and no script: the charts are SVG, the images JPEG within the file.
"""
import hashlib
import platform
from datetime import datetime, timezone
from html import escape
from pathlib import Path
from string import Template

import cv2
import numpy as np
import paddle

from tools.evaluation import mistakes
from tools.evaluation.charts import bar, line_chart
from tools.evaluation.coco_eval import IOU_50, IOU_75, metric_text, metrics_of
from tools.evaluation.confusion import confusion_table
from tools.evaluation.evaluators import evaluator_name
from tools.evaluation.worst_images import KIND_COLORS, MISSED_COLOR, worst_images
from tools.files import atomic_file
from tools.runtime import describe

TEMPLATE = Path(__file__).with_name("report.html")
BLUE, ORANGE, DARK = "#2a6fb8", "#e08a2e", "#1d2530"
CORRECT_RESULT = ("correct",
                  f"covers a free object of its class (IoU {mistakes.MATCH_IOU} or more)")
SIZES = ("small", "medium", "large")
COLUMNS = ("AP", "AP50", "AP75", "APs", "APm", "APl")
HEADINGS = ("AP", "AP50", "AP75", *SIZES)
KINDS_OF_AP = {"segm": "masks", "bbox": "boxes"}


def write_report(path, dataset, results, precision, facts):
    """Write the report on `results`, the COCO result dicts of a CocoDataset, to `path`.

    precision: what `precisions` returned for them, of "segm" and perhaps of "bbox".
    facts: {label: text}, see `report_facts`.  UserError if the file cannot be written.
    """
    names = dataset.class_names
    matching = mistakes.match_results(dataset, results)
    curve = mistakes.score_curve(matching)
    threshold = float(curve.scores[curve.best]) if curve.best is not None else 0.0
    metrics = metrics_of(precision, names)
    text = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=escape(f"Evaluation of {facts['config']}"),
        subtitle=escape(f"images: {len(dataset)} · objects: {len(matching.objects.classes)} · "
                        f"classes: {len(names)} · results: {len(results)} · {facts['date']}"),
        tiles=tiles(metrics, curve), ap_table=ap_table(metrics),
        curve_chart=precision_chart(precision["segm"]), score_chart=score_chart(curve),
        advice=threshold_advice(curve), class_curves=class_curves(precision["segm"], names),
        counted=counted(threshold), mistake_table=mistake_table(matching, threshold),
        confusion_table=confusion_table(dataset, results, threshold),
        class_table=class_table(matching, metrics, names, threshold),
        worst_images=worst_images(dataset, matching, threshold),
        facts="".join(f"<dt>{escape(label)}</dt><dd>{escape(str(fact))}</dd>"
                      for label, fact in facts.items()))
    with atomic_file(path) as file:
        file.write(text.encode())


def report_facts(cfg, predictor, dataset, evaluator, overrides=()):
    """What the report says on its own making: {label: text}."""
    digest = hashlib.sha256(Path(predictor.weights).read_bytes()).hexdigest()
    return {"config": cfg.name, "settings replaced": " ".join(overrides) or "none",
            "weights": f"{predictor.weights} (sha256 {digest[:16]})",
            "engine": f"{predictor.engine.name} {predictor.engine.version}",
            "runtime": describe(predictor.device).removeprefix("runtime: "),
            **common_facts(dataset, evaluator)}


def common_facts(dataset, evaluator):
    """The facts that do not need a network."""
    return {"date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
            "data set": f"{dataset.path}, images in {dataset.image_dir}",
            "evaluator": evaluator_name(evaluator),
            "versions": f"Python {platform.python_version()}, Paddle {paddle.__version__}, "
                        f"numpy {np.__version__}, OpenCV {cv2.__version__}"}


def table(headings, rows, text_columns=(0,)):
    """An HTML table; the cells are HTML already."""
    def cells(tag, row):
        return "".join(f'<{tag} class="text">{cell}</{tag}>' if column in text_columns
                       else f"<{tag}>{cell}</{tag}>" for column, cell in enumerate(row))
    return (f"<table><tr>{cells('th', headings)}</tr>"
            + "".join(f"<tr>{cells('td', row)}</tr>" for row in rows) + "</table>")


def tiles(metrics, curve):
    """The four numbers that one looks for first."""
    best = curve.best
    entries = [("mask AP", metrics["segm_AP"]), ("mask AP50", metrics["segm_AP50"]),
               ("box AP", metrics.get("bbox_AP", -1)),
               ("best F1 of masks at IoU 0.5", -1 if best is None else curve.f1[best])]
    return "".join(f'<div class="tile"><b>{metric_text(value, 3)}</b><span>{name}</span></div>'
                   for name, value in entries)


def ap_table(metrics):
    rows = [[name, *(metric_text(metrics[f"{iou_type}_{column}"], 3) for column in COLUMNS)]
            for iou_type, name in KINDS_OF_AP.items() if f"{iou_type}_AP" in metrics]
    return table(("", *HEADINGS), rows)


def precision_chart(precision):
    """Precision over recall, mean of the classes with objects, of [T, R, C, A]."""
    recall = np.linspace(0, 1, precision.shape[1])
    whole = precision[..., 0]                                            # [T, R, C]
    lines = [("IoU 0.5", BLUE, whole[IOU_50]), ("IoU 0.75", ORANGE, whole[IOU_75]),
             ("mean of IoU 0.50 to 0.95", DARK, whole.mean(0))]          # [R, C] each
    defined = whole[0, 0] > -1                                           # [C]
    return line_chart([(name, color, recall if defined.any() else [],
                        values[:, defined].mean(1) if defined.any() else [])
                       for name, color, values in lines], "recall", "precision")


def class_curves(precision, class_names):
    """The `precision_chart` of every class that has objects, folded away."""
    defined = np.flatnonzero(precision[0, 0, :, 0] > -1)
    charts = "".join(f"<div><h3>{escape(class_names[index])}</h3>"
                     f"{precision_chart(precision[:, :, [index]])}</div>" for index in defined)
    return (f"<details><summary>Curves of each class</summary>"
            f'<div class="small">{charts}</div></details>') if len(defined) > 1 else ""


def score_chart(curve, most=200):
    """Precision, recall and F1 over the score threshold, of `most` of its points."""
    kept = np.unique(np.linspace(0, len(curve.scores) - 1, most).round().astype(int)) \
        if len(curve.scores) else []
    marker = None
    if curve.best is not None:
        marker = (float(curve.scores[curve.best]), f"best F1 {curve.f1[curve.best]:.3f}")
    return line_chart([("precision", BLUE, curve.scores[kept], curve.precision[kept]),
                       ("recall", ORANGE, curve.scores[kept], curve.recall[kept]),
                       ("F1", DARK, curve.scores[kept], curve.f1[kept])],
                      "score threshold", "at IoU 0.5", marker)


def round_down(score, digits=3):
    """A score as a threshold that still lets it pass."""
    return f"{np.floor(score * 10 ** digits) / 10 ** digits:.{digits}f}"


def threshold_advice(curve):
    if curve.best is None:
        return "No result is correct, so there is no score threshold to recommend."
    best = curve.best
    return (f"<b>Score threshold {round_down(curve.scores[best])}</b> gives the best F1: of the "
            f"results from there on {curve.precision[best]:.1%} are correct, and they find "
            f"{curve.recall[best]:.1%} of the objects. Choose a higher one where false results "
            "are worse than missed objects: <code>demo.py --score-threshold</code>.")


def counted(threshold):
    return (f"Counted at the score threshold of the best F1, {round_down(threshold)}."
            if threshold else "All results count, whatever their score.")


def mistake_table(matching, threshold):
    """How many results are correct or of which mistake, and how many objects are missed."""
    counts = np.bincount(matching.kinds[matching.results.scores >= threshold],
                         minlength=mistakes.IGNORED + 1)
    missed = int((matching.found_scores < threshold).sum())
    lines = [(name, meaning, int(counts[kind]), KIND_COLORS[kind])
             for kind, (name, meaning) in [(mistakes.CORRECT, CORRECT_RESULT),
                                           *mistakes.MISTAKES.items()]]
    lines.append(("missed objects", f"of {len(matching.objects.classes)}", missed, MISSED_COLOR))
    longest = max(1, *(count for _, _, count, _ in lines))
    return table(("", "meaning", "number", ""),
                 [(name, meaning, count, bar(count / longest, color))
                  for name, meaning, count, color in lines], text_columns=(0, 1))


def class_table(matching, metrics, class_names, threshold):
    """A row per class, best mask AP first, those without objects last."""
    headings = ("class", "objects", "mask AP", "", "box AP",
                *(f"missed {size}" for size in SIZES), "false", "best threshold")
    box_ap = metrics.get("bbox_per_class", {})
    order = sorted(range(len(class_names)),
                   key=lambda index: -metrics["segm_per_class"][class_names[index]])
    rows = []
    for index in order:
        name, own = class_names[index], matching.of_class(index)
        ap, curve = metrics["segm_per_class"][name], mistakes.score_curve(own)
        false = ((own.results.scores >= threshold) & (own.kinds != mistakes.CORRECT)
                 & (own.kinds != mistakes.IGNORED)).sum()
        rows.append([escape(name), len(own.objects.classes), metric_text(ap, 3), bar(ap, BLUE),
                     metric_text(box_ap.get(name, -1), 3), *missed_by_size(own, threshold), false,
                     "-" if curve.best is None else round_down(curve.scores[curve.best])])
    return table(headings, rows)


def missed_by_size(matching, threshold):
    """["3 of 20", "-", ...], small, medium and large."""
    missed = matching.found_scores < threshold
    totals = np.bincount(matching.objects.sizes, minlength=len(SIZES))
    counts = np.bincount(matching.objects.sizes[missed], minlength=len(SIZES))
    return [f"{count} of {total}" if total else "-"
            for count, total in zip(counts, totals, strict=True)]
