"""What the predictor takes as an image: one picture in many clothes, and what is no picture."""
import io

import cv2
import numpy as np
import pytest
from PIL import Image

from tools.errors import UserError
from tools.inference import pixels
from tools.inference.pixels import to_pixels


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)


def encoded(image, suffix=".png"):
    return cv2.imencode(suffix, image)[1].tobytes()


def test_every_clothing_of_a_picture(image, tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(encoded(image))
    rgb, rgba = image[..., ::-1], cv2.cvtColor(image, cv2.COLOR_BGR2BGRA)
    addresses = []
    monkeypatch.setattr(pixels, "fetch",
                        lambda address: addresses.append(address) or encoded(image))
    same = [image, image[::-1][::-1], np.asfortranarray(image), rgba, str(tmp_path / "a.png"),
            tmp_path / "a.png", encoded(image), bytearray(encoded(image)),
            memoryview(encoded(image)), Image.fromarray(np.ascontiguousarray(rgb)),
            Image.open(io.BytesIO(encoded(rgba))), "https://host/a.png?size=3", "HTTP://host/a"]
    for value in same:
        found = to_pixels(value)
        assert np.array_equal(found, image) and found.flags.c_contiguous, type(value)
    assert np.array_equal(to_pixels(rgb, "rgb"), image)
    assert np.array_equal(to_pixels(cv2.cvtColor(image, cv2.COLOR_BGR2RGBA), "rgb"), image)
    assert len(addresses) == 2


def test_grey(image):
    grey = image[..., 0]
    expected = np.repeat(grey[..., None], 3, 2)
    for value in (grey, grey[..., None], Image.fromarray(grey.copy()), encoded(grey)):
        assert np.array_equal(to_pixels(value), expected)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr"])
def test_modes_of_pil(mode):
    picture = Image.new("RGB", (8, 6), (255, 255, 255)).convert(mode)
    assert (to_pixels(picture) == 255).all() and to_pixels(picture).shape == (6, 8, 3)


def test_a_photo_is_turned_as_its_exif_says_and_an_array_is_not(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (8, 6)).save(tmp_path / "a.jpg", exif=exif)
    assert to_pixels(tmp_path / "a.jpg").shape == (8, 6, 3)
    assert to_pixels((tmp_path / "a.jpg").read_bytes()).shape == (8, 6, 3)
    assert to_pixels(Image.open(tmp_path / "a.jpg")).shape == (6, 8, 3)


UINT8 = np.zeros((6, 8, 3), np.uint8)


@pytest.mark.parametrize("value, came, advice", [
    (None, "None .* came", "cv2.imread"), (UINT8.astype(np.float64) + 9, r"float64 \[6, 8, 3\]",
                                           "clip"),
    (UINT8.astype(np.float32), "float32", r"0..1: \(image \* 255\)"),
    (UINT8 > 0, "bool", "255"), (UINT8.astype(np.uint16), "uint16", ">> 8"),
    (UINT8.astype(np.int64), "int64", "clip"),
    (UINT8.transpose(2, 0, 1), r"uint8 \[3, 6, 8\]", r"transpose\(1, 2, 0\)"),
    (UINT8[None], r"\[1, 6, 8, 3\]", "a list of arrays"), (UINT8[..., :2], r"\[6, 8, 2\]", None),
    (UINT8[:0], r"\[0, 8, 3\]", "empty"), (UINT8[:, :0], r"\[6, 0, 3\]", "empty"),
    (np.zeros(4, np.uint8), r"uint8 \[4\]", None), (np.array(None), "object", None),
    (3.5, "float", None), ({}, "dict", None), ("", "empty path", None),
    (Image.new("I;16", (4, 4)), "mode 'I;16'", "convert"),
    (Image.new("F", (4, 4)), "mode 'F'", "convert"),
    (np.full((4, 4), np.nan), "float64", None)])
def test_what_is_no_image_is_one_sentence(value, came, advice):
    with pytest.raises(ValueError, match=came) as error:
        to_pixels(value)
    assert "expected uint8 [H, W, 3]" in str(error.value)
    with pytest.raises(UserError, match=advice):
        to_pixels(value)


def test_broken_bytes_and_an_unknown_order(image):
    with pytest.raises(UserError, match="0 bytes"):
        to_pixels(b"")
    with pytest.raises(UserError, match="truncated"):
        to_pixels(encoded(np.tile(image, (20, 20, 1)), ".jpg")[:600])
    with pytest.raises(UserError, match="'gbr': expected 'bgr' or 'rgb'"):
        to_pixels(image, "gbr")
