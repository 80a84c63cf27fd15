"""Why an annotation is no object, as far as that does not depend on its image.  A: annotations."""
import numpy as np

NO_SEGMENTATION = "objects without a segmentation (skipped)"
BOX_ONLY = "objects with a box but no mask, which SOLOv2 needs (skipped)"
DEGENERATE = "objects of zero area or with fewer than 3 points (skipped)"
NO_NUMBERS = "objects with coordinates that are no numbers of pixels (skipped)"
WRONG_RLE = "objects whose RLE is damaged or not of the size of their image (skipped)"
REASONS = ("", NO_SEGMENTATION, BOX_ONLY, DEGENERATE, NO_NUMBERS, WRONG_RLE)
NONE, UNSEGMENTED, BOXED, EMPTY, UNREADABLE, DAMAGED = range(len(REASONS))


def reasons_of_parts(kind, parts, unreadable, boxed):
    """uint8 [A], indices of REASONS, of all but run-length codes.

    kind: of segmentation; parts: how many polygons cover a pixel; unreadable: bool, whether another
    is no list of numbers of pixels; boxed: bool, whether there is a box.
    """
    reason = np.where(parts > 0, NONE, np.where(unreadable, UNREADABLE, EMPTY))
    reason[kind == 0] = np.where(boxed[kind == 0], BOXED, UNSEGMENTED)
    return reason.astype(np.uint8)


def reasons_of_codes(sound, pixels):
    """The same of run-length codes, by their `code_measures`."""
    return np.where(~sound, DAMAGED, np.where(pixels == 0, EMPTY, NONE))
