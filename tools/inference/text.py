"""Text on images in any script that OpenCV or a font of this computer can draw.

ASCII is drawn by OpenCV.  Of the rest OpenCV 5 brings many scripts along; OpenCV 4 writes question
marks, so there Pillow draws with the first font of the system that has all the letters.
"""
import functools
import os
import sys
import unicodedata
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

FONT = cv2.FONT_HERSHEY_SIMPLEX
PIXELS = 30                        # size of a Pillow font that looks like OpenCV's scale 1.0
NO_LETTER = "\uffff"               # shown as the box that stands for a missing letter
OPENCV_HAS_FONTS = int(cv2.__version__.split(".")[0]) >= 5
FONT_FOLDERS = {"darwin": ("/System/Library/Fonts", "/Library/Fonts", "~/Library/Fonts"),
                "win32": (os.path.expandvars(r"%WINDIR%\Fonts"),)}.get(
                    sys.platform, ("/usr/share/fonts", "/usr/local/share/fonts", "~/.fonts",
                                   "~/.local/share/fonts"))
# Parts of file names, the best first: fonts with many scripts, then those of one.
PREFERRED = ("notosanscjk", "sourcehansans", "wqy", "msyh", "pingfang", "hiragino", "arial unicode",
             "malgun", "meiryo", "simhei", "droidsansfallback", "unifont", "dejavusans.", "arial.",
             "notosans-regular", "segoeui.", "liberationsans-regular", "freesans.")


def drawable_name(class_names, index):
    """A class name as it can be drawn here: itself, else without accents, else 'class N'."""
    name = " ".join(class_names[index].split())
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", name)
                    if not unicodedata.combining(letter))
    for text in (name, plain):
        if text and is_drawable(text):
            return text
    return f"class {index}"


def is_drawable(text):
    return by_opencv(text) or find_font(frozenset(text)) is not None


@functools.lru_cache(maxsize=4096)
def by_opencv(text):
    """Whether OpenCV has every letter of the text."""
    if text.isascii():
        return text.isprintable()
    return OPENCV_HAS_FONTS and all(opencv_has(letter) for letter in text)


@functools.lru_cache(maxsize=4096)
def opencv_has(letter):
    return letter.isspace() or opencv_picture(letter) != opencv_picture(NO_LETTER)


def opencv_picture(letter):
    canvas = np.zeros((48, 64), np.uint8)
    cv2.putText(canvas, letter, (8, 36), FONT, 1.0, 255)
    return canvas.tobytes()


@functools.lru_cache(maxsize=4096)
def find_font(letters):
    """The path of the first font of this computer with all of the letters, or None."""
    for path in font_files():
        font = load_font(path, PIXELS)
        if font is not None and all(font_has(path, letter) for letter in letters):
            return path
    return None


@functools.cache
def font_files():
    """Paths of the preferred fonts that are installed, the best first."""
    paths = [path for folder in FONT_FOLDERS for path in Path(folder).expanduser().rglob("*")
             if path.suffix.lower() in (".ttf", ".ttc", ".otf")]
    ranked = [(rank, "bold" in path.name.lower(), str(path)) for path in paths
              for rank, part in enumerate(PREFERRED) if part in path.name.lower()]
    return [path for _, _, path in sorted(ranked)]


@functools.lru_cache(maxsize=64)
def load_font(path, pixels):
    try:
        return ImageFont.truetype(path, pixels)
    except OSError:                                    # damaged, or Pillow without FreeType
        return None


@functools.lru_cache(maxsize=4096)
def font_has(path, letter):
    font = load_font(path, PIXELS)
    return letter.isspace() or bytes(font.getmask(letter)) != bytes(font.getmask(NO_LETTER))


def measure_text(text, scale, thickness):
    """(width, ascent, descent) of a text in pixels; scale: as OpenCV's font scale."""
    if by_opencv(text):
        (width, ascent), descent = cv2.getTextSize(text, FONT, scale, thickness)
        return width, ascent, descent
    font = load_font(find_font(frozenset(text)), max(8, round(PIXELS * scale)))
    ascent, descent = font.getmetrics()
    return round(font.getlength(text)), ascent, descent


def put_text(canvas, text, origin, scale, ink, thickness):
    """Write a text on a uint8 BGR image; origin: (x, y) where its base line starts."""
    if by_opencv(text):
        cv2.putText(canvas, text, origin, FONT, scale, ink, thickness, cv2.LINE_AA)
        return
    width, ascent, descent = measure_text(text, scale, thickness)
    x, top = origin[0], origin[1] - ascent
    picture = Image.new("L", (width, ascent + descent))
    font = load_font(find_font(frozenset(text)), max(8, round(PIXELS * scale)))
    ImageDraw.Draw(picture).text((0, 0), text, 255, font)
    region = canvas[top:top + ascent + descent, x:x + width]
    cover = np.asarray(picture)[:region.shape[0], :region.shape[1], None] / 255
    region[:] = np.rint(region * (1 - cover) + np.array(ink) * cover)
