"""What a file is that OpenCV does not read: by its first bytes, whatever its name ends in.

HEIC, AVIF and JPEG XL are read with a plugin of Pillow where it is installed.
"""
import importlib
import re

import cv2
import numpy as np
from PIL import Image

from tools.errors import UserError

# Only heads are read with Pillow, and what is decoded is checked below: one limit, OpenCV's.
Image.MAX_IMAGE_PIXELS = None
MOST_PIXELS = 1 << 30              # OpenCV's own limit
PLUGINS = {                        # kind: (module, package to install)
    "HEIC": ("pillow_heif", "pillow-heif"), "AVIF": ("pillow_avif", "pillow-avif-plugin"),
    "JPEG XL": ("pillow_jxl", "pillow-jxl-plugin")}
HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"mif1", b"msf1")
KINDS = (                          # (first bytes, what it is, what to do)
    (rb"version https://git-lfs", "a Git LFS pointer, not the image", "git lfs pull"),
    (rb"%PDF", "a PDF document", "save its pages as PNG"),
    (rb"8BPS", "a Photoshop document", "save it as PNG"),
    (rb"PK\x03\x04", "a zip archive", "unpack it"),
    (rb"\x1f\x8b", "a gzip archive", "unpack it"),
    (rb".{128}DICM", "a DICOM file", "convert it to PNG"),
    (rb"SIMPLE  =", "a FITS file", "convert it to PNG"),
    (rb"\x89HDF", "an HDF5 file", "convert its images to PNG"),
    (rb"\x93NUMPY", "a numpy array", "save it with cv2.imwrite"),
    (rb"GIF8", "a GIF image", "convert it to PNG"),
    (rb"(?s:.{4})ftyp", "a video", "take frames of it as images"),
    (rb"\x1aE\xdf\xa3|(?s:RIFF.{4}AVI )", "a video", "take frames of it as images"),
    (rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?<svg", "an SVG drawing", "save it as PNG"),
    (rb"(?i)\s*(<!doctype html|<html|<head|<body)", "a web page, perhaps an error of the download",
     "download the image again"))


def plugin_kind(data):
    """A key of PLUGINS, or None."""
    if data[4:8] == b"ftyp":
        if data[8:12] in (b"avif", b"avis") or b"avif" in data[8:64]:
            return "AVIF"
        return "HEIC" if data[8:12] in HEIC_BRANDS else None
    jpeg_xl = data.startswith((b"\xff\x0a", b"\x00\x00\x00\x0cJXL \r\n\x87\n"))
    return "JPEG XL" if jpeg_xl else None


def decode_other(data, path, open_file):
    """uint8 [H, W, 3], BGR, of a format that OpenCV does not read; UserError that says what it is.

    open_file: function() -> binary file of `data`.
    """
    kind = plugin_kind(data)
    if kind is None:
        what, advice = next(((what, advice) for start, what, advice in KINDS
                             if re.match(start, data[:4096], re.DOTALL)),
                            ("not an image that OpenCV can read, or it is damaged", ""))
        raise UserError(f"'{path}' is {what}" + (f": {advice}" if advice else ""))
    load_plugin(kind)
    try:
        with Image.open(open_file()) as image:
            if image.width * image.height > MOST_PIXELS:
                raise UserError(f"image '{path}' has {image.width} x {image.height} pixels, more "
                                f"than {MOST_PIXELS}")
            return cv2.cvtColor(np.asarray(image.convert("RGB")), cv2.COLOR_RGB2BGR)
    except UserError:
        raise
    except Image.UnidentifiedImageError:
        module, package = PLUGINS[kind]
        raise UserError(f"image '{path}' is {kind}, which OpenCV does not read: pip install "
                        f"{package}, or convert it to JPEG or PNG") from None
    except (OSError, ValueError, SyntaxError, EOFError, RuntimeError) as error:
        raise UserError(f"image '{path}' is {kind}, but damaged: {error}") from None


def load_plugin(kind):
    """Let Pillow read a kind of PLUGINS, if its package is installed."""
    try:
        module = importlib.import_module(PLUGINS[kind][0])
    except ImportError:
        return
    if hasattr(module, "register_heif_opener"):
        module.register_heif_opener()
