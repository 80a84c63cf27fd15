"""The EXIF orientation of an image, read without a library: damaged metadata means upright.

One rule for all formats: JPEG, PNG and WebP carry EXIF in a segment or chunk, which is a little
TIFF file; TIFF files carry the tag themselves.
"""
import struct

import numpy as np

ORIENTATION = 0x0112
SHORT = 3                          # its type
UPRIGHT = 1
MOST_ENTRIES = 4096                # of a directory that can be meant


def find_orientation(data):
    """(1..8 as EXIF defines it, position of the value in `data` or None, byte order "<" or ">").

    data: the bytes of an image file.  Upright where the file does not say, or what it says is not
    to be read.
    """
    try:
        start = exif_start(data)
        return (UPRIGHT, None, "<") if start is None else read_tag(data, start)
    except (struct.error, IndexError, ValueError, OverflowError):      # damaged, cut or made up
        return UPRIGHT, None, "<"


def exif_start(data):
    """Where the TIFF structure with the tags begins; None without one."""
    head = bytes(data[:12])
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return 0
    if head[:2] == b"\xff\xd8":
        return jpeg_exif(data)
    if head[:4] == b"\x89PNG":
        return chunk(data, 8, b"eXIf", ">I4s", 4)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        start = chunk(data, 12, b"EXIF", "<4sI", 0)
        marked = start is not None and bytes(data[start:start + 6]) == b"Exif\0\0"
        return start + 6 if marked else start
    return None


def jpeg_exif(data):
    """After the APP1 segment's name, before the image data begin."""
    place = 2
    while data[place] == 0xFF and data[place + 1] != 0xDA:
        length, = struct.unpack_from(">H", data, place + 2)
        if data[place + 1] == 0xE1 and bytes(data[place + 4:place + 10]) == b"Exif\0\0":
            return place + 10
        place += 2 + length
    return None


def chunk(data, place, name, head, checksum):
    """Where the content of a PNG or WebP chunk begins; None where there is no such."""
    while place + 8 <= len(data):
        first, second = struct.unpack_from(head, data, place)
        length, kind = (first, second) if isinstance(first, int) else (second, first)
        if kind == name:
            return place + 8
        place += 8 + length + checksum
        place += 0 if checksum else length % 2          # WebP pads to even places
    return None


def read_tag(data, start):
    """`find_orientation` of the TIFF structure at `start`."""
    order = {b"II": "<", b"MM": ">"}.get(bytes(data[start:start + 2]))
    if order is None:
        return UPRIGHT, None, "<"
    large = struct.unpack_from(order + "H", data, start + 2)[0] == 43           # BigTIFF
    offset, = struct.unpack_from(order + "QI"[not large], data, start + (8 if large else 4))
    count, = struct.unpack_from(order + "QH"[not large], data, start + offset)
    first, size, place = (8, 20, 12) if large else (2, 12, 8)
    for number in range(min(count, MOST_ENTRIES)):
        entry = start + offset + first + number * size
        tag, kind = struct.unpack_from(order + "HH", data, entry)
        if tag == ORIENTATION and kind == SHORT:
            value, = struct.unpack_from(order + "H", data, entry + place)
            if 1 <= value <= 8:
                return value, entry + place, order
    return UPRIGHT, None, order


def upright(data):
    """The bytes of a TIFF file without its orientation, by which every decoder turns the pixels."""
    orientation, place, order = find_orientation(data)
    if orientation == UPRIGHT or not is_tiff(data):
        return data
    changed = bytearray(data)
    struct.pack_into(order + "H", changed, place, UPRIGHT)
    return changed


def is_tiff(data):
    return bytes(data[:2]) in (b"II", b"MM")


def turned(image, orientation):
    """An image [H, W, ...] as EXIF's `orientation` wants it shown."""
    if orientation > 4:
        image = image.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)
