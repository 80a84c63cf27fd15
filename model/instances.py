"""What was found in one image: scores, classes, and masks cropped to their bounding boxes."""
import copy
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
      class_names    name per class index; () where nobody has said them
      track_ids      int64 [I] in a video, else None
    Masks are kept as the bits of their bounding boxes; the rest is made on demand.

    `len`, iteration, and what a list can do: instances[0] is one Instance; instances[:5],
    instances[instances.scores > 0.5] and instances["dog"] or ["dog", "cat"] are Instances again.
    """

    def __init__(self, scores, class_indices, crops, size, class_names=()):
        """crops: per instance (top, left, bool [h, w]), the mask inside of it; or Packed."""
        self.scores = np.asarray(scores, np.float32)
        self.class_indices = np.asarray(class_indices, np.int64)
        self.size = int(size[0]), int(size[1])
        self.class_names, self.track_ids = tuple(class_names), None
        self.packed = [crop if isinstance(crop, Packed) else pack(*crop) for crop in crops]
        self.boxes = np.zeros((len(self.scores), 4), np.float32)
        for box, (top, left, (height, width), _) in zip(self.boxes, self.packed, strict=True):
            if height:
                box[:] = left, top, left + width, top + height

    def __len__(self) -> int:
        return len(self.scores)

    def __iter__(self):
        return (self.one(index) for index in range(len(self)))

    def __getitem__(self, key):
        """An Instance for an int; Instances for a slice, positions, a bool mask or class names."""
        if isinstance(key, (int, np.integer)):
            return self.one(int(key))
        if isinstance(key, str):
            key = [key]
        if isinstance(key, (list, tuple)) and key and all(isinstance(name, str) for name in key):
            wanted = [self.class_index(name) for name in key]
            key = np.isin(self.class_indices, wanted)
        return self.select(key)

    def one(self, index):
        """The Instance at an index, from the end where it is negative.  IndexError as a list."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"instance {index} of {len(self)}")
        return Instance(self, index % len(self))

    def class_index(self, name: str) -> int:
        """The index of a class name.  KeyError for one that the network does not know."""
        if name not in self.class_names:
            known = ", ".join(self.class_names) or "nothing, as the names are not known"
            raise KeyError(f"no class '{name}': expected {known}")
        return self.class_names.index(name)

    def select(self, indices):
        """The instances at `indices` (ints, a slice or a bool mask), in that order."""
        if not isinstance(indices, slice):
            indices = np.asarray(indices)
            indices = indices.astype(np.int64) if indices.size == 0 else indices
        chosen = copy.copy(self)
        places = np.arange(len(self))[indices]
        chosen.scores, chosen.class_indices = self.scores[places], self.class_indices[places]
        chosen.boxes, chosen.packed = self.boxes[places], [self.packed[i] for i in places]
        if self.track_ids is not None:
            chosen.track_ids = self.track_ids[places]
        return chosen

    def __repr__(self) -> str:
        """One line: Instances(7 in 480 x 640: 5 circle, 2 star)."""
        said = ", ".join(f"{count} {name}" for name, count in self.counts.items())
        height, width = self.size
        return f"{type(self).__name__}({len(self)} in {height} x {width}{said and ': '}{said})"

    def __str__(self) -> str:
        """The line of `repr`, then a table with a line for each instance."""
        names = [name if len(name) <= 24 else f"{name[:23]}…" for name in self.names]
        width = max(map(len, ["class", *names]))
        lines = [repr(self)]
        if names:
            lines.append(f"{'':>4s}  {'class':{width}s}  score {'area':>9s}  box (x1, y1, x2, y2)")
        for number, (name, score, area, box) in enumerate(
                zip(names, self.scores, self.areas, self.boxes, strict=True)):
            corners = ", ".join(f"{corner:.0f}" for corner in box)
            lines.append(f"{number:4d}  {name:{width}s}  {score:.3f} {area:9d}  {corners}")
        return "\n".join(lines)

    @property
    def names(self) -> list:
        """The class name of each instance; "class 3" where the names are not known."""
        return [self.class_names[index] if index < len(self.class_names) else f"class {index}"
                for index in self.class_indices.tolist()]

    @property
    def counts(self) -> dict:
        """{class name: how many}, the most frequent first."""
        names = self.names
        return dict(sorted(((name, names.count(name)) for name in dict.fromkeys(names)),
                           key=lambda entry: -entry[1]))

    @property
    def areas(self) -> np.ndarray:
        """int64 [I]: pixels of each mask."""
        return np.array([np.unpackbits(bits).sum() for *_, bits in self.packed], np.int64)

    @property
    def centroids(self) -> np.ndarray:
        """float32 [I, 2]: (x, y) of each mask's centre of mass, where a pixel's own centre is at
        .5; zeros for an empty mask."""
        centers = np.zeros((len(self), 2), np.float32)
        for index in np.flatnonzero(self.boxes.any(1)):
            top, left, mask = self.box_mask(index)
            rows, columns = np.nonzero(mask)
            centers[index] = left + columns.mean() + 0.5, top + rows.mean() + 0.5
        return centers

    def box_mask(self, index):
        """(top, left, bool [h, w]) of one instance: the mask inside its bounding box."""
        top, left, shape, bits = self.packed[index]
        count = shape[0] * shape[1]
        return top, left, np.unpackbits(bits, count=count).view(bool).reshape(shape)

    def mask(self, index) -> np.ndarray:
        """bool [H, W] of one instance."""
        full = np.zeros(self.size, bool)
        top, left, crop = self.box_mask(index)
        full[top:top + crop.shape[0], left:left + crop.shape[1]] = crop
        return full

    @property
    def masks(self) -> np.ndarray:
        """bool [I, H, W]; memory I * H * W bytes."""
        if len(self) == 0:
            return np.zeros((0, *self.size), bool)
        return np.stack([self.mask(i) for i in range(len(self))])

    def to_rle(self) -> list:
        """List of COCO RLEs {"size": [H, W], "counts": str}, as pycocotools reads them."""
        return [crop_to_rle(*self.box_mask(index), self.size) for index in range(len(self))]


class Instance:
    """One of Instances: name, class_index, score, box [x1, y1, x2, y2], area, centroid (x, y),
    track_id (None outside of a video) and mask, bool [H, W]."""

    def __init__(self, instances, index):
        self.instances, self.index = instances, index
        self.name = instances[index:index + 1].names[0]
        self.class_index = int(instances.class_indices[index])
        self.score = float(instances.scores[index])
        self.box = instances.boxes[index].tolist()
        self.track_id = None if instances.track_ids is None else int(instances.track_ids[index])

    @property
    def mask(self):
        return self.instances.mask(self.index)

    @property
    def area(self):
        return int(self.instances[self.index:self.index + 1].areas[0])

    @property
    def centroid(self):
        return tuple(self.instances[self.index:self.index + 1].centroids[0].tolist())

    def __repr__(self):
        corners = ", ".join(f"{corner:.0f}" for corner in self.box)
        return f"Instance({self.name} {self.score:.3f}, box {corners}, {self.area} pixels)"


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
