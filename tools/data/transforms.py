"""Transforms of a training sample, and the one pre-processing that prediction and evaluation share.

H, W: image size; I: objects.  A sample is a dict of "image" [H, W, 3] (uint8 BGR, at the end
float32 in the channel order of the network), "masks" bool [I, H, W], "boxes" float32 [I, 4] xyxy,
"class_indices" int64 [I], "image_id", "file_name" and "original_size".  A transform takes a sample
and a numpy Generator, its only source of randomness, and returns a new sample.
"""
import math

import cv2
import numpy as np

from tools.errors import UserError

CROP_RATIOS = (0.5, 2.0)                     # width / height relative to the image
CROP_SCALES = (0.3, 1.0)                     # of the sides
CROP_OVERLAPS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)        # the best IoU with an object must reach it
CROP_ATTEMPTS = 50                           # per overlap
DISTORTION = (0.5, 1.5)                      # factor of brightness, contrast and saturation
HUE_DEGREES = 18
DISTORTION_PROBABILITY = 0.5                 # of each of the four


def resized_size(size, short_side, max_side, rule="round"):
    """(height, width) so that the short side becomes `short_side`, the long at most `max_side`.

    "round": integers, half up (mmdetection, PaddleDetection since 2.6).  "fractional": the exact
    floats (PaddleDetection 2.2, which later crops with them).  "two_steps": integers, capped by a
    second multiplication as in detectron2, which may round differently.
    """
    height, width = size
    if rule == "two_steps":
        scale = short_side / min(size)
        height, width = (side * scale if side != min(size) else short_side for side in size)
        cap = min(1.0, max_side / max(height, width))
        return max(1, int(height * cap + 0.5)), max(1, int(width * cap + 0.5))
    scale = min(max_side / max(size), short_side / min(size))
    if rule == "fractional":
        return max(1.0, height * scale), max(1.0, width * scale)
    if rule == "round":
        return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))
    raise UserError(f"unknown resized_size_rule '{rule}', expected 'round' or 'fractional'")


def resize_image(image, short_side, max_side, library="cv2", rule="round"):
    """(resized image, its size as `resized_size` gives it) of uint8 or float32 [H, W, 3].

    `library`: "cv2", bilinear without anti-aliasing, or "pil", bilinear with it (AdelaiDet).
    """
    if library == "pil":
        size = resized_size(image.shape[:2], short_side, max_side, "two_steps")
        return resize_with_pillow(image, size), size
    if library != "cv2":
        raise UserError(f"unknown resize_library '{library}', expected 'cv2' or 'pil'")
    size = resized_size(image.shape[:2], short_side, max_side, rule)
    return resize_with_opencv(image, size, cv2.INTER_LINEAR), size


def resize_with_opencv(image, size, interpolation):
    """`image` at `size`; a fractional size stands for a factor, as in PaddleDetection 2.2.

    OpenCV then rounds the size itself, half to even, and samples by the exact factor.
    """
    if all(isinstance(side, int) for side in size) or min(size) <= 1:
        return cv2.resize(image, (round(size[1]), round(size[0])), interpolation=interpolation)
    factor = size[0] / image.shape[0]
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=interpolation)


def resize_with_pillow(image, size):
    """uint8 [H, W, 3] -> uint8 of `size` (height, width) by Pillow's bilinear filter."""
    try:
        from PIL import Image
    except ImportError:
        raise UserError("this config resizes with Pillow, which is not installed: "
                        "pip install pillow") from None
    return np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR))


class Compose:
    """Several transforms in a row."""

    def __init__(self, transforms):
        self.transforms = transforms

    def __call__(self, sample, rng):
        for transform in self.transforms:
            sample = transform(sample, rng)
        return sample


class Resize:
    """Resizes the image; masks by nearest neighbour, boxes by the same factors (PaddleDetection).

    A tiny object may lose its mask; the targets skip it.
    """

    def __init__(self, short_side, max_side, library="cv2", rule="round"):
        self.short_side, self.max_side = short_side, max_side
        self.library, self.rule = library, rule

    def __call__(self, sample, rng):
        height, width = sample["image"].shape[:2]
        image, size = resize_image(sample["image"], self.short_side, self.max_side,
                                   self.library, self.rule)
        masks = np.zeros((len(sample["masks"]), *image.shape[:2]), bool)
        for target, mask in zip(masks, sample["masks"], strict=True):
            target[:] = resize_with_opencv(mask.view(np.uint8), size, cv2.INTER_NEAREST)
        factors = np.float32([size[1] / width, size[0] / height] * 2)
        limits = np.float32([size[1], size[0]] * 2)
        boxes = np.clip(sample["boxes"] * factors, 0, limits)
        return {**sample, "image": image, "masks": masks, "boxes": boxes}


class RandomResize:
    """Resizes to one of several short sides."""

    def __init__(self, short_sides, max_side, library="cv2", rule="round"):
        self.resizes = [Resize(side, max_side, library, rule) for side in short_sides]

    def __call__(self, sample, rng):
        return self.resizes[rng.integers(len(self.resizes))](sample, rng)


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


class ColorDistortion:
    """Brightness, contrast, saturation and hue, each half of the time, in random order.

    After PaddleDetection's RandomDistort, whose brightness adds at most 1.5 grey levels and whose
    hue turns by any angle: here brightness is a factor and the hue moves by at most 18 degrees.
    """

    def __call__(self, sample, rng):
        image = sample["image"].astype(np.float32)
        for step in rng.permutation([0, 1, 2, 3]):
            if rng.random() < DISTORTION_PROBABILITY:
                image = np.clip(self.distort(image, step, rng), 0, 255)
        return {**sample, "image": np.rint(image).astype(np.uint8)}

    def distort(self, image, step, rng):
        """float32 [H, W, 3] BGR with one property changed."""
        if step == 3:
            hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)         # hue in 0..360
            hsv[..., 0] = (hsv[..., 0] + rng.uniform(-HUE_DEGREES, HUE_DEGREES)) % 360
            return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)
        factor = np.float32(rng.uniform(*DISTORTION))
        if step == 0:
            return image * factor
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)[..., None]
        middle = grey.mean() if step == 1 else grey              # contrast, saturation
        return middle + (image - middle) * factor


class RandomCrop:
    """A crop that overlaps some object by a random minimum (SSD; settings of PaddleDetection).

    Objects whose box centre lies outside are removed; one in seven samples stays as it is.
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
                inside = centers_inside(sample["boxes"], window)
                if inside.any():
                    return self.crop(sample, window, inside)
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

    @staticmethod
    def crop(sample, window, inside):
        x1, y1, x2, y2 = window
        boxes = np.clip(sample["boxes"][inside], [x1, y1, x1, y1], [x2, y2, x2, y2])
        boxes = (boxes - [x1, y1, x1, y1]).astype(np.float32)
        return {**sample, "image": np.ascontiguousarray(sample["image"][y1:y2, x1:x2]),
                "masks": np.ascontiguousarray(sample["masks"][inside, y1:y2, x1:x2]),
                "boxes": boxes, "class_indices": sample["class_indices"][inside]}


def box_iou(boxes, window):
    """float32 [I]: IoU of each box [I, 4] with the box `window`."""
    window = np.float32(window)
    sides = np.minimum(boxes[:, 2:], window[2:]) - np.maximum(boxes[:, :2], window[:2])
    shared = np.prod(np.clip(sides, 0, None), 1)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], 1)
    return shared / (areas + np.prod(window[2:] - window[:2]) - shared)


def centers_inside(boxes, window):
    """bool [I]: which boxes have their centre strictly within `window`."""
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2
    return ((centers > window[:2]) & (centers < window[2:])).all(1)


class Normalize:
    """uint8 BGR -> float32 (x - mean) / std in `channel_order`, all on the 0..255 scale."""

    def __init__(self, channel_order, mean, std):
        if channel_order not in ("rgb", "bgr"):
            raise UserError(f"unknown channel_order '{channel_order}', expected 'rgb' or 'bgr'")
        self.reverse = channel_order == "rgb"
        values = np.arange(256, dtype=np.float32)[:, None]
        self.table = ((values - np.float32(mean)) / np.float32(std))[None]       # [1, 256, 3]

    def __call__(self, sample, rng):
        return {**sample, "image": self.normalize(sample["image"])}

    def normalize(self, image):
        """uint8 [H, W, 3] BGR -> float32 [H, W, 3], by a table: 5 times as fast as arithmetic."""
        if self.reverse:
            image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        return cv2.LUT(image, self.table)


def train_transforms(cfg):
    """The training transforms in PaddleDetection's order, as the config switches them on."""
    steps = []
    if cfg.color_distortion:
        steps.append(ColorDistortion())
    if cfg.random_crop:
        steps.append(RandomCrop())
    steps += [RandomResize(cfg.train_short_sides, cfg.train_max_side, cfg.resize_library,
                           cfg.resized_size_rule),
              RandomFlip(cfg.flip_probability),
              Normalize(cfg.channel_order, cfg.pixel_mean, cfg.pixel_std)]
    return Compose(steps)


class Preprocess:
    """An image as the network wants it in prediction and evaluation.

    `settings`: anything with the attributes channel_order, pixel_mean, pixel_std, resize_library,
    resized_size_rule, normalize_first, test_short_side and test_max_side, such as a config.
    """

    def __init__(self, settings):
        self.settings = settings
        self.normalizer = Normalize(settings.channel_order, settings.pixel_mean,
                                    settings.pixel_std)

    def __call__(self, image):
        """uint8 [H, W, 3] BGR -> (float32 [3, h, w], (h, w)).

        The size is that of `resized_size`: integers, or floats under the fractional rule.
        """
        settings = self.settings
        if settings.normalize_first:                     # floats are interpolated, not rounded
            image = self.normalizer.normalize(image)
        image, size = resize_image(image, settings.test_short_side, settings.test_max_side,
                                   settings.resize_library, settings.resized_size_rule)
        if not settings.normalize_first:
            image = self.normalizer.normalize(image)
        return np.ascontiguousarray(image.transpose(2, 0, 1)), size


def pad_to_divisor(images, divisor):
    """float32 [3, h, w] each -> float32 [N, 3, H, W], zeros at the right and bottom.

    H and W: the largest h and w, rounded up to multiples of `divisor`.
    """
    height, width = (-(-max(image.shape[axis] for image in images) // divisor) * divisor
                     for axis in (1, 2))
    batch = np.zeros((len(images), 3, height, width), np.float32)
    for target, image in zip(batch, images, strict=True):
        target[:, :image.shape[1], :image.shape[2]] = image
    return batch
