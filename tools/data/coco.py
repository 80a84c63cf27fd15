"""A data set in COCO format: images, classes, and per image the masks of its objects.

H, W: size of the image; I: objects; N: images.  `category_id` is the id in the json, which may have
gaps or be a text; `class_index` is 0..C-1.
"""
import json
import logging
from pathlib import Path

import numpy as np

from tools.data.classes import choose_classes
from tools.data.image_files import OTHER_NAME, find_files
from tools.data.images import decode_image, glance, image_size, read_bytes
from tools.data.masks import masks_to_boxes, segmentation_to_mask
from tools.data.orientation import find_orientation, turned
from tools.data.packed import open_coco
from tools.data.segmentations import RLE
from tools.data.selection import (
    NOTHING_USABLE,
    USED,
    class_indices,
    distinct,
    judge,
    name_problems,
    problem_sentences,
    training_images,
)
from tools.data.truth import GroundTruth, measure
from tools.errors import UserError, shown

SIZE_OF_FILE = "images without a size in the json (that of the file is used)"
MISSING = "images that are missing (skipped)"
BROKEN = "images that cannot be used (skipped)"

logger = logging.getLogger(__name__)


class CocoDataset:
    """Images and objects of a COCO json; see the methods for shapes.

    classes_file: one class name per line, in the order of the class indices; without it, the
      order is that of the category ids.  class_names: classes that the data set must have (of
      weights, of the training set), in their order; see `choose_classes`.
    image_dir: folder of the images; None where only annotations and sizes are asked for.
    training: keeps only images with an object and, evenly spread, the share `empty_images` of
      those without any annotation; otherwise every image is kept.  Crowd regions (iscrowd 1) are
      not objects, and an image of which nothing else is usable is no example of an empty one.
    max_broken_images: share of the images that may be missing; they are skipped.  0.0 also forbids
      images that turn out to be broken later, see `note_broken`.
    drop_unused: leave out categories without any annotation.
    problems: {what was skipped or noticed: [names]}.
    num_crowds: crowd regions; num_empty: images without any annotation, used or not; num_objects:
      usable objects.
    Raises UserError for a json that is not COCO, unknown categories and too many missing images.
    """

    def __init__(self, json_path, image_dir, classes_file="", training=True, empty_images=0.0,
                 max_broken_images=0.0, class_names=None, drop_unused=False):
        self.path = str(json_path)
        self.image_dir = None if image_dir is None else Path(image_dir)
        self.max_broken_images, self._truth = max_broken_images, None
        head, self._columns = open_coco(self.path)
        self._odd_ids, self._unlisted = head["odd_ids"], head["unlisted"]
        self.problems = head["problems"]
        if training and not head["has_annotations"]:
            raise UserError(f"annotation file '{self.path}' is not COCO: it has no list "
                            "'annotations'")
        categories = self._columns["category"]         # negative where the json lists none
        self.category_ids, self.class_names = choose_classes(
            head["categories"], distinct(categories[categories >= 0]), self.path, self.problems,
            classes_file, class_names, drop_unused)
        self.num_classes = len(self.category_ids)
        self._class_of = class_indices(head, self._columns, self.category_ids, self.path,
                                       self._name_of)
        if self.image_dir is not None and not self.image_dir.is_dir():
            raise UserError(f"image folder '{self.image_dir}' (of '{self.path}') does not exist")
        names = [name for _, name in
                 json.loads(b"[" + self._columns["info"][:-1].tobytes() + b"]")]
        files = names if self.image_dir is None else find_files(self.image_dir, names)
        self._image_sizes = self._sizes(names, files)
        rows, annotated = self._objects(names)
        images = np.flatnonzero(self._image_sizes[:, 0] > 0)
        self.num_empty = len(images) - len(annotated)
        if training:
            images = self._training_images(images, rows, annotated, names, empty_images)
        self._keep(self._with_files(images, names, files), rows)

    def __len__(self):
        return len(self._images)

    def image_info(self, index):
        """{"image_id", "file_name", "path", "size": (height, width)} of image `index`.

        image_id: exactly that of the json, number or text.
        """
        row = int(self._images[index])
        ends = self._columns["info_end"]
        text = self._columns["info"][ends[row]:ends[row + 1] - 1]
        image_id, name = json.loads(text.tobytes())
        return {"image_id": image_id, "file_name": name,
                "path": str((self.image_dir or Path()) / self._other_names.get(row, name)),
                "size": tuple(self._image_sizes[row].tolist())}

    def load_image(self, index):
        """uint8 [H, W, 3], BGR, of the size that the json gives.

        The json's size tells what its annotator saw: the stored pixels, or, where only that fits,
        the image turned by its EXIF orientation.  Any other size is a UserError.
        """
        if self.image_dir is None:
            raise UserError("no image folder was given")
        return self.decode(index, read_bytes(self.image_info(index)["path"]))

    def decode(self, index, data):
        """`load_image` of the bytes of its file."""
        image = decode_image(data, self.image_info(index)["path"])
        turns = self._turns(index, image.shape[:2], data)
        return turned(image, find_orientation(data)[0]) if turns else image

    def glance(self, index, data):
        """uint8 [h, w], grey values that `glance` of images.py gives; UserError as `decode`."""
        grey, stored_size = glance(data, self.image_info(index)["path"])
        self._turns(index, stored_size, data)
        return grey

    def _turns(self, index, stored_size, data):
        """Whether EXIF turns an image to the size that the json gives; UserError if it has neither.
        """
        info = self.image_info(index)
        if stored_size == info["size"]:
            return False
        if stored_size[::-1] == info["size"] and find_orientation(data)[0] > 4:
            return True
        raise UserError(f"image '{info['path']}' is {stored_size} pixels (height, width), but "
                        f"'{self.path}' says {info['size']}; its annotations do not fit")

    def annotations(self, index):
        """[(annotation id, class index, segmentation)] of the usable objects, without crowds."""
        rows = self._rows[self._first[index]:self._first[index + 1]]
        rows = rows[~self._columns["crowd"][rows]]
        return [(self._name_of(row), int(self._class_of[self._columns["category"][row]]),
                 self._segmentation(row)) for row in rows.tolist()]

    def masks(self, index):
        """bool [I, H, W] of the `annotations`; one may cover no pixel."""
        size = self.image_info(index)["size"]
        found = self.annotations(index)
        masks = np.zeros((len(found), *size), bool)
        for mask, (_, _, segmentation) in zip(masks, found, strict=True):
            mask[:] = segmentation_to_mask(segmentation, size)
        return masks

    def objects(self, index):
        """(masks bool [I, H, W], boxes float32 [I, 4], class_indices int64 [I]) without crowds.

        The boxes are the tight ones of the masks, whatever the json says.  An object that covers
        no pixel is left out.
        """
        masks = self.masks(index)
        visible = masks.any((1, 2))
        classes = [class_index for _, class_index, _ in self.annotations(index)]
        masks = masks[visible]
        return masks, masks_to_boxes(masks), np.array(classes, np.int64)[visible]

    def sample(self, index):
        """The sample dict (see transforms.py) of image `index`, untransformed."""
        info = self.image_info(index)
        image = self.load_image(index)
        masks, boxes, class_indices = self.objects(index)
        return {"image": image, "masks": masks, "boxes": boxes,
                "class_indices": class_indices, "image_id": info["image_id"],
                "file_name": info["file_name"], "original_size": info["size"]}

    def sizes(self):
        """int64 [N, 2], (height, width) of all images."""
        return self._image_sizes[self._images]

    def ground_truth(self):
        """The GroundTruth of all images, which an evaluation compares results to; made once."""
        if self._truth is None:
            columns, rows = self._columns, self._rows
            images = np.repeat(np.arange(len(self)), np.diff(self._first))
            infos = [self.image_info(index) for index in range(len(self))]
            truth = GroundTruth(
                path=self.path, category_ids=self.category_ids, class_names=self.class_names,
                image_ids=[info["image_id"] for info in infos], sizes=self.sizes(), images=images,
                classes=self._class_of[columns["category"][rows]], crowd=columns["crowd"][rows],
                areas=columns["area"][rows], boxes=columns["box"][rows], rles=[])
            self._truth = measure(truth, map(self._segmentation, rows.tolist()), lambda place: (
                f"annotation {self._name_of(int(rows[place]))} of "
                f"{infos[images[place]]['file_name']}"), self.problems)
        return self._truth

    def note_broken(self, file_name, message):
        """Count and name, once, an image that cannot be read; UserError where none may be."""
        names = self.problems.setdefault(BROKEN, [])
        if file_name in names:
            return
        if self.max_broken_images == 0:
            raise UserError(message)
        names.append(file_name)
        logger.warning("%s; skipped (broken images so far: %d)", message, len(names))

    def _sizes(self, names, files):
        """int64 [N, 2]: the json's sizes, else those of the files; (0, 0) where there is none."""
        sizes = self._columns["size"]
        unknown = np.flatnonzero(sizes[:, 0] == 0).tolist()
        if unknown:
            sizes = sizes.copy()
        for row in unknown:
            path, name = (self.image_dir or Path()) / (files[row] or names[row]), names[row]
            size = image_size(path)
            if size is None:
                self.note_broken(name, f"image '{shown(str(path), 300)}' has no size in "
                                 f"'{self.path}', and its file none that can be read")
                continue
            self.problems.setdefault(SIZE_OF_FILE, []).append(name)
            sizes[row] = size
        return sizes

    def _objects(self, names):
        """(rows of the usable annotations, crowds too; rows of the images with any annotation)."""
        columns = self._columns
        problem, own = judge(columns, self._class_of, self._image_sizes)

        def name_of(row, place):
            image = int(columns["image"][row])
            where = names[image] if image >= 0 else f"image {shown(self._unlisted[-1 - image])}"
            return f"annotation {self._name_of(row)} of {where}"

        name_problems(problem, own, columns, self._image_sizes, name_of, self.problems)
        self.num_crowds = int(np.sum(columns["crowd"] & own))
        rows = np.flatnonzero(own & np.isin(problem, USED))
        self.num_objects = int(np.sum(~columns["crowd"][rows]))
        return rows, distinct(columns["image"][own])

    def _training_images(self, listed, rows, annotated, names, empty_images):
        """The rows of the images that train; UserError if there are none."""
        with_objects = distinct(self._columns["image"][rows[~self._columns["crowd"][rows]]])
        used, unusable = training_images(listed, with_objects, annotated, empty_images)
        if len(unusable):
            self.problems[NOTHING_USABLE] = [names[row] for row in unusable.tolist()]
        if not len(used):
            raise UserError(f"'{self.path}' has no image to use, no object to learn from: "
                            f"{len(listed)} images are listed, {self.num_objects} usable objects"
                            + "".join(f"; {line}" for line in problem_sentences(self.problems)))
        return used

    def _with_files(self, images, names, files):
        """Missing images are found now, not hours into a run; UserError if they are too many."""
        others = [row for row in images.tolist() if files[row] is not names[row]]
        missing = [row for row in others if files[row] is None]
        if len(missing) > self.max_broken_images * len(images):
            first = shown(str(self.image_dir / names[missing[0]]), 300)
            raise UserError(f"{len(missing)} of {len(images)} images of '{self.path}' are missing, "
                            f"the first is '{first}'; the share {self.max_broken_images:g} may be "
                            "(setting max_broken_images)")
        self._other_names = {row: files[row] for row in others
                             if files[row] not in (None, names[row])}
        if self._other_names:
            self.problems[OTHER_NAME] = [names[row] for row in self._other_names]
        if missing:
            self.problems[MISSING] = [names[row] for row in missing]
        return np.setdiff1d(images, missing, assume_unique=True).astype(np.int64)

    def _keep(self, images, rows):
        """Arrays alone, because forked readers would copy every Python object that they touch."""
        columns = self._columns
        self._images = images
        position = np.full(len(columns["size"]) + 1, -1)
        position[images] = np.arange(len(images))
        owner = position[columns["image"][rows]]
        order = np.argsort(owner, kind="stable")[np.sum(owner < 0):]
        self._rows = rows[order].astype(np.int32)
        self._first = np.searchsorted(owner[order], np.arange(len(images) + 1))

    def _name_of(self, row):
        """The id of an annotation, as the json has it."""
        return self._odd_ids.get(str(row)) if str(row) in self._odd_ids \
            else int(self._columns["own_id"][row])

    def _segmentation(self, row):
        """The segmentation of a usable annotation: flat lists of numbers, or a compressed RLE."""
        columns = self._columns
        if columns["kind"][row] == RLE:
            first, last = columns["code_end"][row:row + 2]
            counts = columns["codes"][first:last].tobytes()
            return {"size": columns["code_size"][row].tolist(), "counts": counts.decode("ascii")}
        first, last = columns["part_end"][row:row + 2]
        ends = columns["number_end"][first:last + 1].tolist()
        return [columns["coordinates"][start:end].tolist()
                for start, end in zip(ends[:-1], ends[1:], strict=True)]
