"""Size and values of an image as the network wants them, in training, prediction and evaluation.

H, W: image size; I: objects.  A sample is a dict of "image" [H, W, 3] (uint8 BGR, float32 after a
colour distortion, at the end float32 in the channel order of the network), "masks" bool [I, H, W],
"boxes" float32 [I, 4] xyxy, "class_indices" int64 [I], "image_id", "file_name" and "original_size".
A transform takes a sample and a numpy Generator, its only source of randomness, and returns a new
sample.
"""
import cv2
import numpy as np

from tools.errors import UserError


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
    """uint8 or float32 [H, W, 3] at `size` (height, width), by Pillow's bilinear filter."""
    try:
        from PIL import Image
    except ImportError:
        raise UserError("this config resizes with Pillow, which is not installed: "
                        "pip install pillow") from None

    def bilinear(array):
        return np.asarray(Image.fromarray(array).resize(size[::-1], Image.Resampling.BILINEAR))

    if image.dtype == np.uint8:
        return bilinear(image)
    return np.dstack([bilinear(channel) for channel in cv2.split(image)])    # "F": one channel


class Resize:
    """Resizes the image; masks by nearest neighbour, boxes by the same factors (PaddleDetection).

    OpenCV's INTER_NEAREST, which PaddleDetection takes, moves a mask against its image, by up to
    half a pixel; with `exact` it stays where it is.
    A tiny object may lose its mask; the targets skip it.
    """

    def __init__(self, short_side, max_side, library="cv2", rule="round", exact=False):
        self.short_side, self.max_side = short_side, max_side
        self.library, self.rule = library, rule
        self.nearest = cv2.INTER_NEAREST_EXACT if exact else cv2.INTER_NEAREST

    def __call__(self, sample, rng):
        height, width = sample["image"].shape[:2]
        image, size = resize_image(sample["image"], self.short_side, self.max_side,
                                   self.library, self.rule)
        masks = np.zeros((len(sample["masks"]), *image.shape[:2]), bool)
        for target, mask in zip(masks, sample["masks"], strict=True):
            target[:] = resize_with_opencv(mask.view(np.uint8), size, self.nearest)
        factors = np.float32([size[1] / width, size[0] / height] * 2)
        limits = np.float32([size[1], size[0]] * 2)
        boxes = np.clip(sample["boxes"] * factors, 0, limits)
        return {**sample, "image": image, "masks": masks, "boxes": boxes}


class Normalize:
    """BGR -> float32 (x - mean) / std in `channel_order`, all on the 0..255 scale."""

    def __init__(self, channel_order, mean, std):
        if channel_order not in ("rgb", "bgr"):
            raise UserError(f"unknown channel_order '{channel_order}', expected 'rgb' or 'bgr'")
        self.reverse = channel_order == "rgb"
        self.mean, self.std = np.float32(mean), np.float32(std)
        values = np.arange(256, dtype=np.float32)[:, None]
        self.table = ((values - self.mean) / self.std)[None]                     # [1, 256, 3]

    def __call__(self, sample, rng):
        return {**sample, "image": self.normalize(sample["image"])}

    def normalize(self, image):
        """[H, W, 3] BGR -> float32 [H, W, 3]; bytes by a table: 5 times as fast as arithmetic."""
        if self.reverse:
            image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        if image.dtype == np.uint8:
            return cv2.LUT(image, self.table)
        return (image - self.mean) / self.std


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
