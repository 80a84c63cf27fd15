"""Arrays as pictures within the page: data URIs, and many small maps on one sheet.

A sheet holds equal tiles row by row; the page cuts tile i out of it.  Tiles are multiples of 8
pixels, so that JPEG's blocks never reach into a neighbour.
"""
import base64
import io

import cv2
import numpy as np
from PIL import Image

BLOCK = 8                          # pixels of a JPEG block
SHEET_WIDTH = 4096                 # pixels; browsers refuse pictures beyond some 16000
KERNEL_COLORS = 63                 # steps from the lowest to the highest value, an odd number
LOW, MIDDLE, HIGH = (33, 102, 172), (247, 247, 247), (178, 24, 43)       # blue, white, red (RGB)


def jpeg_uri(image, quality=80):
    """A data URI of a uint8 image, BGR or gray."""
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"


def png_uri(picture):
    """A data URI of a Pillow image."""
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=6)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def binary_uri(pixels):
    """A data URI of a uint8 [H, W] in black (0) and white."""
    return png_uri(Image.fromarray(np.uint8(pixels > 0) * np.uint8(255)).convert("1"))


def fit(size, longest):
    """(height, width) of at most `longest` pixels in the same proportions, never enlarged."""
    scale = min(1.0, longest / max(size))
    return tuple(max(1, round(side * scale)) for side in size)


def fit_area(size, pixels):
    """(height, width) of about `pixels` in all, in the same proportions, never enlarged."""
    return fit(size, max(size) * (pixels / (size[0] * size[1])) ** 0.5)


def shrink(values, size):
    """An image or map at a smaller size: means of its pixels."""
    return cv2.resize(np.ascontiguousarray(values), size[::-1], interpolation=cv2.INTER_AREA)


class Sheet:
    """Tiles of one size, uint8; `describe` is what the page needs to cut them out again."""

    def __init__(self, size, count):
        self.size, self.count = size, count
        self.tile = tuple(-(-side // BLOCK) * BLOCK for side in size)
        self.columns = max(1, min(count, SHEET_WIDTH // self.tile[1]))
        rows = max(1, -(-count // self.columns))
        self.pixels = np.zeros((rows * self.tile[0], self.columns * self.tile[1]), np.uint8)

    def put(self, index, picture):
        """Set tile `index` to uint8 [size]."""
        row, column = divmod(index, self.columns)
        top, left = row * self.tile[0], column * self.tile[1]
        self.pixels[top:top + self.size[0], left:left + self.size[1]] = picture

    def describe(self, uri):
        return {"uri": uri, "columns": self.columns, "tile": self.tile, "size": self.size,
                "count": self.count}


def colored_uri(pixels, color_map):
    """A data URI of a uint8 [H, W] in colors, each pixel with its own (JPEG would share them)."""
    picture = Image.fromarray(cv2.applyColorMap(pixels, color_map)[..., ::-1])
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=80, subsampling=0)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def map_sheet(maps, longest, color_map=cv2.COLORMAP_VIRIDIS):
    """The sheet of float32 maps [n, h, w], each colored from its lowest to its highest value."""
    sheet = Sheet(fit(maps.shape[1:], longest), len(maps))
    for index, values in enumerate(maps):
        sheet.put(index, gray(shrink(values, sheet.size)))
    return sheet.describe(colored_uri(sheet.pixels, color_map))


def gray(values):
    """float32 [h, w] -> uint8 from its lowest (0) to its highest value (255)."""
    low, high = float(values.min()), float(values.max())
    return np.rint((values - low) * (255 / max(high - low, 1e-12))).astype(np.uint8)


def kernel_sheet(kernels):
    """{"uri": ..., "limit": ...} of kernels float32 [cells, E]: a row of pixels for each.

    Blue is -limit, white 0, red +limit.
    """
    limit = float(np.abs(kernels).max()) or 1.0
    half = KERNEL_COLORS // 2
    picture = Image.fromarray(np.rint(kernels * (half / limit) + half).astype(np.uint8))
    picture.putpalette(kernel_palette())                   # makes it one of palette indices
    return {"uri": png_uri(picture), "limit": limit}


def kernel_palette():
    """RGB bytes of KERNEL_COLORS colors."""
    places = np.linspace(0, 2, KERNEL_COLORS)
    channels = [np.interp(places, [0, 1, 2], stops)
                for stops in zip(LOW, MIDDLE, HIGH, strict=True)]
    return np.rint(np.stack(channels, 1)).astype(np.uint8).tobytes()
