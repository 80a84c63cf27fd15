"""A data set in COCO format: images, classes, and per image the masks of its objects.

H, W: size of the image; I: objects.  `category_id` is the number in the json, which may have gaps;
`class_index` is 0..C-1.
"""
import logging
import os
import pickle
from pathlib import Path

import numpy as np

from tools.data.coco_json import read_classes, read_coco_json, whole_number
from tools.data.images import image_size, read_image
from tools.data.masks import masks_to_boxes, segmentation_to_mask
from tools.data.segmentations import usable_segmentation
from tools.errors import UserError

UNLISTED_IMAGE = "annotations of images that are not listed (skipped)"
UNLISTED_CLASS = "annotations of classes that are not in the classes file (left out)"
NOTHING_USABLE = "images whose annotations are all crowds or unusable (skipped)"
SIZE_OF_FILE = "images without a size in the json (that of the file is used)"
MISSING = "images that are missing (skipped)"
BROKEN = "images that cannot be used (skipped)"

NAMES_SHOWN = 3                 # per problem, in a summary

logger = logging.getLogger(__name__)


class CocoDataset:
    """Images and objects of a COCO json; see the methods for shapes.

    classes_file: one class name per line, in the order of the class indices; without it, the
      order is that of the category ids.
    training: keeps only images with an object and, evenly spread, the share `empty_images` of
      those without any annotation; otherwise every image is kept.  Crowd regions (iscrowd 1) are
      not objects, and an image of which nothing else is usable is no example of an empty one.
    max_broken_images: share of the images that may be missing; they are skipped.  0.0 also forbids
      images that turn out to be broken later, see `note_broken`.
    problems: {what was skipped or noticed: [names]}.
    num_crowds: crowd regions; num_empty: images without any annotation, used or not.
    Raises UserError for a json that is not COCO, unknown categories and too many missing images.
    """

    def __init__(self, json_path, image_dir, classes_file="", training=True, empty_images=0.0,
                 max_broken_images=0.0):
        self.path, self.image_dir = str(json_path), Path(image_dir)
        self.max_broken_images = max_broken_images
        self.problems, self.num_crowds, self.num_empty = {}, 0, 0
        content = read_coco_json(self.path, annotated=training, problems=self.problems)
        self.category_ids, self.class_names = read_classes(content, self.path, classes_file)
        self.num_classes = len(self.category_ids)
        if not self.image_dir.is_dir():
            raise UserError(f"image folder '{self.image_dir}' (of '{self.path}') does not exist")
        self._infos = self._with_sizes(content["images"])
        objects, annotated = self._objects_by_image(content)
        self.num_empty = len(self._infos) - len(annotated)
        if training:
            self._keep_training_images(objects, annotated, empty_images)
        self._drop_missing_files()
        # Packed, because forked readers would copy every Python object that they touch.
        self._objects = [pickle.dumps(objects[info["id"]]) for info in self._infos]

    def __len__(self):
        return len(self._infos)

    def image_info(self, index):
        """{"image_id", "file_name", "path", "size": (height, width)} of image `index`."""
        info = self._infos[index]
        return {"image_id": info["id"], "file_name": info["file_name"],
                "path": str(self.image_dir / info["file_name"]),
                "size": (info["height"], info["width"])}

    def load_image(self, index):
        """uint8 [H, W, 3], BGR, of the size that the json gives.

        The json's size tells what its annotator saw: the stored pixels, or, where only that fits,
        the image turned by its EXIF orientation.  Any other size is a UserError.
        """
        info = self.image_info(index)
        image = read_image(info["path"])
        stored_size = image.shape[:2]
        if stored_size != info["size"] and stored_size[::-1] == info["size"]:
            image = read_image(info["path"], apply_exif=True)
        if image.shape[:2] != info["size"]:
            raise UserError(f"image '{info['path']}' is {stored_size} pixels (height, width), but "
                            f"'{self.path}' says {info['size']}; its annotations do not fit")
        return image

    def annotations(self, index):
        """[(annotation id, class index, segmentation)] of the usable objects, without crowds."""
        return pickle.loads(self._objects[index])

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

    def note_broken(self, file_name, message):
        """Count and name, once, an image that cannot be read; UserError where none may be."""
        names = self.problems.setdefault(BROKEN, [])
        if file_name in names:
            return
        if self.max_broken_images == 0:
            raise UserError(message)
        names.append(file_name)
        logger.warning("%s; skipped (broken images so far: %d)", message, len(names))

    def _with_sizes(self, images):
        """The image entries with whole numbers as "height" and "width", else those of the file."""
        known = []
        for image in images:
            size = [whole_number(image.get(key)) for key in ("height", "width")]
            if None in size or min(size) < 1:
                path, name = self.image_dir / image["file_name"], image["file_name"]
                size = image_size(path)
                if size is None:
                    self.note_broken(name, f"image '{path}' has no size in '{self.path}', and its "
                                     "file none that can be read")
                    continue
                self.problems.setdefault(SIZE_OF_FILE, []).append(name)
            known.append({**image, "height": size[0], "width": size[1]})
        return known

    def _objects_by_image(self, content):
        """({image id: [see `annotations`]}, ids of the images with any annotation of a class)."""
        infos = {info["id"]: info for info in self._infos}
        objects, annotated = {key: [] for key in infos}, set()
        class_index = {number: index for index, number in enumerate(self.category_ids)}
        known = {category["id"] for category in content["categories"]}
        for annotation in content["annotations"]:
            category, info = annotation["category_id"], infos.get(annotation["image_id"])
            if category not in known:
                raise UserError(f"'{self.path}': annotation {annotation['id']} has category "
                                f"{category}, which is not among the categories {sorted(known)}")
            segmentation, reason = None, None
            if info is None:
                reason = UNLISTED_IMAGE
            elif category not in class_index:
                reason = UNLISTED_CLASS
            else:
                annotated.add(info["id"])
                self.num_crowds += annotation["iscrowd"]
                if not annotation["iscrowd"]:
                    segmentation, reason = usable_segmentation(annotation,
                                                               (info["height"], info["width"]))
            if reason:
                place = info["file_name"] if info else f"image {annotation['image_id']}"
                name = f"annotation {annotation['id']} of {place}"
                self.problems.setdefault(reason, []).append(name)
            if segmentation:
                objects[info["id"]].append((annotation["id"], class_index[category], segmentation))
        return objects, annotated

    def _keep_training_images(self, objects, annotated, empty_images):
        """Leave out what `training` says; UserError if nothing is left to train on."""
        unusable = {key for key in annotated if not objects[key]}
        empty = [info["id"] for info in self._infos if info["id"] not in annotated]
        left_out = unusable | set(empty) - set(spread(empty, empty_images))
        if unusable:
            self.problems[NOTHING_USABLE] = [info["file_name"] for info in self._infos
                                             if info["id"] in unusable]
        kept = [info for info in self._infos if info["id"] not in left_out]
        if not kept:
            raise UserError(f"'{self.path}' has no image to use: {len(self._infos)} images are "
                            f"listed, {sum(map(len, objects.values()))} usable objects"
                            + "".join(f"; {line}" for line in summaries(self.problems)))
        self._infos = kept

    def _drop_missing_files(self):
        """Missing images are found now, not hours into a run; UserError if they are too many."""
        present = set(os.listdir(self.image_dir))
        missing = [info["file_name"] for info in self._infos if info["file_name"] not in present
                   and not (self.image_dir / info["file_name"]).is_file()]
        if len(missing) > self.max_broken_images * len(self):
            raise UserError(f"{len(missing)} of {len(self)} images of '{self.path}' are missing, "
                            f"the first is '{self.image_dir / missing[0]}'; the share "
                            f"{self.max_broken_images:g} may be (setting max_broken_images)")
        if missing:
            self.problems[MISSING], gone = missing, set(missing)
            self._infos = [info for info in self._infos if info["file_name"] not in gone]


def spread(items, share):
    """The share (0..1) of a list, evenly spread over it: of 5 items and 0.4 the 3rd and the 5th."""
    return [item for number, item in enumerate(items)
            if int((number + 1) * share + 1e-9) > int(number * share + 1e-9)]


def summaries(problems, separator=", "):
    """A text per problem: how many, what, and the first names."""
    return [f"{len(names)} {reason}: "
            + separator.join([*names[:NAMES_SHOWN], *["..."] * (len(names) > NAMES_SHOWN)])
            for reason, names in problems.items()]
