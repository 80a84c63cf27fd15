"""The uncompressed records of a zip file in memory, as PyTorch writes them; nothing is unpacked.

Own code rather than `zipfile`, which follows whatever the directory of a hostile file says.
"""
import struct
import zlib

from convert.errors import ConversionError
from tools.errors import shown

MAX_RECORDS = 100_000
END, END64, LOCATOR64, ENTRY, LOCAL = b"PK\5\6", b"PK\6\6", b"PK\6\7", b"PK\1\2", b"PK\3\4"
ENTRY_LAYOUT = "<4s6H3I5H2I"       # 46 bytes, then name, extra, comment
BIG = 0xFFFFFFFF                   # stands for "see the zip64 extra field"


class ZipRecords:
    """ZipRecords(data): names, and `read(name)` -> memoryview of a record, checksum verified."""

    def __init__(self, data):
        self.data = memoryview(data)
        self.verified, self.budget = set(), 2 * len(data)    # records may share their bytes
        self.records = dict(self.entries(*self.directory()))

    def numbers(self, layout, position):
        """The numbers at `position`.  ConversionError if that is outside the file."""
        return unpack(layout, self.data, position)

    def directory(self):
        """(number of entries, position of the first) from the end of the file."""
        tail = bytes(self.data[-65557:])
        end = tail.rfind(END)
        if end < 0:
            raise ConversionError("the zip file is truncated: it has no directory")
        count, _, position = unpack("<H2I", tail, end + 10)
        if end >= 20 and tail[end - 20:end - 16] == LOCATOR64:
            end64, = unpack("<Q", tail, end - 12)
            if self.numbers("4s", end64) != (END64,):
                raise ConversionError("the zip64 directory is damaged")
            count, _, position = self.numbers("<3Q", end64 + 32)
        if count > MAX_RECORDS:
            raise ConversionError(f"the zip file claims {count} records")
        return count, position

    def entries(self, count, position):
        """(name, (start, size, checksum)) of every record in the directory."""
        for _ in range(count):
            fields = self.numbers(ENTRY_LAYOUT, position)
            signature, flags, method, checksum = fields[0], fields[3], fields[4], fields[7]
            stored, size, name_length, extra_length, comment_length = fields[8:13]
            start = position + 46
            name = bytes(self.data[start:start + name_length]).decode("utf-8", "replace")
            if signature != ENTRY or flags & 1 or ".." in name.split("/") or name.startswith("/"):
                raise ConversionError(f"refused the zip entry '{shown(name)}'")
            if method != 0:
                raise ConversionError(f"the record '{shown(name)}' is compressed; PyTorch stores "
                                      "its records as they are")
            extra = bytes(self.data[start + name_length:start + name_length + extra_length])
            stored, size, offset = wide_numbers(extra, stored, size, fields[16])
            if stored != size:
                raise ConversionError(f"the record '{shown(name)}' lies about its size")
            yield name, (self.content_start(offset), size, checksum)
            position = start + name_length + extra_length + comment_length

    def content_start(self, offset):
        """Where the content behind the local header at `offset` begins."""
        if self.numbers("4s", offset) != (LOCAL,):
            raise ConversionError("the zip directory points outside its records")
        return offset + 30 + sum(self.numbers("<2H", offset + 26))

    def read(self, name):
        if name not in self.records:
            raise ConversionError(f"the zip file has no record '{shown(name)}'")
        start, size, checksum = self.records[name]
        if start + size > len(self.data):
            raise ConversionError(f"the record '{shown(name)}' ends behind the end of the file")
        content = self.data[start:start + size]
        if name not in self.verified:
            self.budget -= size
            if self.budget < 0:
                raise ConversionError("the records of the zip file overlap")
            if zlib.crc32(content) != checksum:
                raise ConversionError(f"the record '{shown(name)}' is damaged (checksum); fetch it "
                                      "again")
            self.verified.add(name)
        return content


def unpack(layout, data, position):
    """The numbers at `position` of `data`.  ConversionError if that is outside."""
    if not 0 <= position <= len(data) - struct.calcsize(layout):
        raise ConversionError("the zip directory is damaged: it points outside the file")
    return struct.unpack_from(layout, data, position)


def wide_numbers(extra, *numbers):
    """stored size, size and offset, each from the zip64 field of `extra` where it is 0xffffffff."""
    position, wide = 0, b""
    while position + 4 <= len(extra):
        kind, length = unpack("<2H", extra, position)
        if kind == 1:
            wide = extra[position + 4:position + 4 + length]
        position += 4 + length
    stored, size, offset = numbers
    position, values = 0, []
    for number in (size, stored, offset):                # the order of the field
        if number == BIG:
            number, = unpack("<Q", wide, position)
            position += 8
        values.append(number)
    return values[1], values[0], values[2]
