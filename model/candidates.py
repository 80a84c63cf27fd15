"""The candidates of one image while their masks are computed, the best cells first.

K candidates (cell, class), U cells with a candidate, T cells of an image over all levels.
"""
import numpy as np


class Candidates:
    """add() the masks of the next cells until settled() says that the rest changes nothing.

    Neither maskness nor NMS raises a score, and only higher scores decay one: so what is not
    computed yet can neither exceed `bound`, the best score among its cells, nor lower what does.

      cells, class_indices  int64 [K]
      scores                float32 [K] of the network
      rescored              float32 [K] times maskness; 0 without a mask, or with one not larger
                            than its stride
      queue                 int64 [U], the cells in the order in which masks are to be added
      masks                 {cell: SoftMask} of the max_candidates best, which bounds the memory
    """

    def __init__(self, cells, class_indices, scores, strides, max_candidates, update_threshold):
        """strides: float32 [T]."""
        self.cells, self.class_indices, self.scores = cells, class_indices, scores
        self.strides, self.max_candidates = strides, max_candidates
        self.update_threshold = update_threshold
        self.best, self.maskness = np.zeros((2, len(strides)), np.float32)
        np.maximum.at(self.best, cells, scores)
        count = np.count_nonzero(self.best)
        self.queue = np.argsort(-self.best, kind="stable")[:count]
        self.masks, self.added = {}, 0
        self.rescored, self.bound = np.zeros_like(scores), 0.0

    def add(self, masks):
        """The SoftMasks of the next cells of the queue."""
        for cell, mask in zip(self.queue[self.added:], masks, strict=False):
            if mask.area > self.strides[cell]:
                self.maskness[cell], self.masks[cell] = mask.maskness, mask
        self.added += len(masks)
        self.rescored = self.scores * self.maskness[self.cells]
        lowest = nth_highest(self.rescored, self.max_candidates)
        self.masks = {cell: mask for cell, mask in self.masks.items()
                      if self.best[cell] * self.maskness[cell] >= lowest}
        left = self.queue[self.added:]
        self.bound = self.best[left[0]] if len(left) else 0.0
        if self.bound < max(lowest, self.update_threshold):      # nothing more can come in
            self.bound = 0.0

    def order(self):
        """Indices of the candidates that nothing to come can surpass, the best first."""
        order = np.argsort(-self.rescored, kind="stable")[:self.max_candidates]
        return order[self.rescored[order] > self.bound]

    def settled(self, decayed, count):
        """Whether the best `count` are known; decayed: scores of order() after Matrix NMS."""
        return self.bound == 0 or np.count_nonzero(decayed > self.bound) >= count


def nth_highest(values, n):
    """The nth highest of `values`, 0 if there are fewer."""
    return np.partition(values, -n)[-n] if len(values) >= n else 0.0
