"""What was found in one image: scores, classes, and masks cropped to their bounding boxes."""
from typing import NamedTuple

import numpy as np
from pycocotools import mask as coco_mask


class Instances:
    """Instances of one image, by descending score.

    I instances, H x W pixels of the original image:
      scores         float32 [I]
      class_indices  int64 [I]
      boxes          float32 [I, 4]: tight (x1, y1, x2, y2), x2 and y2 one past the last pixel;
                     zeros for an empty mask
      size           (H, W)
    Masks are kept as the bits of their bounding boxes; the rest is made on demand.
    """

    def __init__(self, scores, class_indices, crops, size):
        """crops: per instance (top, left, bool [h, w]), the mask inside of it; or Packed."""
        self.scores = np.asarray(scores, np.float32)
        self.class_indices = np.asarray(class_indices, np.int64)
        self.size = int(size[0]), int(size[1])
        self.packed = [crop if isinstance(crop, Packed) else pack(*crop) for crop in crops]
        self.boxes = np.zeros((len(self.scores), 4), np.float32)
        for box, (top, left, (height, width), _) in zip(self.boxes, self.packed, strict=True):
            if height:
                box[:] = left, top, left + width, top + height

    def __len__(self):
        return len(self.scores)

    def select(self, indices):
        """The instances at `indices` (ints or a bool mask), in that order."""
        indices = np.arange(len(self))[indices]
        packed = [self.packed[i] for i in indices]
        return Instances(self.scores[indices], self.class_indices[indices], packed, self.size)

    def box_mask(self, index):
        """(top, left, bool [h, w]) of one instance: the mask inside its bounding box."""
        top, left, shape, bits = self.packed[index]
        count = shape[0] * shape[1]
        return top, left, np.unpackbits(bits, count=count).view(bool).reshape(shape)

    def mask(self, index):
        """bool [H, W] of one instance."""
        full = np.zeros(self.size, bool)
        top, left, crop = self.box_mask(index)
        full[top:top + crop.shape[0], left:left + crop.shape[1]] = crop
        return full

    @property
    def masks(self):
        """bool [I, H, W]; memory I * H * W bytes."""
        if len(self) == 0:
            return np.zeros((0, *self.size), bool)
        return np.stack([self.mask(i) for i in range(len(self))])

    def to_rle(self):
        """List of COCO RLEs {"size": [H, W], "counts": str}, as pycocotools reads them."""
        return [crop_to_rle(*self.box_mask(index), self.size) for index in range(len(self))]


class Packed(NamedTuple):
    """The mask in its bounding box: its place and shape in pixels, and its bits, row by row."""

    top: int
    left: int
    shape: tuple
    bits: np.ndarray                       # uint8


def pack(top, left, mask):
    """Packed of a bool [h, w] at (top, left) in the image; nothing set: shape (0, 0)."""
    first_row, first_column, last_row, last_column = extent(mask)
    if last_row == 0:
        return Packed(0, 0, (0, 0), np.zeros(0, np.uint8))
    mask = mask[first_row:last_row, first_column:last_column]
    return Packed(int(top) + first_row, int(left) + first_column, mask.shape, np.packbits(mask))


def extent(mask):
    """(top, left, bottom, right) around what is set in a bool [h, w], the last two exclusive.

    Nothing set: zeros.  (cv2.boundingRect of OpenCV 4.8 is wrong for masks of two columns.)
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if len(rows) == 0:
        return 0, 0, 0, 0
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def crop_to_rle(top, left, crop, size):
    """The COCO RLE of a mask, straight from its crop: runs go down the columns of the image."""
    columns = np.zeros((crop.shape[1], crop.shape[0] + 2), bool)
    columns[:, 1:-1] = crop.T
    column, row = np.nonzero(columns[:, 1:] != columns[:, :-1])     # starts and stops in turn
    edges = (left + column) * size[0] + top + row
    touching = np.flatnonzero(edges[1:] == edges[:-1])      # a run goes on at the next column's top
    edges = np.delete(edges, np.concatenate([touching, touching + 1]))
    edges = edges[edges < size[0] * size[1]]
    counts = np.diff(edges, prepend=0, append=size[0] * size[1])
    rle = coco_mask.frPyObjects({"size": list(size), "counts": counts.tolist()}, *size)
    return {"size": list(size), "counts": rle["counts"].decode("ascii")}
