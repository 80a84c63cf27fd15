"""What people call an image -> uint8 [H, W, 3] BGR; ValueError for what is none."""
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from tools.data.images import decode_image, read_image
from tools.download import fetch
from tools.errors import UserError

CHANNELS = ("bgr", "rgb")                              # of an array
PIL_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB")
EXPECTED = ("expected uint8 [H, W, 3] (BGR, or RGB with channels='rgb'), [H, W] or [H, W, 1] grey, "
            "[H, W, 4] with alpha, a path or an address, a PIL image, or the bytes of a file")


def to_pixels(image, channels="bgr"):
    """uint8 [H, W, 3] BGR of an array, a PIL image, a path or the bytes of an image file.

    channels: the order of an array, "bgr" or "rgb"; the others know their own.  Alpha is dropped.
    Files are turned as their EXIF orientation says; arrays and PIL images stay as they are.
    UserError, a ValueError, says what came and what was expected.
    """
    if channels not in CHANNELS:
        raise UserError(f"channels='{channels}': expected 'bgr' or 'rgb'")
    if isinstance(image, (str, Path)):
        return read_source(str(image))
    if isinstance(image, (bytes, bytearray, memoryview)):
        return decode_image(bytes(image), f"{len(image)} bytes", apply_exif=True)
    if isinstance(image, Image.Image):
        image, channels = from_pil(image), "rgb"
    return from_array(image, channels)


def read_source(source):
    """The image behind a path or an http(s) address, turned as its EXIF orientation says."""
    if is_address(source):
        return decode_image(fetch(source), source, apply_exif=True)
    if not source:
        raise UserError(f"an empty path came: {EXPECTED}")
    return read_image(source, apply_exif=True)


def is_address(source):
    return str(source).lower().startswith(("http://", "https://"))


def from_pil(image):
    """uint8 [H, W, 3] RGB of a PIL image of 8 bits per channel."""
    if image.mode not in PIL_MODES:
        raise UserError(f"a PIL image of mode '{image.mode}' came: {EXPECTED}, or a PIL image of 8 "
                        "bits per channel (image.convert('RGB') after scaling it to 0..255)")
    return np.asarray(image.convert("RGB"))


def from_array(image, channels):
    """The BGR image of a uint8 array."""
    if not isinstance(image, np.ndarray):
        raise UserError(f"{described(image)} came: {EXPECTED}")
    if image.dtype != np.uint8 or image.size == 0 or not has_image_shape(image.shape):
        raise UserError(f"an array of {image.dtype} {list(image.shape)} came: {EXPECTED}"
                        f"{advice(image)}")
    image = np.ascontiguousarray(image)
    if image.ndim == 2 or image.shape[2] == 1:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    image = image[..., :3] if channels == "bgr" else image[..., 2::-1]
    return np.ascontiguousarray(image)


def has_image_shape(shape):
    return len(shape) == 2 or len(shape) == 3 and shape[2] in (1, 3, 4)


def described(value):
    """A value that is no image, in words."""
    if value is None:
        return "None (what cv2.imread returns for a file that it cannot read)"
    return f"an object of type {type(value).__module__}.{type(value).__qualname__}"


def advice(image):
    """How a wrong array becomes a right one, as the end of a sentence; "" where it cannot."""
    if image.size == 0:
        return "; this one is empty"
    if not has_image_shape(image.shape):
        if image.ndim == 3 and image.shape[0] in (1, 3, 4):
            return "; from channels first: image.transpose(1, 2, 0)"
        return "; several images are a list of arrays" if image.ndim == 4 else ""
    if image.dtype == np.uint16:
        return "; from 16 bits: (image >> 8).astype('uint8')"
    if image.dtype.kind in "bf" and image.min() >= 0 and image.max() <= 1:
        return "; from 0..1: (image * 255).round().astype('uint8')"
    return "; from 0..255: image.clip(0, 255).astype('uint8')"
