"""An image on disk, whole or not at all."""
from pathlib import Path

import cv2

from tools.errors import UserError
from tools.files import atomic_file


def write_image(path, image):
    """Write a uint8 BGR image in the format of its suffix.  Raises UserError naming the file."""
    encoded = encode_image(image, Path(path).suffix, path)
    with atomic_file(path, durable=False) as file:         # it can be drawn again
        file.write(encoded)


def encode_image(image, suffix, path=""):
    """The bytes of an image file in the format of `suffix`; `path` is named in errors."""
    try:
        written, encoded = cv2.imencode(suffix, image)
    except cv2.error as error:
        raise UserError(f"OpenCV cannot write '{path}': {error.err}") from None
    if not written:
        raise UserError(f"OpenCV cannot write an image of shape {image.shape} as '{path}'")
    return encoded.tobytes()
