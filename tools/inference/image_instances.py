"""Instances together with their image: what a person wants to do with them.

`Instances` itself lies in model/, which imports nothing of ours.  Drawing, polygons and file
formats are tools, so they come with this subclass, which is what a Predictor returns.
"""
import copy
import os
from pathlib import Path

import numpy as np

from model.instances import Instances
from tools.data.images import read_image
from tools.data.masks import mask_to_polygons
from tools.errors import UserError
from tools.files import write_json, write_text
from tools.inference.visualize import draw
from tools.inference.writers import coco, labelme, yolo
from tools.inference.writers.image_file import encode_image, write_image


class ImageInstances(Instances):
    """`Instances` (see there) of one image, with the image and the names of the classes.

      source  the file or address that the image came from; "" for pixels
      image   uint8 [H, W, 3] BGR; pixels of a file are not kept but read again when they are needed
    `tolerance` of polygons: pixels by which they may deviate to have fewer corners, by default the
    config's `polygon_tolerance`; 0.0: exact.
    """

    @classmethod
    def of(cls, instances, class_names, image=None, source="", draw_threshold=0.0, tolerance=0.0):
        """`instances` as ImageInstances; without `image` the file `source` is read for it."""
        self = cls.__new__(cls)
        self.__dict__.update(copy.copy(instances).__dict__)
        self.class_names, self.source = tuple(class_names), str(source)
        self.pixels, self.draw_threshold, self.tolerance = image, draw_threshold, tolerance
        return self

    def __str__(self) -> str:
        """As of Instances, with a line before those that `plot` leaves out."""
        lines = super().__str__().splitlines()
        drawn = int((self.scores >= self.draw_threshold).sum())
        if drawn < len(self):
            lines.insert(2 + drawn, f"      below {self.draw_threshold:g}, not drawn by plot():")
        return "\n".join(lines)

    @property
    def image(self) -> np.ndarray:
        return read_image(self.source, apply_exif=True) if self.pixels is None else self.pixels

    def plot(self, score_threshold=None, color="instance", channels="bgr") -> np.ndarray:
        """uint8 [H, W, 3]: the image with the instances drawn, BGR or with channels="rgb" RGB.

        score_threshold: the lowest score that is drawn, by default the config's `draw_threshold`.
        color: "instance", "class" (with a legend) or "track".
        """
        threshold = self.draw_threshold if score_threshold is None else score_threshold
        drawn = draw(self.image, self, self.class_names, threshold, color)
        return drawn if channels == "bgr" else np.ascontiguousarray(drawn[..., ::-1])

    def save(self, path="", **options) -> Path:
        """Write a file of the kind that its suffix says, whole or not at all, and return its path.

        .json: what `to_dict` returns; .txt: YOLO-seg; else an image as `plot` draws it, which also
        takes the `options`.  Default: segmented_<name of the source> in the current folder.
        """
        path = Path(path or f"segmented_{Path(self.source).stem or 'image'}.jpg")
        if self.source and os.path.realpath(path) == os.path.realpath(self.source):
            raise UserError(f"'{path}' is the image itself: choose another name for the result")
        if path.suffix.lower() == ".json":
            write_json(path, self.to_dict())
        elif path.suffix.lower() == ".txt":
            write_text(path, self.to_yolo())
        else:
            write_image(path, self.plot(**options))
        return path

    def _repr_png_(self):
        """The picture that a notebook shows."""
        return encode_image(self.plot(), ".png")

    def crop(self, transparent=False) -> list:
        """The image inside each bounding box: uint8 [h, w, 3] BGR, or [h, w, 4] BGRA where what is
        not of the instance is transparent.  Nothing, [0, 0, ...], for an empty mask."""
        image, pieces = self.image, []
        for index in range(len(self)):
            top, left, mask = self.box_mask(index)
            piece = image[top:top + mask.shape[0], left:left + mask.shape[1]].copy()
            pieces.append(np.dstack([piece, mask * np.uint8(255)]) if transparent else piece)
        return pieces

    def polygons(self, tolerance=None) -> list:
        """Per instance a list of outlines, int [P, 2] of (x, y); several where it has parts."""
        tolerance = self.tolerance if tolerance is None else tolerance
        outlines = []
        for index in range(len(self)):
            top, left, mask = self.box_mask(index)
            outlines.append([ring + (left, top) for ring in mask_to_polygons(mask, tolerance)])
        return outlines

    def to_dict(self) -> dict:
        """What a json holds: image, height, width, instances (class, score, box, area, rle)."""
        return {"image": self.source, "height": self.size[0], "width": self.size[1],
                "instances": list(self.rows())}

    def rows(self):
        """A dict for each instance, as in `to_dict`."""
        columns = zip(self.names, self.class_indices.tolist(), self.scores.tolist(),
                      self.boxes.tolist(), self.areas.tolist(), self.to_rle(), strict=True)
        for number, (name, class_index, score, box, area, rle) in enumerate(columns):
            row = {"class": name, "class_index": class_index, "score": round(score, 6), "box": box,
                   "area": area, "segmentation": rle}
            if self.track_ids is not None:
                row["track_id"] = int(self.track_ids[number])
            yield row

    def to_coco(self, image_id=1, category_ids=None) -> list:
        """COCO results; category_ids: class index -> category_id, by default counted from 1."""
        category_ids = category_ids or range(1, len(self.class_names) + 1)
        return coco.coco_results(self, image_id, category_ids)

    def to_labelme(self, folder=".", tolerance=None) -> dict:
        """The content of a labelme file that will lie in `folder`."""
        return labelme.labelme_content(self, folder, tolerance)

    def to_yolo(self, tolerance=None) -> str:
        """A line for each instance: class index, then x and y of its outline in parts of 1."""
        return yolo.yolo_lines(self, tolerance)

    def to_supervision(self):
        """`supervision.Detections`, if that package is installed."""
        import supervision

        return supervision.Detections(
            xyxy=self.boxes.copy(), mask=self.masks, confidence=self.scores.copy(),
            class_id=self.class_indices.copy(), tracker_id=self.track_ids,
            data={"class_name": np.array(self.names, dtype=object).astype(str)})
