"""Masks that come as pictures: PNG files, base64 texts, one value per object.

Sizes are (height, width).  What is damaged or too large raises ValueError.
"""
import base64
import binascii
import io
import warnings
import zlib

import numpy as np
from PIL import Image, ImageSequence

MOST_PIXELS = 2**29                # of a mask; a damaged head may state any number
MOST_BYTES = 2**26                 # that a compressed mask may unpack to


def png_values(file):
    """A picture file or its bytes -> [H, W] of whole numbers.

    Palette pictures give their indices, colours red + 256 green + 65536 blue (COCO's panoptic
    rule); a transparent pixel is 0.
    """
    image = file if isinstance(file, Image.Image) else opened(file)
    if image.mode in ("P", "L", "I", "I;16", "I;16B", "I;16L", "1"):
        return np.asarray(image).astype(np.int64)
    if image.mode == "F":
        return np.rint(np.nan_to_num(np.asarray(image))).astype(np.int64)
    bands = np.asarray(image.convert("RGBA")).astype(np.int64)
    values = bands[..., 0] + 256 * bands[..., 1] + 65536 * bands[..., 2]
    return np.where(bands[..., 3] > 0, values, 0)


def png_pages(file):
    """As `png_values`, for every page of a picture."""
    image = opened(file)
    if image.width * image.height * getattr(image, "n_frames", 1) > MOST_PIXELS:
        raise ValueError(f"{image.n_frames} masks of {image.width} x {image.height} pixels")
    try:
        return [png_values(page.copy()) for page in ImageSequence.Iterator(image)]
    except (OSError, SyntaxError, EOFError) as error:
        raise ValueError(f"not a picture: {error}") from None


def png_mask(file):
    """A picture of one object -> bool [H, W]: not black, and not transparent."""
    image = opened(file)
    if image.mode in ("LA", "RGBA", "PA") or "transparency" in image.info:
        bands = np.asarray(image.convert("RGBA"))
        opaque = bands[..., 3] > 0
        return opaque if not opaque.all() else bands[..., :3].any(-1)
    return png_values(image) > 0


def opened(file):
    """A loaded PIL image.  Raises ValueError for anything that is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(file) if isinstance(file, bytes) else file)
            if image.width * image.height > MOST_PIXELS:
                raise ValueError(f"a mask of {image.width} x {image.height} pixels")
            image.load()
            return image
    except (OSError, SyntaxError, Image.DecompressionBombError, EOFError) as error:
        raise ValueError(f"not a picture: {error}") from None


def unpacked_base64(text):
    """The bytes behind a base64 text, with or without "data:...;base64," in front."""
    if not isinstance(text, str):
        raise ValueError("a mask that is no base64 text")
    try:
        return base64.b64decode(text.partition("base64,")[2] or text)
    except (binascii.Error, ValueError):
        raise ValueError("damaged base64") from None


def unpacked_zlib(data):
    """What zlib packed, up to MOST_BYTES."""
    unpacker = zlib.decompressobj()
    try:
        unpacked = unpacker.decompress(data, MOST_BYTES)
    except zlib.error as error:
        raise ValueError(f"damaged zlib data: {error}") from None
    if unpacker.unconsumed_tail:
        raise ValueError(f"a mask of more than {MOST_BYTES} bytes")
    return unpacked


def placed(mask, left, top, size):
    """bool [h, w] whose corner lies at (left, top) -> bool [H, W]; what lies outside is cut."""
    whole = np.zeros(size, bool)
    rows = slice(max(0, -top), max(0, size[0] - top))
    columns = slice(max(0, -left), max(0, size[1] - left))
    part = mask[rows, columns]
    top, left = max(0, top), max(0, left)
    whole[top:top + part.shape[0], left:left + part.shape[1]] = part
    return whole


def values_in(values, background=(0,)):
    """The numbers that occur in [H, W], but those of the background."""
    return [value for value in np.unique(values).tolist() if value not in background]


def nearest(mask, size):
    """[h, w] enlarged or shrunk to `size` by taking the nearest pixel."""
    rows, columns = (np.minimum((np.arange(new) + 0.5) * old / new, old - 1).astype(int)
                     for new, old in zip(size, mask.shape, strict=True))
    return mask[rows[:, None], columns]
