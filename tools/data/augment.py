"""Random changes of training samples: colours, crops, sizes, flips, pasted objects.

Samples and transforms are those of transforms.py.  H, W: image size; I: objects.
"""
import math

import cv2
import numpy as np

from tools.data.masks import masks_to_boxes
from tools.data.transforms import Normalize, Resize

CROP_RATIOS = (0.5, 2.0)                     # width / height relative to the image
CROP_SCALES = (0.3, 1.0)                     # of the sides
CROP_OVERLAPS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)        # the best IoU with an object must reach it
CROP_ATTEMPTS = 50                           # per overlap
DISTORTION_PROBABILITY = 0.5                 # of each of the four properties
DISTORTION = (0.5, 1.5)                      # grey levels added; factor of contrast and saturation
HUE_TURNS = 9                                # the hue turns by up to so many circles: any angle
YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.321], [0.211, -0.523, 0.311]])
RGB_OF_YIQ = np.array([[1.0, 0.956, 0.621], [1.0, -0.272, -0.647], [1.0, -1.107, 1.705]])
PASTED_SHARE = 0.5                           # of the other image's objects, on average


class Compose:
    """Several transforms in a row."""

    def __init__(self, transforms):
        self.transforms = transforms

    def __call__(self, sample, rng):
        for transform in self.transforms:
            sample = transform(sample, rng)
        return sample


class ColorDistortion:
    """Brightness, contrast, saturation and hue, each half of the time, in random order.

    PaddleDetection's RandomDistort, number for number: brightness adds 0.5 to 1.5 grey levels,
    contrast multiplies every value, and the hue turns by any angle in the YIQ plane.  The image
    becomes float32 and is not clipped.
    """

    def __call__(self, sample, rng):
        image = sample["image"].astype(np.float32)
        for change in rng.permutation([self.brightness, self.contrast, self.saturation, self.hue]):
            if rng.random() < DISTORTION_PROBABILITY:
                image = change(image, rng)
        return {**sample, "image": image}

    @staticmethod
    def brightness(image, rng):
        return image + np.float32(rng.uniform(*DISTORTION))

    @staticmethod
    def contrast(image, rng):
        return image * np.float32(rng.uniform(*DISTORTION))

    @staticmethod
    def saturation(image, rng):
        factor = np.float32(rng.uniform(*DISTORTION))
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)[..., None]
        return grey + (image - grey) * factor

    @staticmethod
    def hue(image, rng):
        angle = 2 * math.pi * rng.uniform(-HUE_TURNS, HUE_TURNS)
        cos, sin = math.cos(angle), math.sin(angle)
        turn = RGB_OF_YIQ @ [[1, 0, 0], [0, cos, -sin], [0, sin, cos]] @ YIQ
        return cv2.transform(image, turn[::-1, ::-1])                            # the image is BGR


class RandomCrop:
    """A crop that overlaps some object by a random minimum (SSD; settings of PaddleDetection).

    Objects whose box centre, or whose mask, is outside are removed (`is_mask_crop`); one in seven
    samples stays as it is.
    """

    def __call__(self, sample, rng):
        if len(sample["boxes"]) == 0:
            return sample
        for overlap in rng.permutation([*CROP_OVERLAPS, np.inf]):
            if np.isinf(overlap):                                # stands for "no crop"
                return sample
            for _ in range(CROP_ATTEMPTS):
                window = self.draw_window(sample["image"].shape[:2], rng)
                if box_iou(sample["boxes"], window).max() < overlap:
                    continue
                inside = (centers_inside(sample["boxes"], window)
                          & masks_inside(sample["masks"], window))
                if inside.any():
                    return crop(sample, window, inside)
        return sample

    @staticmethod
    def draw_window(size, rng):
        """A random (x1, y1, x2, y2) of integers within an image of `size`."""
        scale = rng.uniform(*CROP_SCALES)
        ratio = rng.uniform(max(CROP_RATIOS[0], scale ** 2), min(CROP_RATIOS[1], scale ** -2))
        height = max(1, int(size[0] * scale / math.sqrt(ratio)))
        width = max(1, int(size[1] * scale * math.sqrt(ratio)))
        top, left = rng.integers(0, [size[0] - height + 1, size[1] - width + 1]).tolist()
        return left, top, left + width, top + height


def crop(sample, window, kept):
    """The part of a sample within `window` (x1, y1, x2, y2), with the objects `kept` (bool [I])."""
    x1, y1, x2, y2 = window
    boxes = np.clip(sample["boxes"][kept], [x1, y1, x1, y1], [x2, y2, x2, y2])
    boxes = (boxes - [x1, y1, x1, y1]).astype(np.float32)
    return {**sample, "image": np.ascontiguousarray(sample["image"][y1:y2, x1:x2]),
            "masks": np.ascontiguousarray(sample["masks"][kept, y1:y2, x1:x2]),
            "boxes": boxes, "class_indices": sample["class_indices"][kept]}


def box_iou(boxes, window):
    """float32 [I]: IoU of each box [I, 4] with the box `window`."""
    window = np.float32(window)
    sides = np.minimum(boxes[:, 2:], window[2:]) - np.maximum(boxes[:, :2], window[:2])
    shared = np.prod(np.clip(sides, 0, None), 1)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], 1)
    return shared / (areas + np.prod(window[2:] - window[:2]) - shared)


def centers_inside(boxes, window):
    """bool [I]: which boxes have their centre within `window`, its right and bottom excluded."""
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2
    return ((centers >= window[:2]) & (centers < window[2:])).all(1)


def masks_inside(masks, window):
    """bool [I]: which masks have a pixel within `window`."""
    x1, y1, x2, y2 = window
    return masks[:, y1:y2, x1:x2].any((1, 2))


class RandomResize:
    """Resizes to one of several short sides; `how`: of Resize."""

    def __init__(self, short_sides, max_side, *how):
        self.resizes = [Resize(side, max_side, *how) for side in short_sides]

    def __call__(self, sample, rng):
        return self.resizes[rng.integers(len(self.resizes))](sample, rng)


class LargeScaleJitter:
    """Resizes to a random factor of the fit into a square, and crops to it (Ghiasi et al. 2021).

    `scales`: lowest and highest factor; `how`: of Resize.  What is smaller is padded only as far as
    its batch needs.
    """

    def __init__(self, scales, side, *how):
        self.scales, self.side, self.how = scales, side, how

    def __call__(self, sample, rng):
        longest = self.side * rng.uniform(*self.scales)
        sample = Resize(longest, longest, *self.how)(sample, rng)
        spare = np.maximum(np.array(sample["image"].shape[:2]) - self.side, 0)
        top, left = rng.integers(0, spare + 1).tolist()
        window = left, top, left + self.side, top + self.side
        return crop(sample, window, masks_inside(sample["masks"], window))


class RandomFlip:
    """Mirrors left and right."""

    def __init__(self, probability=0.5):
        self.probability = probability

    def __call__(self, sample, rng):
        if rng.random() >= self.probability:
            return sample
        x1, y1, x2, y2 = sample["boxes"].T
        width = sample["image"].shape[1]
        return {**sample, "image": np.ascontiguousarray(sample["image"][:, ::-1]),
                "masks": np.ascontiguousarray(sample["masks"][:, :, ::-1]),
                "boxes": np.stack([width - x2, y1, width - x1, y2], 1)}


def paste_objects(sample, donor, rng):
    """A random subset of the donor's objects over a sample (Simple Copy-Paste, Ghiasi et al. 2021).

    Both are finished samples, laid on one another at the top left.  Objects lose what is pasted
    over them, and vanish where nothing is left; all boxes become tight.
    """
    height, width = np.minimum(sample["image"].shape[:2], donor["image"].shape[:2])
    chosen = rng.random(len(donor["masks"])) < PASTED_SHARE
    pasted = np.zeros((np.count_nonzero(chosen), *sample["image"].shape[:2]), bool)
    pasted[:, :height, :width] = donor["masks"][chosen, :height, :width]
    covered = pasted.any(0)
    image = sample["image"].copy()
    image[covered] = donor["image"][:height, :width][covered[:height, :width]]
    masks = np.concatenate([sample["masks"] & ~covered, pasted])
    classes = np.concatenate([sample["class_indices"], donor["class_indices"][chosen]])
    visible = masks.any((1, 2))
    return {**sample, "image": image, "masks": masks[visible],
            "boxes": masks_to_boxes(masks[visible]), "class_indices": classes[visible]}


def train_transforms(cfg):
    """The training transforms in PaddleDetection's order, as the config switches them on."""
    steps = []
    if cfg.color_distortion:
        steps.append(ColorDistortion())
    if cfg.random_crop:
        steps.append(RandomCrop())
    how = cfg.resize_library, cfg.resized_size_rule, cfg.smooth_masks
    if cfg.jitter_scales:
        steps.append(LargeScaleJitter(cfg.jitter_scales, cfg.train_max_side, *how))
    else:
        steps.append(RandomResize(cfg.train_short_sides, cfg.train_max_side, *how))
    steps += [RandomFlip(cfg.flip_probability),
              Normalize(cfg.channel_order, cfg.pixel_mean, cfg.pixel_std)]
    return Compose(steps)
