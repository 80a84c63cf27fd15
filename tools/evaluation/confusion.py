"""Which classes are taken for which: the confusion matrix of a report."""
from html import escape

import numpy as np
from pycocotools import mask as coco_mask

from tools.evaluation.mistakes import MATCH_IOU, by_image
from tools.evaluation.results import results_columns

MOST_CLASSES = 30                  # in the table; of more, those with the most confusion


def confusion(dataset, results, score_threshold):
    """int64 [C + 1, C + 1]: objects by their class (row) and that of the result on them (column).

    Results from `score_threshold` on are given, best first, to the free object that they overlap
    most, whatever its class, with an IoU of MATCH_IOU or more.  The last column counts objects that
    nothing was given to, the last row results without an object, but for those on crowds.
    """
    truth, found = dataset.ground_truth(), results_columns(results, dataset.ground_truth())
    background = len(dataset.class_names)
    matrix = np.zeros((background + 1, background + 1), np.int64)
    kept = np.flatnonzero(found.scores >= score_threshold)
    kept = kept[np.lexsort((-found.scores[kept], found.images[kept]))]
    owners, on_crowd = np.full(len(kept), -1), np.zeros(len(kept), bool)
    for own, there in by_image(found.images[kept], truth.images, len(truth.sizes)):
        ious = coco_mask.iou([found.rles[kept[index]] for index in own],
                             [truth.rles[index] for index in there], truth.crowd[there].tolist())
        crowd = truth.crowd[there]
        owners[own] = np.append(there, -1)[assign(ious * ~crowd)]
        on_crowd[own] = (ious * crowd).max(1) >= MATCH_IOU
    hit = owners >= 0
    np.add.at(matrix, (truth.classes[owners[hit]], found.classes[kept[hit]]), 1)
    np.add.at(matrix, (background, found.classes[kept[~hit & ~on_crowd]]), 1)
    missed = np.setdiff1d(np.flatnonzero(~truth.crowd), owners[hit])
    np.add.at(matrix, (truth.classes[missed], background), 1)
    return matrix


def assign(ious):
    """int64 [D]: the column that each row is given, in order, or -1; each column goes once."""
    ious, chosen = ious.copy(), np.full(len(ious), -1)
    for row in range(len(ious)):
        column = ious[row].argmax()
        if ious[row, column] >= MATCH_IOU:
            chosen[row], ious[:, column] = column, 0
    return chosen


def confusion_table(dataset, results, score_threshold):
    """The matrix as an HTML table; off its diagonal the darker, the larger a share of its row."""
    matrix, names = confusion(dataset, results, score_threshold), list(dataset.class_names)
    shown = most_confused(matrix)
    labels = [escape(names[index]) for index in shown]
    head = "".join(f"<th>{label}</th>" for label in [*labels, "missed"])
    rows = []
    for index, label in zip([*shown, len(names)], [*labels, "no object"], strict=True):
        cells = "".join(cell(matrix, index, column) for column in [*shown, len(names)])
        rows.append(f"<tr class=\"confusion\"><th>{label}</th>{cells}</tr>")
    left_out = len(names) - len(shown)
    note = f"<p>{left_out} classes with less confusion are left out.</p>" if left_out else ""
    rows.insert(0, f"<tr class=\"confusion\"><th>is \\ taken for</th>{head}</tr>")
    return f"<table>{''.join(rows)}</table>{note}"


def most_confused(matrix):
    """Class indices, in order, of those with the most off the diagonal; all if they are few."""
    wrong = matrix.sum(0)[:-1] + matrix.sum(1)[:-1] - 2 * matrix.diagonal()[:-1]
    return sorted(np.argsort(-wrong, kind="stable")[:MOST_CLASSES].tolist())


def cell(matrix, row, column):
    count, total = int(matrix[row, column]), int(matrix[row].sum())
    if not count:
        return "<td></td>"
    color = "42,111,184" if row == column else "224,138,46"
    return f"<td style=\"background:rgba({color},{0.15 + 0.85 * count / total:.2f})\">{count}</td>"
