"""What was found in one image: scores, classes, and masks cropped to their bounding boxes."""
import numpy as np
from pycocotools import mask as coco_mask


class Instances:
    """Instances of one image, by descending score.

    I instances, H x W pixels of the original image:
      scores         float32 [I]
      class_indices  int64 [I]
      crops          per instance (top, left, bool [h, w]): the mask inside, False outside
      size           (H, W)
    Boxes, full masks and RLE are made on demand.
    """

    def __init__(self, scores, class_indices, crops, size):
        self.scores = np.asarray(scores, np.float32)
        self.class_indices = np.asarray(class_indices, np.int64)
        self.crops, self.size = list(crops), (int(size[0]), int(size[1]))

    def __len__(self):
        return len(self.crops)

    def select(self, indices):
        """The instances at `indices` (ints or a bool mask), in that order."""
        indices = np.arange(len(self))[indices]
        crops = [self.crops[i] for i in indices]
        return Instances(self.scores[indices], self.class_indices[indices], crops, self.size)

    def mask(self, index):
        """bool [H, W] of one instance."""
        full = np.zeros(self.size, bool)
        top, left, crop = self.crops[index]
        full[top:top + crop.shape[0], left:left + crop.shape[1]] = crop
        return full

    @property
    def masks(self):
        """bool [I, H, W]; memory I * H * W bytes."""
        if len(self) == 0:
            return np.zeros((0, *self.size), bool)
        return np.stack([self.mask(i) for i in range(len(self))])

    @property
    def boxes(self):
        """float32 [I, 4]: tight (x1, y1, x2, y2); zeros for an empty mask.

        x2 and y2 are one past the last pixel.
        """
        boxes = np.zeros((len(self), 4), np.float32)
        for box, (top, left, crop) in zip(boxes, self.crops, strict=True):
            rows, columns = np.flatnonzero(crop.any(1)), np.flatnonzero(crop.any(0))
            if len(rows):
                box[:] = (left + columns[0], top + rows[0],
                          left + columns[-1] + 1, top + rows[-1] + 1)
        return boxes

    def to_rle(self):
        """List of COCO RLEs {"size": [H, W], "counts": str}, as pycocotools reads them."""
        rles = []
        for index in range(len(self)):
            rle = coco_mask.encode(np.asfortranarray(self.mask(index), np.uint8))
            rles.append({"size": list(self.size), "counts": rle["counts"].decode("ascii")})
        return rles
