"""The confusion matrix by hand: right, wrong class, missed, nothing there, crowds, thresholds."""
import numpy as np
import pytest

from tests.builders import coco_dataset, listed, result, square, truth, write_grey_images
from tools.evaluation.confusion import assign, confusion, confusion_table, most_confused

SIZE = (40, 40)


@pytest.fixture
def dataset(tmp_path):
    """Two images; plum (id 3, index 0) and pear (id 7, index 1); a crowd of pears at the right."""
    write_grey_images(tmp_path, ["a.png", "b.png"], SIZE)
    annotations = [truth(square(0, 0), 1, 1, 3), truth(square(20, 0), 2, 1, 3),
                   truth(square(0, 20), 3, 1, 7), truth(square(0, 0), 4, 2, 7),
                   truth(square(20, 20, 20), 5, 2, 7, iscrowd=1)]
    images = [listed(1, "a.png", *SIZE), listed(2, "b.png", *SIZE)]
    return coco_dataset(tmp_path, images, annotations, training=False)


def test_every_kind_by_hand(dataset):
    found = [result(square(0, 0), 0.9, 3, 1),              # plum as plum
             result(square(20, 0), 0.8, 7, 1),             # plum as pear
             result(square(21, 1), 0.7, 3, 1),             # the second on it: no object is left
             result(square(22, 22, 16), 0.6, 3, 2),        # on the crowd: not counted
             result(square(0, 20), 0.2, 7, 1),             # below the threshold: pear is missed
             result(square(28, 0, 8), 0.5, 7, 2)]          # nothing there
    names = list(dataset.class_names)
    assert names == ["plum", "pear"]
    matrix = confusion(dataset, found, 0.3)
    assert matrix.tolist() == [[1, 1, 0], [0, 0, 2], [1, 1, 0]]
    assert confusion(dataset, found, 0.1).tolist() == [[1, 1, 0], [0, 1, 1], [1, 1, 0]]
    assert confusion(dataset, [], 0.0).tolist() == [[0, 0, 2], [0, 0, 2], [0, 0, 0]]


def test_the_best_result_chooses_first():
    assert assign(np.float64([[0.6, 0.7], [0.2, 0.9], [0.8, 0.0]])).tolist() == [1, -1, 0]


def test_the_table_marks_confusion_and_escapes_names(dataset):
    dataset.class_names = ("<plum>", "pear")
    table = confusion_table(dataset, [result(square(0, 0), 0.9, 7, 1)], 0.5)
    assert "<plum>" not in table and "&lt;plum&gt;" in table
    assert 'rgba(224,138,46,0.57)">1</td>' in table        # one of two plums, as a pear
    assert "left out" not in table


def test_of_many_classes_the_most_confused_are_shown():
    matrix = np.diag(np.full(41, 100))
    matrix[35, 2] = 7
    matrix[36, 40] = 3
    shown = most_confused(matrix)
    assert len(shown) == 30 and {2, 35, 36} <= set(shown) and shown == sorted(shown)
