"""How the grids and scale ranges of a config suit the objects of a data set, and what would.

I: objects; L: levels.  Sizes are sqrt(box area) in pixels after the training resize.
"""
from dataclasses import dataclass

import numpy as np

from model.targets import cells_of_centers

SMALL, LARGE = 0.20, 0.95       # quantiles of the sizes between which the levels are laid out
LEAST_RATIO = 1.3               # between neighbouring levels: images are resized at random
CROWDED_OUT = 0.01              # share of a level's objects that need no cell of their own, or one
FINEST_GRID = 64                # a cell of a 512-pixel image then has 8 pixels
GRID_STEP = 4


@dataclass
class Fit:
    """What the targets of a whole data set look like under one pair of settings."""

    num_grids: tuple
    scale_ranges: tuple
    level_objects: np.ndarray      # int64 [L]: objects with a cell on each level
    learned: np.ndarray            # bool [I]: has a cell on some level
    crowded_out: np.ndarray        # bool [I]: has cells, but other objects claim all of them too
    shared_cells: float            # share of the positive cells that several objects claim

    def loss(self):
        """Share of the objects that no cell learns, or none for itself."""
        return float(np.mean(~self.learned | self.crowded_out)) if len(self.learned) else 0.0

    def settings(self):
        """The pair as arguments of -o."""
        text = (f"{name}={value}".replace(" ", "") for name, value in
                (("num_grids", self.num_grids), ("scale_ranges", self.scale_ranges)))
        return " ".join(f"'{setting}'" for setting in text)


def fit(objects, num_grids, scale_ranges, center_region):
    """The Fit of a Survey to settings."""
    boxes = np.stack([objects.width * 0, objects.width * 0, objects.width, objects.height], 1)
    owners, cells = cells_of_centers((objects.center_y, objects.center_x, objects.area), boxes,
                                     (objects.padded_height, objects.padded_width), num_grids,
                                     scale_ranges, center_region)
    ends = np.cumsum(np.square(num_grids))
    _, inverse, claims = np.unique(objects.image[owners] * ends[-1] + cells, return_inverse=True,
                                   return_counts=True)
    alone = owners[claims[inverse] == 1]
    learned = np.bincount(owners, minlength=len(objects)) > 0
    levels = np.searchsorted(ends, cells, side="right")
    pairs = np.unique(np.stack([owners, levels]), axis=1)
    return Fit(num_grids, scale_ranges,
               np.bincount(pairs[1], minlength=len(num_grids)), learned,
               learned & (np.bincount(alone, minlength=len(objects)) == 0),
               float(np.mean(claims > 1)) if len(claims) else 0.0)


def propose(objects, cfg):
    """The Fit to settings made for the objects of a Survey."""
    ranges = propose_ranges(objects.sizes[objects.area > 0], cfg.scale_ranges)
    grids = [propose_grid(objects, grid, scale_range, cfg.center_region)
             for grid, scale_range in zip(cfg.num_grids, ranges, strict=True)]
    grids = np.maximum.accumulate(grids[::-1])[::-1]           # none coarser than the one after
    return fit(objects, tuple(grids.tolist()), ranges, cfg.center_region)


def propose_ranges(sizes, current):
    """Ranges as the published ones for COCO are built, between the quantiles of `sizes`.

    There a level reaches from the middle of the one below to the middle of the one above, and the
    middles 48, 96, 192, 384, 768 grow by one ratio.
    """
    if len(sizes) == 0 or len(current) < 2:
        return current
    small, large = np.maximum(np.quantile(sizes, (SMALL, LARGE)), 4)
    ratio = max(LEAST_RATIO, (large / small) ** (1 / (len(current) - 1)))
    middles = [int(round(small * ratio ** level)) for level in range(len(current))]
    largest = max(current[-1][1], 2 * int(np.ceil(sizes.max())))
    return tuple(zip([1, *middles[:-1]], [*middles[1:], largest], strict=True))


def propose_grid(objects, grid, scale_range, center_region):
    """The grid side of a level, made finer until its objects have cells of their own.

    Where no grid parts enough of them, such as copies of one object, the coarsest that parts most.
    """
    fewest, best = np.inf, grid
    for side in range(grid, max(grid, FINEST_GRID) + 1, GRID_STEP):
        level = fit(objects, (side,), (scale_range,), center_region)
        crowded = np.sum(level.crowded_out)
        if crowded < fewest:
            fewest, best = crowded, side
        if crowded <= max(1, CROWDED_OUT * np.sum(level.learned)):
            break
    return best
