"""Tables for a spreadsheet: objects.csv, a line for each drawn instance, and counts.csv, a line for
each image."""
import contextlib
import csv
import io

from tools.files import atomic_file

OBJECTS = ("image", "object", "class", "score", "x1", "y1", "x2", "y2", "area", "area_percent",
           "centroid_x", "centroid_y")


class TableWriter:
    """Both tables, in UTF-8.  `path` is that of the first, the second lies beside it.

    Boxes, areas and centroids are in pixels, x2 and y2 one past the last.  An image in which
    nothing was found has a line of zeros in the counts.
    """

    def __init__(self, path, class_names):
        self.path, self.class_names = path, class_names

    def __enter__(self):
        self.stack = contextlib.ExitStack()
        counts = self.path.with_name(self.path.name.replace("objects", "counts"))
        self.objects, self.counts = (self.stack.enter_context(atomic_file(path))
                                     for path in (self.path, counts))
        self.objects.write(lines([OBJECTS]))
        self.counts.write(lines([("image", "height", "width", "objects", *self.class_names)]))
        return self

    def rows(self, image_id, found, shown):
        """(rows without the name of the image, drawn instances per class) of an image."""
        pixels = found.size[0] * found.size[1]
        columns = zip(shown.names, shown.scores.tolist(), shown.boxes.astype(int).tolist(),
                      shown.areas.tolist(), shown.centroids.astype(float).round(1).tolist(),
                      strict=True)
        rows = [(number, name, f"{score:.4f}", *box, area, f"{100 * area / pixels:.3f}", *center)
                for number, (name, score, box, area, center) in enumerate(columns, 1)]
        counted = shown.class_indices.tolist()
        return rows, [counted.count(index) for index in range(len(self.class_names))]

    def add(self, image_id, name, size, rows):
        objects, counts = rows
        self.objects.write(lines((name, *row) for row in objects))
        self.counts.write(lines([(name, *size, len(objects), *counts)]))

    def __exit__(self, *error):
        self.stack.__exit__(*error)


def lines(rows):
    """Rows as the bytes of a csv file."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8", errors="replace")
