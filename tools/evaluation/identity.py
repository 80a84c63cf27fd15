"""IDF1: how well the tracks of a video keep to one object each (Ristani et al. 2016).

Every true object is given at most one track and every track at most one object, so that as many
frames as possible agree: IDTP.  IDF1 = 2 IDTP / (objects + results, each counted in every frame).
G true objects, T tracks of one video.
"""
import numpy as np

MIN_IOU = 0.5                      # of an object and a result that agree in a frame


class IdentityScore:
    """score.add(truth, found) for each video; then score.idf1, in 0..1.

    truth, found: per frame a dict {id: mask bool [H, W]}.
    """

    def __init__(self):
        self.agreed, self.true, self.found = 0, 0, 0

    def add(self, truth, found):
        frames = np.zeros((0, 0))
        rows, columns = {}, {}
        for objects, results in zip(truth, found, strict=True):
            for number in objects:
                rows.setdefault(number, len(rows))
            for number in results:
                columns.setdefault(number, len(columns))
            frames = np.pad(frames, ((0, len(rows) - len(frames)),
                                     (0, len(columns) - frames.shape[1])))
            for number, mask in objects.items():
                for track, other in results.items():
                    frames[rows[number], columns[track]] += mask_iou(mask, other) >= MIN_IOU
        self.agreed += int(sum(frames[row, column] for row, column in best_pairs(frames)))
        self.true += sum(map(len, truth))
        self.found += sum(map(len, found))

    def __iadd__(self, other):
        self.agreed += other.agreed
        self.true += other.true
        self.found += other.found
        return self

    @property
    def idf1(self):
        counted = self.true + self.found
        return 2 * self.agreed / counted if counted else 1.0


def mask_iou(mask, other):
    """Of two bool [H, W]; 0 if both are empty."""
    union = np.count_nonzero(mask | other)
    return np.count_nonzero(mask & other) / union if union else 0.0


def best_pairs(gains):
    """[(row, column)] of the assignment with the largest sum of gains [G, T] (Hungarian method).

    Shortest augmenting paths with potentials, one row after another: O(G^2 T).
    """
    if gains.shape[0] > gains.shape[1]:
        return [(row, column) for column, row in best_pairs(gains.T)]
    count, width = gains.shape
    costs = gains.max(initial=0) - gains
    owner = np.full(width + 1, -1)                     # row of each column; the last is the start
    rows, columns = np.zeros(count), np.zeros(width + 1)                     # potentials
    for row in range(count):
        owner[width], column = row, width
        lowest, previous = np.full(width, np.inf), np.full(width, width)
        seen = np.zeros(width + 1, bool)
        while owner[column] >= 0:
            seen[column] = True
            reduced = costs[owner[column]] - rows[owner[column]] - columns[:-1]
            shorter = ~seen[:-1] & (reduced < lowest)
            lowest[shorter], previous[shorter] = reduced[shorter], column
            following = int(np.where(seen[:-1], np.inf, lowest).argmin())
            step = lowest[following]
            rows[owner[seen]] += step
            columns[seen] -= step
            lowest[~seen[:-1]] -= step
            column = following
        while column != width:                         # back along the path
            owner[column] = owner[previous[column]]
            column = previous[column]
    return [(int(row), column) for column, row in enumerate(owner[:-1]) if row >= 0]
