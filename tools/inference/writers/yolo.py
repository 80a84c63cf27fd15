"""YOLO-seg: a text file per image, and data.yaml with the names of the classes."""
import json

import numpy as np

from tools.files import write_text


def yolo_lines(found, tolerance=None):
    """A line for each instance: class index, then x and y of its outline in parts of the image.

    The format has one outline per object: parts are joined by cuts of no width.
    """
    lines, scale = [], np.array(found.size[::-1], np.float64)
    for class_index, rings in zip(found.class_indices, found.polygons(tolerance), strict=True):
        if rings:
            points = " ".join(f"{value:.6f}" for value in (joined(rings) / scale).ravel())
            lines.append(f"{class_index} {points}\n")
    return "".join(lines)


def joined(rings):
    """One ring of int [P, 2] that visits all: from the corner nearest to the next one and back."""
    ring = rings[0]
    for other in rings[1:]:
        distances = ((ring[:, None] - other) ** 2).sum(-1)
        here, there = np.unravel_index(distances.argmin(), distances.shape)
        ring = np.concatenate([ring[:here + 1], other[there:], other[:there + 1], ring[here:]])
    return ring


def write_yolo(path, found):
    """<stem of the image>.txt, empty where nothing was found."""
    write_text(path, yolo_lines(found))


class YoloNames:
    """data.yaml beside the text files: what the class indices mean."""

    def __init__(self, path, class_names):
        self.path, self.class_names = path, class_names

    def __enter__(self):
        names = "".join(f"  {index}: {json.dumps(name, ensure_ascii=False)}\n"
                        for index, name in enumerate(self.class_names))
        write_text(self.path, f"# the classes of the text files beside this one\nnames:\n{names}")
        return self

    def rows(self, image_id, found, shown):
        return None

    def add(self, image_id, name, size, rows):
        pass

    def __exit__(self, *error):
        pass
