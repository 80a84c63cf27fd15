"""A data set in COCO format: images, classes, and per image the masks of its objects.

H, W: size of the image; I: objects.  `category_id` is the number in the json, which may have gaps;
`class_index` is 0..C-1.
"""
import json
import logging
import os
import pickle
from collections import Counter
from pathlib import Path

import numpy as np
from pycocotools import mask as coco_mask

from tools.data.images import read_image
from tools.data.masks import masks_to_boxes, segmentation_to_mask
from tools.errors import UserError

NO_SEGMENTATION = "objects without a segmentation (skipped)"
DEGENERATE = "objects of zero area or with fewer than 3 points (skipped)"
WRONG_RLE = "objects whose RLE is not of the size of their image (skipped)"
OUTSIDE = "objects outside their image (skipped)"
CLIPPED = "objects that reach beyond their image (clipped)"
UNLISTED_IMAGE = "annotations of images that are not listed (skipped)"
UNLISTED_CLASS = "annotations of classes that the classes file leaves out (skipped)"
BORDER = 1.0                    # pixels that coordinates may lie outside without being counted

logger = logging.getLogger(__name__)


class CocoDataset:
    """Images and objects of a COCO json; see the methods for shapes.

    `classes_file`: one class name per line, in the order of the class indices; without it, the
    order is that of the category ids.  `training` keeps only images that have an object, unless
    `use_empty_images`; otherwise every image is kept.  Crowd regions (iscrowd 1) are not objects.
    `problems`: {what was skipped or clipped: count}, also logged once as a warning.
    Raises UserError for missing files, for a json that is not COCO and for unknown categories.
    """

    def __init__(self, json_path, image_dir, classes_file="", use_empty_images=False,
                 training=True):
        self.path = str(json_path)
        self.image_dir = Path(image_dir)
        self.problems = Counter()
        content = read_coco_json(self.path, annotated=training)
        self.category_ids, self.class_names = read_classes(content, self.path, classes_file)
        self.num_classes = len(self.category_ids)
        infos = {info["id"]: info for info in content["images"]}
        objects = self._objects_by_image(content, infos)
        keep = [key for key in infos if objects[key] or use_empty_images or not training]
        if not keep:
            raise UserError(f"'{self.path}' has no image to use: {len(infos)} images are listed, "
                            f"{sum(map(len, objects.values()))} usable objects")
        self._infos = [infos[key] for key in keep]
        # Packed, because forked readers would copy every Python object that they touch.
        self._objects = [pickle.dumps(objects[key]) for key in keep]
        self._check_files()
        if self.problems:
            counts = "; ".join(f"{count} {reason}" for reason, count in self.problems.items())
            logger.warning("%s: %s", self.path, counts)

    def __len__(self):
        return len(self._infos)

    def image_info(self, index):
        """{"image_id", "file_name", "path", "size": (height, width)} of image `index`."""
        info = self._infos[index]
        return {"image_id": info["id"], "file_name": info["file_name"],
                "path": str(self.image_dir / info["file_name"]),
                "size": (int(info["height"]), int(info["width"]))}

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

    def objects(self, index):
        """(masks bool [I, H, W], boxes float32 [I, 4], class_indices int64 [I]) without crowds.

        The boxes are the tight ones of the masks, whatever the json says.
        """
        size = self.image_info(index)["size"]
        found = pickle.loads(self._objects[index])
        masks = np.zeros((len(found), *size), bool)
        for mask, (annotation_id, _, segmentation) in zip(masks, found, strict=True):
            try:
                mask[:] = segmentation_to_mask(segmentation, size)
            except (ValueError, TypeError) as error:
                raise UserError(f"annotation {annotation_id} of '{self.path}' cannot be decoded: "
                                f"{error}") from None
        visible = masks.any((1, 2))
        classes = np.array([class_index for _, class_index, _ in found], np.int64)
        masks = masks[visible]
        return masks, masks_to_boxes(masks), classes[visible]

    def _objects_by_image(self, content, infos):
        """{image id: [(annotation id, class index, segmentation)]} of all usable objects."""
        objects = {key: [] for key in infos}
        class_index = {number: index for index, number in enumerate(self.category_ids)}
        known = {category["id"] for category in content["categories"]}
        for annotation in content["annotations"]:
            category, image_id = annotation["category_id"], annotation["image_id"]
            if category not in known:
                raise UserError(f"'{self.path}': annotation {annotation.get('id')} has category "
                                f"{category}, which is not among the categories {sorted(known)}")
            if image_id not in infos:
                self.problems[UNLISTED_IMAGE] += 1
            elif category not in class_index:
                self.problems[UNLISTED_CLASS] += 1
            elif not annotation.get("iscrowd", 0):
                size = infos[image_id]["height"], infos[image_id]["width"]
                segmentation, reason = usable_segmentation(annotation, size)
                if reason:
                    self.problems[reason] += 1
                if segmentation:
                    objects[image_id].append((annotation.get("id"), class_index[category],
                                              segmentation))
        return objects

    def _check_files(self):
        """Raises UserError for a missing folder or missing images: now, not hours into a run."""
        if not self.image_dir.is_dir():
            raise UserError(f"image folder '{self.image_dir}' (of '{self.path}') does not exist")
        present = set(os.listdir(self.image_dir))
        missing = [info["file_name"] for info in self._infos if info["file_name"] not in present
                   and not (self.image_dir / info["file_name"]).is_file()]
        if missing:
            raise UserError(f"{len(missing)} of {len(self)} images of '{self.path}' are missing; "
                            f"the first is '{self.image_dir / missing[0]}'")


def read_coco_json(path, annotated=True):
    """The parsed json with the keys that the reader needs checked; UserError otherwise.

    `annotated`: False allows "annotations" to be absent, as in the json of a test set.
    """
    try:
        content = json.loads(Path(path).read_bytes())
    except FileNotFoundError:
        raise UserError(f"annotation file '{path}' does not exist") from None
    except OSError as error:
        raise UserError(f"annotation file '{path}' cannot be read: {error.strerror}") from None
    except ValueError as error:                        # not json, or not even text
        raise UserError(f"annotation file '{path}' is not json: {error}") from None
    if not isinstance(content, dict):
        raise UserError(f"annotation file '{path}' is not COCO: expected an object with images, "
                        f"annotations and categories, got a {type(content).__name__}")
    if not annotated:
        content.setdefault("annotations", [])
    needed = {"images": ("id", "file_name", "height", "width"), "categories": ("id", "name"),
              "annotations": ("image_id", "category_id")}
    for section, keys in needed.items():
        check_section(content, section, keys, path)
    for image in content["images"]:
        for key in ("height", "width"):
            if not isinstance(image[key], (int, float)) or image[key] < 1:
                raise UserError(f"annotation file '{path}': image {image['id']} has {key} "
                                f"{image[key]!r}, expected pixels")
    return content


def check_section(content, section, keys, path):
    """UserError unless content[section] is a list of dicts that have `keys` and unique ids."""
    entries = content.get(section)
    if not isinstance(entries, list):
        raise UserError(f"annotation file '{path}' is not COCO: it has no list '{section}'")
    for number, entry in enumerate(entries):
        missing = [key for key in keys if not isinstance(entry, dict) or key not in entry]
        if missing:
            raise UserError(f"annotation file '{path}': entry {number} of '{section}' has no "
                            f"'{missing[0]}'")
    if "id" in keys:
        for number, count in Counter(entry["id"] for entry in entries).most_common(1):
            if count > 1:
                raise UserError(f"annotation file '{path}' lists id {number} {count} times in "
                                f"'{section}'; ids must be unique")


def read_classes(content, path, classes_file=""):
    """(category ids, class names), both by class index: in the order of the file or of the ids."""
    names = {category["id"]: str(category["name"]) for category in content["categories"]}
    if not names:
        raise UserError(f"annotation file '{path}' lists no categories")
    if not classes_file:
        ids = tuple(sorted(names))
        return ids, tuple(names[number] for number in ids)
    try:
        lines = Path(classes_file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"classes file '{classes_file}' cannot be read: {error}") from None
    wanted = tuple(line.strip() for line in lines if line.strip())
    ids = {name: number for number, name in names.items()}
    unknown = [name for name in wanted if name not in ids]
    if unknown or len(set(wanted)) < len(wanted) or not wanted:
        raise UserError(f"classes file '{classes_file}' must list names of '{path}', each once: "
                        f"{sorted(ids)}; got {list(wanted)}")
    return tuple(ids[name] for name in wanted), wanted


def usable_segmentation(annotation, size):
    """(segmentation without degenerate polygons or None, what is wrong with it or None).

    A segmentation that only reaches beyond the image is both usable and counted.
    """
    segmentation = annotation.get("segmentation")
    if not segmentation:
        return None, NO_SEGMENTATION
    if isinstance(segmentation, dict):
        reason = rle_problem(segmentation, size)
    else:
        segmentation = [polygon for polygon in segmentation if polygon_area(polygon) > 0]
        reason = polygon_problem(segmentation, size)
    if reason is None and reaches_outside(annotation.get("bbox"), size):
        reason = CLIPPED
    return (segmentation if reason in (None, CLIPPED) else None), reason


def polygon_area(polygon):
    """Area in pixels of a flat [x0, y0, x1, y1, ...]; 0 for anything that is not a polygon."""
    try:
        points = np.asarray(polygon, np.float64).reshape(-1, 2)
    except (ValueError, TypeError):                    # an odd count, text, nested lists
        return 0.0
    if len(points) < 3 or not np.isfinite(points).all():
        return 0.0
    x, y = points.T
    return abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2


def polygon_problem(polygons, size):
    """Why polygons cannot be used as they are (a reason of this file), or None."""
    if not polygons:
        return DEGENERATE
    points = np.concatenate([np.reshape(polygon, (-1, 2)) for polygon in polygons]).astype(float)
    (x1, y1), (x2, y2) = points.min(0), points.max(0)
    if x2 <= 0 or y2 <= 0 or x1 >= size[1] or y1 >= size[0]:
        return OUTSIDE
    return CLIPPED if reaches_outside((x1, y1, x2 - x1, y2 - y1), size) else None


def rle_problem(rle, size):
    """Why an RLE cannot be used (a reason of this file), or None."""
    counts = rle.get("counts")
    if not counts or not isinstance(counts, (list, str, bytes)):
        return NO_SEGMENTATION
    if list(rle.get("size", ())) != list(size):
        return WRONG_RLE
    if not isinstance(counts, list):
        return None if coco_mask.area(rle) > 0 else DEGENERATE
    if sum(counts) != size[0] * size[1]:
        return WRONG_RLE
    return None if sum(counts[1::2]) > 0 else DEGENERATE


def reaches_outside(box, size):
    """Whether a json box (x, y, width, height) leaves the image by more than a pixel."""
    if not box or len(box) != 4:                       # of no use, and not used
        return False
    x, y, width, height = box
    return bool(x < -BORDER or y < -BORDER
                or x + width > size[1] + BORDER or y + height > size[0] + BORDER)
