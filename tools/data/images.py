"""Reading an image file; whatever is wrong with it becomes a UserError that names the file."""
import io
import re
import warnings
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from tools.data.image_kinds import decode_other, load_plugin, plugin_kind
from tools.data.orientation import find_orientation, turned, upright
from tools.data.slow_reads import watched
from tools.errors import UserError
from tools.files import irregular

# A marker within JPEG data: FF and a byte that is neither stuffing nor padding nor a restart.
JPEG_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)
JPEG_BEGIN, JPEG_END = b"\xff\xd8", 0xD9
MOST_REDUCED = 1 << 24             # pixels; beyond, OpenCV's limit counts as in training
HEAD = 64                          # bytes that tell the kind of a file
TIFF_WIDTH, TIFF_HEIGHT = 256, 257
warnings.filterwarnings("ignore", module="PIL")        # of damaged metadata, which do not matter
UNREADABLE_HEAD = (OSError, ValueError, SyntaxError, EOFError, KeyError, TypeError, IndexError,
                   OverflowError, RuntimeError)           # what Pillow's readers raise


def read_image(path, apply_exif=False):
    """The image file -> uint8 [H, W, 3], BGR.

    `apply_exif`: turn the image as its EXIF orientation says, as viewers do.  Annotations refer to
    the stored pixels, so data sets leave it off.  Raises UserError where the file is missing,
    empty, truncated or not an image (OpenCV alone fills the rest of a truncated JPEG with grey).
    """
    return decode_image(read_bytes(path), path, apply_exif)


def read_bytes(path):
    """The bytes of a regular file, not empty; UserError for any other."""
    kind = irregular(path)
    if kind:
        raise UserError(f"image '{path}' cannot be read: it is {kind}, no regular file")
    try:
        with watched(path):
            data = Path(path).read_bytes()
    except FileNotFoundError:
        raise UserError(f"image '{path}' does not exist") from None
    except (OSError, ValueError) as error:             # ValueError: a zero byte in the name
        raise UserError(f"image '{path}' cannot be read: "
                        f"{getattr(error, 'strerror', None) or error}") from None
    if not data:
        raise UserError(f"image '{path}' is empty (0 bytes)")
    return data


def decode_image(data, path, apply_exif=False, flags=cv2.IMREAD_COLOR):
    """`read_image` of the bytes of the file `path`; flags: cv2.IMREAD_COLOR or a grey one."""
    if is_truncated(data):
        raise UserError(f"image '{path}' is truncated: it ends after {len(data)} bytes, "
                        "before the end of its data; copy or download it again")
    try:
        image = cv2.imdecode(np.frombuffer(upright(data), np.uint8),
                             flags | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:                         # such as more pixels than OpenCV allows
        raise UserError(f"image '{path}' cannot be decoded: {error.err}") from None
    if image is None:
        image = decode_other(data, path, lambda: io.BytesIO(data))
        image = image if flags == cv2.IMREAD_COLOR else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    return turned(image, find_orientation(data)[0]) if apply_exif else image


def glance(data, path):
    """(grey values uint8 [h, w], (height, width) of the stored pixels) of the bytes of a file.

    Of a JPEG only the mean of each 8 x 8 pixels, in three quarters of the time; as for its faults,
    all data are looked at.  Raises as `decode_image`.
    """
    size = jpeg_size(data)
    if size and size[0] * size[1] <= MOST_REDUCED:
        return decode_image(data, path, flags=cv2.IMREAD_REDUCED_GRAYSCALE_8), size
    grey = decode_image(data, path, flags=cv2.IMREAD_GRAYSCALE)
    return grey, grey.shape


def jpeg_size(data):
    """(height, width) of the stored pixels of a JPEG; None for anything else."""
    if not data.startswith(JPEG_BEGIN):
        return None
    try:
        with Image.open(io.BytesIO(data)) as image:
            return (image.height, image.width) if image.format == "JPEG" else None
    except UNREADABLE_HEAD:
        return None


def image_size(path):
    """(height, width) of the stored pixels, from the head of the file; None for no image."""
    if irregular(path):
        return None
    try:
        with open(path, "rb") as file:
            kind = plugin_kind(file.read(HEAD))
        if kind:
            load_plugin(kind)
        with watched(path), Image.open(path) as image:
            if image.format == "TIFF":                 # Pillow turns its size
                return int(image.tag_v2[TIFF_HEIGHT]), int(image.tag_v2[TIFF_WIDTH])
            return image.height, image.width
    except UNREADABLE_HEAD:
        return None


def exif_orientation(path):
    """1..8 as EXIF defines it; 1, upright, where the file does not say."""
    try:
        return find_orientation(Path(path).read_bytes())[0]
    except OSError:
        return 1


def is_truncated(data):
    """Whether the bytes of a JPEG or PNG file stop before the mark of its end."""
    if data.startswith(b"\x89PNG"):
        return b"IEND" not in data[-64:] and b"IEND" not in data
    if not data.startswith(JPEG_BEGIN):
        return False
    position = 2
    while marker := JPEG_MARKER.search(data, position):
        position = marker.end()
        if data[position - 1] == JPEG_END:
            return False
        position += int.from_bytes(data[position:position + 2], "big")      # skip the segment
    return True
