"""Curves for TensorBoard: its event files, written without its package.

A file is a row of records: length (uint64), its checksum, the bytes of a protobuf message `Event`,
their checksum.  Checksums are CRC-32C, masked as TensorFlow's record format has it.
"""
import os
import shutil
import struct
import time

POLYNOMIAL = 0x82F63B78            # CRC-32C, reversed
VERSION = b"brain.Event:2"


def crc_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (POLYNOMIAL if byte & 1 else 0)
        table.append(byte)
    return table


TABLE = crc_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def masked_crc(data):
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def varint(number):
    """A whole number from 0 on, seven bits per byte."""
    data = bytearray()
    while number > 0x7F:
        data.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*data, number])


def text_field(number, data):
    """A field of bytes or of a message."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def event(wall_time, step, content):
    """Event: wall_time = 1, step = 2, and one field more."""
    return struct.pack("<Bd", 1 << 3 | 1, wall_time) + varint(2 << 3) + varint(step) + content


def scalars(values):
    """Field 5, a Summary whose field 1 repeats a Value: tag = 1, simple_value = 2 (float)."""
    return text_field(5, b"".join(
        text_field(1, text_field(1, name.encode()) + struct.pack("<Bf", 2 << 3 | 5, value))
        for name, value in values.items()))


class EventFile:
    """Adds scalars to a new file of a folder, which is written anew from earlier records."""

    def __init__(self, folder, records):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        self.path = f"{folder}/events.out.tfevents.{int(time.time())}.run"
        self.write(event(time.time(), 0, text_field(3, VERSION)))
        for record in records:
            self.append(record)

    def append(self, record):
        """A record of the log: {"step": ..., name: number, ...}."""
        values = {f"train/{name}": value for name, value in record.items() if name != "step"}
        self.write(event(time.time(), record["step"], scalars(values)))

    def write(self, data):
        length = struct.pack("<Q", len(data))
        with open(self.path, "ab") as file:
            file.write(length + masked_crc(length) + data + masked_crc(data))
