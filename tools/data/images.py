"""Reading an image file; whatever is wrong with it becomes a UserError that names the file."""
import re
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from tools.errors import UserError

# A marker within JPEG data: FF and a byte that is neither stuffing nor padding nor a restart.
JPEG_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)
JPEG_END = 0xD9
EXIF_ORIENTATION = 0x0112


def read_image(path, apply_exif=False):
    """The image file -> uint8 [H, W, 3], BGR.

    `apply_exif`: turn the image as its EXIF orientation says, as viewers do.  Annotations refer to
    the stored pixels, so data sets leave it off.  Raises UserError where the file is missing,
    empty, truncated or not an image (OpenCV alone fills the rest of a truncated JPEG with grey).
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise UserError(f"image '{path}' does not exist") from None
    except OSError as error:
        raise UserError(f"image '{path}' cannot be read: {error.strerror}") from None
    return decode_image(data, path, apply_exif)


def decode_image(data, path, apply_exif=False):
    """The bytes of an image file, called `path` in errors -> uint8 [H, W, 3], BGR."""
    if not data:
        raise UserError(f"image '{path}' is empty (0 bytes)")
    if is_truncated(data):
        raise UserError(f"image '{path}' is truncated: it ends after {len(data)} bytes, "
                        "before the end of its data; copy or download it again")
    flags = cv2.IMREAD_COLOR if apply_exif else cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:                         # such as more pixels than OpenCV allows
        raise UserError(f"image '{path}' cannot be decoded: {error.err}") from None
    if image is None:
        raise UserError(f"'{path}' is not an image that OpenCV can read, or it is damaged")
    return image


def image_size(path):
    """(height, width) of the stored pixels, from the head of the file; None for no image."""
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except (OSError, Image.DecompressionBombError):
        return None


def exif_orientation(path):
    """1..8 as EXIF defines it; 1, upright, where the file does not say."""
    try:
        with Image.open(path) as image:
            return image.getexif().get(EXIF_ORIENTATION, 1)
    except (OSError, Image.DecompressionBombError):
        return 1


def is_truncated(data):
    """Whether the bytes of a JPEG or PNG file stop before the mark of its end."""
    if data.startswith(b"\x89PNG"):
        return b"IEND" not in data[-64:] and b"IEND" not in data
    if not data.startswith(b"\xff\xd8"):
        return False
    position = 2
    while marker := JPEG_MARKER.search(data, position):
        position = marker.end()
        if data[position - 1] == JPEG_END:
            return False
        position += int.from_bytes(data[position:position + 2], "big")      # skip the segment
    return True
