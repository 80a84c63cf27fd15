"""Masks as pictures: one file per object, or one value (or colour) per object.

Masks lie in a folder whose name says so (masks, PedMasks, photo.jpg.masks), or their own name does
(photo_mask.png).  One belongs to the image whose name it has or starts with, else to that which a
folder above it is named after, else to the only image beside its folder, else to the image of the
same number or words (mask_7.png, img_7.jpg).  The class is the folder that is named neither after
masks nor after an image, or the word in the file's name ("001_cat.png"), or "object"; Roboflow's
_classes.csv names the values of class maps.
"""
import csv
import os
import re
from collections import defaultdict

import cv2
import numpy as np

from tools.data.images import image_size
from tools.data.importing.bitmaps import png_pages, values_in
from tools.data.importing.collection import DAMAGED, DAMAGED_FILE, text_label
from tools.data.importing.source import SPLIT_WORD, split_of
from tools.data.importing.tables import table_rows
from tools.errors import shown

NAME = "masks"
SUFFIXES = (".png", ".bmp", ".tif", ".tiff", ".gif", ".jpg", ".jpeg")
FOLDER = re.compile(r"(?i)(mask|^(annotations?|labels?|instances?|seg(mentation)?s?|"
                    r"ground_?truths?|gt)(?![a-z]))")
MASK_WORD = re.compile(r"(?i)(?<![a-z])(masks?|seg(mentation)?|labels?|instances?|inst|objects?|"
                       r"obj|gt|ids)(?![a-z])")
IMAGE_WORD = re.compile(r"(?i)images?|imgs?|im|photos?|pictures?|pics?|rgb|sat|orig(inal)?")
MASK_ENDING = re.compile(r"(?i)[_.-](masks?|seg|labels?|instances?|instanceids)(?=[_.-]?\d*$)")
HASH = re.compile(r"^[0-9a-f]{16,}$")
DEFAULT_CLASS = "object"
VOID = (255, 65535)                # in 8 and in 16 bits
SOFT_EDGE = 127                    # what is brighter belongs to an object with soft edges
NO_OWNER = "masks that belong to no image"
SOFT = "masks with soft edges (what is brighter than half is the object)"
BORDERS = "masks with a thin border of the highest value between objects (belongs to none)"
PIECES = "masks of one value in several separate pieces (one object each)"
LOSSY = "masks of several objects as JPEG, which changes their values"
PHOTOS = "pictures among the masks with as many values as a photograph"
MOST_VALUES, FEW_VALUES, SMALLEST_MEAN = 10_000, 200, 8            # pixels per value
PAGES = "masks of several pages (each with objects of its own)"
CLASS_MAPS = "masks whose values are classes (all of a class in an image is one object)"
BORDER_WIDTH = 9                   # pixels; VOC's are 5 wide


def recognise(source):
    names, masks = images_and_masks(source)
    images = Images(names)
    for name in masks:
        if owner := images.owner(name):
            return f"mask pictures, such as {name} for {owner[0]}"
    return None


def is_mask(name, top):
    """Whether a picture is a mask by the name of a folder below the `top` ones, or its own."""
    *folders, file = name.split("/")[top:]
    return any(map(FOLDER.search, folders)) or bool(
        MASK_ENDING.search(file.rpartition(".")[0]))


def shared_folders(source):
    """How many folders lie above all pictures: their names tell none apart (my_masks/images)."""
    if source.image_root != source.root:
        return 0
    return len(os.path.commonprefix([name.split("/")[:-1] for name in source.images]))


def images_and_masks(source):
    """(names of the images that are no masks, names of the masks).

    Where the images lie elsewhere, and no name says "mask", all other pictures are masks.
    """
    top, pictures = shared_folders(source), source.ending(*SUFFIXES)
    images = [name for name in source.images if not is_mask(name, top)]
    masks = [name for name in pictures if is_mask(name, top)]
    if not masks and source.image_root != source.root:
        real_images = {os.path.realpath(source.images[name]) for name in images}
        masks = [name for name in pictures
                 if os.path.realpath(source.files[name]) not in real_images]
    return images, masks


class Images:
    """Names of images, found by the names of masks."""

    def __init__(self, names):
        self.by_stem, self.by_folder = defaultdict(list), defaultdict(list)
        self.by_words = defaultdict(list)
        for name in names:
            folder, _, file = name.rpartition("/")
            stem = file.rpartition(".")[0].lower()
            self.by_stem[stem].append(name)
            self.by_stem[file.lower()].append(name)
            self.by_words[words_of(stem)].append(name)
            self.by_folder[folder].append(name)

    def owner(self, mask):
        """(image, rest of the mask's own name, folders that may name the class), or None."""
        *folders, file = mask.split("/")
        stem = file.rpartition(".")[0]
        for end in word_ends(stem):
            if image := self.nearest(stem[:end], mask):
                return image, stem[end:], own_folders(folders, image)
        for depth in range(len(folders) - 1, -1, -1):
            name = re.sub(r"(?i)\.masks$", "", folders[depth])
            if image := self.nearest(name, mask):
                return image, stem, folders[depth + 1:]
        for depth in range(len(folders) - 1, -1, -1):
            beside = [name for folder, names in self.by_folder.items() for name in names
                      if folder.split("/")[:depth] == folders[:depth]] if depth else []
            if len(beside) == 1:
                return beside[0], stem, folders[depth:]
        words = words_of(stem.lower())
        for end in word_ends(words):
            if words[:end] and len(found := self.by_words.get(words[:end], [])) == 1:
                return found[0], words[end:], own_folders(folders, found[0])
        return None

    def nearest(self, stem, mask):
        """The image of this name whose folders have most in common with those of a mask."""
        found = self.by_stem.get(stem.lower(), [])
        return max(found, key=lambda name: common_head(name, mask), default=None) if stem else None


def word_ends(stem):
    """Where a name may end that others start with: after it all, before its last word, ..."""
    return [len(stem), *(found.start() for found in reversed(list(re.finditer(r"[_\-. ]", stem))))]


def words_of(stem):
    """The words and numbers of a name but for those that say "mask" or "image": 007, a_3."""
    words = re.findall(r"[^\W\d_]+|\d+", stem)
    return "_".join(word for word in words
                    if not MASK_WORD.fullmatch(word) and not IMAGE_WORD.fullmatch(word))


def own_folders(folders, image):
    """The folders of a mask that may name its class: not those of its image or above the masks."""
    folders = folders[common_head("/".join(folders), image.rpartition("/")[0]):]
    kinds = [position for position, name in enumerate(folders) if FOLDER.search(name)]
    stem = image.rpartition("/")[2].rpartition(".")[0].lower()
    return [name for name in folders[kinds[0] if kinds else 0:] if name.lower() != stem]


def common_head(name, other):
    count = 0
    for one, two in zip(name.split("/"), other.split("/"), strict=False):
        if one != two:
            break
        count += 1
    return count


def read(source, collection):
    names, masks = images_and_masks(source)
    images, by_image = Images(names), defaultdict(list)
    collection.mention(set(source.images).difference(names))               # the masks
    classes = class_maps(source, collection)
    for name in masks:
        owner = images.owner(name)
        if owner is None:
            collection.leave_out(NO_OWNER, name)
            continue
        image, rest, folders = owner
        by_image[image].append((name, class_name(rest, folders)))
    for image in names:
        own = [name for name, _ in by_image[image]]
        picture = collection.add_file(image, turned_size(image, own, source), split_of(image))
        for name, label in by_image[image] if picture else []:
            read_file(name, label, classes.get(name.rpartition("/")[0]), picture, collection)


def turned_size(image, masks, source):
    """(height, width) of the first mask if it lies across the image, as where EXIF turns it."""
    stored = image_size(source.images[image])
    size = image_size(source.around[masks[0]]) if masks else None
    return size if stored and size == stored[::-1] else None


def class_maps(source, collection):
    """{folder: {value: class}} of Roboflow's _classes.csv."""
    found = {}
    for name in source.ending("_classes.csv", around=True):
        try:
            rows = [list(row.values()) for row in table_rows(source.text(name))]
        except csv.Error as error:
            collection.leave_out(DAMAGED_FILE, f"{name}: {error}")
            continue
        found[name.rpartition("/")[0]] = {
            int(row[0]): text_label(row[1]) for row in rows
            if len(row) > 1 and str(row[0]).strip().isdecimal() and text_label(row[1])}
    return found


def class_name(rest, folders):
    for folder in reversed(folders):
        if not FOLDER.search(folder) and not SPLIT_WORD.fullmatch(folder.lower()) \
                and not folder.isdigit() and folder.lower() not in ("images", "png", "data"):
            return folder
    if HASH.match(rest.lower()):
        return DEFAULT_CLASS
    word = re.sub(r"^[\W\d_]+|[\W\d_]+$", "", MASK_WORD.sub("", rest.replace("_", " ")))
    return word.strip().replace(" ", "_") or DEFAULT_CLASS


def read_file(name, label, classes, picture, collection):
    try:
        pages = png_pages(collection.source.around[name])
    except ValueError as error:
        collection.leave_out(DAMAGED, f"{name}: {shown(str(error))}")
        return
    if len(pages) > 1:
        collection.note(PAGES, name)
    for values in pages:
        if values.shape != tuple(picture.size):
            collection.leave_out(DAMAGED, f"{name}: {values.shape} for an image of {picture.size} "
                                          "(height, width)")
        elif classes:
            collection.note(CLASS_MAPS, name)
            for value in values_in(values):
                collection.add_mask(picture, classes.get(value, str(value)), values == value)
        else:
            read_values(values, name, label, picture, collection)


def read_values(values, name, label, picture, collection):
    if is_soft(values):
        collection.note(SOFT, name)
        values = (gray(values) > SOFT_EDGE).astype(np.int64)
    elif name.lower().endswith((".jpg", ".jpeg")) and len(values_in(values)) > 1:
        collection.leave_out(LOSSY, name)
        return
    elif (values == gray(values) * 0x010101).all():
        values = gray(values)                          # grey as colours
    found = values_in(values)
    if len(found) > MOST_VALUES or np.count_nonzero(values) < len(found) * SMALLEST_MEAN \
            and len(found) > FEW_VALUES:
        collection.leave_out(PHOTOS, name)
        return
    if is_border(values, found):
        collection.note(BORDERS, name)
        found = found[:-1]
    if len(found) == 1 and cv2.connectedComponents((values == found[0]).astype(np.uint8))[0] > 2:
        collection.note(PIECES, name)
    for value in found:
        collection.add_mask(picture, label, values == value)


def is_border(values, found):
    """Whether the last value is no object: thin, and not evenly spaced (85, 170, 255)."""
    if len(found) < 2 or found[-1] not in VOID:
        return False
    steps = np.diff([0, *found])
    kernel = np.ones((BORDER_WIDTH, BORDER_WIDTH), np.uint8)
    thick = cv2.erode((values == found[-1]).astype(np.uint8), kernel).any()
    return not thick and np.ptp(steps) > 1


def gray(values):
    """The red channel of colours, grey values as they are."""
    return values & 255


def is_soft(values):
    """Whether these are shades of one object rather than numbers of objects."""
    shades = values & 255
    if not (values == shades).all() and not (values == shades * 0x010101).all():
        return False                                   # colours
    bright = np.count_nonzero(shades > 250)
    return len(np.unique(shades)) > 2 and 2 * bright > np.count_nonzero(shades)
