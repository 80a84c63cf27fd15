"""Image files as people have them: damaged metadata, orientation, other formats, no files."""
import importlib.util
import io
import os
import struct

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin, features

from tools.data import slow_reads
from tools.data.images import decode_image, exif_orientation, image_size, read_image
from tools.data.orientation import find_orientation, turned
from tools.errors import UserError

PIXELS = np.zeros((20, 30, 3), np.uint8)
PIXELS[2:9, 3:5] = (250, 40, 90)                       # an L: no orientation maps it to itself
PIXELS[7:9, 3:12] = (250, 40, 90)
ORIENTED = {"jpg": {"quality": 100, "subsampling": 0}, "png": {}, "webp": {"lossless": True},
            "tif": {}}


def encoded(suffix, orientation=None, exif=None):
    """The bytes of PIXELS in a format, with an orientation tag or with other bytes as EXIF."""
    file, options = io.BytesIO(), dict(ORIENTED[suffix])
    if orientation:
        exif = Image.Exif()
        exif[0x0112] = orientation
    if exif is not None:
        options["exif"] = exif
    kind = {"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix)
    Image.fromarray(PIXELS).save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("suffix", ORIENTED)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_one_rule_of_orientation_for_all_formats(tmp_path, suffix, orientation):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(encoded(suffix, orientation))
    stored, shown = read_image(path), read_image(path, apply_exif=True)
    assert stored.shape == (20, 30, 3) and image_size(path) == (20, 30)
    assert np.abs(stored.astype(int) - PIXELS[..., ::-1]).max() <= 60
    assert exif_orientation(path) == orientation
    with Image.open(io.BytesIO(encoded("png", orientation))) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(turned(PIXELS, orientation), expected)
    assert np.abs(shown.astype(int) - expected[..., ::-1]).max() <= 60


def test_big_tiff(tmp_path):
    rows = PIXELS.tobytes()
    entries = [(256, 3, 1, 30), (257, 3, 1, 20), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 2),
               (273, 4, 1, 16), (274, 3, 1, 6), (277, 3, 1, 3), (278, 3, 1, 20),
               (279, 4, 1, len(rows))]
    offset = 16 + len(rows)
    data = struct.pack("<2sHHHQ", b"II", 43, 8, 0, offset) + rows + struct.pack("<Q", len(entries))
    data += b"".join(struct.pack("<HHQQ", *entry) for entry in entries) + struct.pack("<Q", 0)
    assert find_orientation(data)[0] == 6
    stored = decode_image(data, "a.tif")
    assert stored.shape == (20, 30, 3)


DAMAGED = [b"", b"Exif\0\0", b"Exif\0\0II*\0", b"Exif\0\0II*\0\xff\xff\xff\xff",
           b"Exif\0\0MM\0*" + bytes(4),
           b"Exif\0\0" + b"\xff" * 40, b"II*\0\x08\0\0\0\xff\xff" + b"\x12\x01\x03\0" * 3,
           b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\x01\2\0\4\0\0\0abcd", b"nonsense" * 9]


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize("exif", DAMAGED[1:], ids=range(len(DAMAGED) - 1))
def test_damaged_metadata_means_upright(tmp_path, suffix, exif):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(encoded(suffix, exif=exif))
    for apply_exif in (False, True):
        assert read_image(path, apply_exif).shape == (20, 30, 3)
    assert exif_orientation(path) == 1 and image_size(path) == (20, 30)


def test_any_bytes_as_metadata_do_no_harm():
    rng = np.random.default_rng(0)
    whole = bytearray(encoded("jpg", 6))
    for _ in range(300):
        data = bytearray(whole)
        for place in rng.integers(2, 80, 3):
            data[place] = rng.integers(256)
        assert 1 <= find_orientation(data)[0] <= 8
        assert 1 <= find_orientation(data[:rng.integers(len(data))])[0] <= 8


@pytest.mark.parametrize("head", [b"II+\0\x08\0\0\0" + b"\xff" * 12,
                                  b"MM\0+\0\x08\0\0\x7f" + b"\xff" * 9])
def test_directories_beyond_the_end_of_all_numbers(head):
    assert find_orientation(head)[0] == 1


def test_texts_and_profiles_in_a_png(tmp_path):
    info = PngImagePlugin.PngInfo()
    info.add_text("Raw profile type exif", "\nexif\n      12\nzzzz")
    Image.fromarray(PIXELS).save(tmp_path / "a.png", pnginfo=info, icc_profile=b"none")
    assert read_image(tmp_path / "a.png", apply_exif=True).shape == (20, 30, 3)
    assert image_size(tmp_path / "a.png") == (20, 30)


def test_no_limit_but_the_decoder_s(tmp_path):
    """More than Pillow's 179 million pixels, nearly all of them zeros in the file."""
    cv2.imwrite(str(tmp_path / "large.png"), np.zeros((13500, 13500), np.uint8),
                [cv2.IMWRITE_PNG_COMPRESSION, 1])
    assert image_size(tmp_path / "large.png") == (13500, 13500)


HEAD = {"HEIC": b"\0\0\0\x18ftypheic" + bytes(40), "AVIF": b"\0\0\0\x18ftypavif" + bytes(40),
        "JPEG XL": b"\xff\x0a" + bytes(40)}


@pytest.mark.parametrize("kind", HEAD)
def test_formats_that_need_a_plugin_are_named_with_it(tmp_path, kind):
    path = tmp_path / "photo.jpg"                      # a wrong suffix changes nothing
    path.write_bytes(HEAD[kind])
    with pytest.raises(UserError, match=f"photo.jpg' is {kind}, (which OpenCV does not read: pip "
                                        "install pillow-|but damaged)"):
        read_image(path)
    assert image_size(path) is None


@pytest.mark.skipif(not features.check("avif"), reason="needs a Pillow that writes AVIF")
def test_a_damaged_head_of_avif_has_no_size(tmp_path):
    file, path = io.BytesIO(), tmp_path / "a.avif"
    Image.fromarray(PIXELS).save(file, "AVIF")
    found = set()
    for place in range(12, 300):
        data = bytearray(file.getvalue())
        data[place] ^= 0xFF
        path.write_bytes(data)
        found.add(image_size(path))
    assert {None, (20, 30)} <= found


@pytest.mark.skipif(not importlib.util.find_spec("pillow_heif"), reason="needs pillow-heif")
def test_heic_is_read_with_its_plugin(tmp_path):
    import pillow_heif
    pillow_heif.register_heif_opener()
    large = np.repeat(np.repeat(PIXELS, 8, 0), 8, 1)
    Image.fromarray(large).save(tmp_path / "a.heic", quality=95)
    found = read_image(tmp_path / "a.heic")
    assert found.shape == (160, 240, 3) and image_size(tmp_path / "a.heic") == (160, 240)
    assert np.abs(found.astype(int) - large[..., ::-1]).mean() < 12


@pytest.mark.parametrize("content, message", [
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS pointer.*git lfs pull"),
    (b"%PDF-1.7 ...", "PDF"), (b"<!DOCTYPE html><html>404", "web page"),
    (b"\n <HTML><body>", "web page"), (b"<?xml version='1'?>\n<svg>", "SVG"),
    (bytes(128) + b"DICM", "DICOM"), (b"\0\0\0\x18ftypisom" + bytes(9), "video"),
    (b"8BPS\0\1", "Photoshop"), (b"PK\3\4....", "zip"), (b"anything else", "not an image that")])
def test_what_is_no_image_is_named(tmp_path, content, message):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(UserError, match=f"a.png' is .*{message}"):
        read_image(tmp_path / "a.png")


def test_pipes_devices_and_names_that_cannot_be(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for path, message in ((tmp_path / "pipe.png", "a named pipe"), ("/dev/zero", "a device"),
                          (tmp_path, "a folder"), ("a\0b.png", "cannot be read"),
                          (tmp_path / ("x" * 300 + ".png"), "cannot be read")):
        with pytest.raises(UserError, match=message):
            read_image(path)
        assert image_size(path) is None


def test_a_slow_read_is_named_once(caplog):
    with slow_reads.watched("/net/a.png"):
        (_, began), = slow_reads.reading.values()
        assert slow_reads.warn(began + 59, set()) == set() and not caplog.records
        named = slow_reads.warn(began + 61, set())
        assert "'/net/a.png' has taken 61 s" in caplog.text
        slow_reads.warn(began + 90, named)
        assert len(caplog.records) == 1
    assert not slow_reads.reading
