"""An image on disk, whole or not at all."""
from pathlib import Path

import cv2

from tools.errors import UserError
from tools.files import atomic_file


def write_image(path, image):
    """Write a uint8 BGR image in the format of its suffix.  Raises UserError naming the file."""
    try:
        written, encoded = cv2.imencode(Path(path).suffix, image)
    except cv2.error as error:
        raise UserError(f"OpenCV cannot write '{path}': {error}") from error
    if not written:
        raise UserError(f"OpenCV cannot write an image of shape {image.shape} as '{path}'")
    with atomic_file(path, durable=False) as file:         # it can be drawn again
        file.write(encoded)
