"""Whether the raw outputs of an engine are those of dygraph."""
import numpy as np

from model.arrays import to_host

TOLERANCE = 1e-4       # largest difference to dygraph, as a part of the output's deviation
HALF_TOLERANCE = 0.5   # bf16 is off by 0.13 to 0.26 at most; more would be a fault
CHECK_SHAPE = (2, 3, 96, 160)


def difference(engine, reference):
    """The deviation of an engine from another on random images of a size of no importance."""
    images = np.random.default_rng(0).normal(size=CHECK_SHAPE).astype(np.float32)
    return deviation(engine(images), reference(images))


def deviation(outputs, expected):
    """The largest difference between raw outputs, as a part of the deviation of the expected."""
    pairs = zip(flat(outputs), flat(expected), strict=True)
    return np.max([np.abs(ours - theirs).max() / theirs.std() for ours, theirs in pairs])


def flat(outputs):
    """Raw outputs as a list of numpy arrays."""
    return [to_host(value) for value in (*outputs["category_logits"], *outputs["kernels"],
                                         outputs["mask_features"])]
