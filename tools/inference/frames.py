"""The frames of a video file in order, as a person sees them, with their times.

By PyAV where it is installed, which knows the time of every frame, else by OpenCV.  Live sources
are in streams.py.
"""
import os
import tempfile
from typing import NamedTuple

import cv2
import numpy as np

from tools.download import download
from tools.errors import UserError
from tools.files import irregular

VIDEO_SUFFIXES = (".3gp", ".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts",
                  ".webm", ".wmv")
DEFAULT_RATE = 25.0                # frames per second where a file does not say
TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
MISSING = 0.02                     # part of the frames that a header may count too many


class Frame(NamedTuple):
    """One image of a video."""

    index: int                     # in the file, from 0
    seconds: float                 # from the beginning of the video
    image: np.ndarray              # uint8 [H, W, 3] BGR, upright

    def __str__(self):
        return f"frame {self.index}"


def is_video(path):
    return str(path).lower().endswith(VIDEO_SUFFIXES)


def open_video(path, start=0.0, end=None, every=1):
    """A PyAvVideo, or without PyAV an OpenCvVideo.  UserError if there is nothing to be read.

    path: of a file, or the http(s) address of one, which is downloaded first.
    start, end: seconds, of which frames are wanted; every: 3 for each third of these.
    Iterating gives Frames.  `rate`: frames per second of the file; `expected`: the number of Frames
    to come, None if unknown; `damage`: after the last one, a sentence on what could not be read,
    or "".
    """
    path, folder = str(path), None
    if path.lower().startswith(("http://", "https://")):
        folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        address, path = path, os.path.join(folder.name, "video")
        download(address, path)
    if kind := irregular(path):
        raise UserError(f"video '{path}' is {kind}")
    try:
        if os.path.getsize(path) == 0:
            raise UserError(f"video '{path}' is empty (0 bytes)")
    except OSError as error:
        raise UserError(f"video '{path}' cannot be read: {error.strerror}") from None
    video = (OpenCvVideo if load_av() is None else PyAvVideo)(path, start, end, every)
    video.folder = folder                              # of a download, which lives as long
    return video


def load_av():
    """The module av, None where it is not installed."""
    try:
        import av
    except ImportError:
        return None
    return av


class VideoFile:
    """What both readers share: which frames are wanted, and whether all came."""

    def __init__(self, path, start, end, every):
        self.path, self.start, self.end, self.every = path, start, end, every
        self.rate, self.count, self.duration = DEFAULT_RATE, 0, 0.0          # 0: unknown
        self.read, self.broken, self.damage = 0, 0, ""

    @property
    def expected(self):
        count = self.count or round(self.duration * self.rate)
        if not count:
            return None
        last = count if self.end is None else min(count, int(self.end * self.rate) + 1)
        return max(0, -(-(last - round(self.start * self.rate)) // self.every))

    def wanted(self, index, seconds):
        """Whether a frame is wanted; counts those that lie within start and end."""
        if seconds < self.start - 1e-6:
            return False
        self.read += 1
        return (self.read - 1) % self.every == 0

    def past(self, seconds):
        return self.end is not None and seconds > self.end + 1e-6

    def check(self, index, complete):
        """Set `damage` after the last frame, number `index` of the file."""
        missing = self.count - (index + 1) if complete else 0
        if self.read == 0 and self.start == 0:
            self.damage = f"video '{self.path}' has no frame that can be read: it is damaged"
        elif self.read == 0:
            self.damage = (f"video '{self.path}' has no frame between {self.start:g} s and "
                           f"{'its end' if self.end is None else f'{self.end:g} s'}")
        elif missing > max(2, MISSING * self.count):
            self.damage = (f"video '{self.path}' is truncated or damaged: {index + 1} of its "
                           f"{self.count} frames could be read; copy or download it again")
        elif self.broken:
            self.damage = (f"video '{self.path}' is damaged: {self.broken} of its packets could "
                           "not be decoded")


class PyAvVideo(VideoFile):
    """Through FFmpeg's libraries in the package av."""

    def __init__(self, path, start=0.0, end=None, every=1):
        super().__init__(path, start, end, every)
        self.av = load_av()
        self.container = self.open()
        if not self.container.streams.video:
            raise UserError(f"'{path}' has no video in it, or it is damaged or truncated")
        stream = self.container.streams.video[0]
        stream.thread_type = "AUTO"
        self.rate = float(stream.average_rate or stream.guessed_rate or DEFAULT_RATE)
        self.count = stream.frames
        if self.container.duration:
            self.duration = self.container.duration / 1e6                    # microseconds
        self.size = stream.codec_context.height, stream.codec_context.width

    def open(self):
        try:
            return self.av.open(self.path)
        except self.av.error.FFmpegError as error:
            raise UserError(f"video '{self.path}' cannot be opened: it is no video, or damaged or "
                            f"truncated ({error.strerror})") from None

    def __iter__(self):
        stream = self.container.streams.video[0]
        origin = stream.start_time or 0
        if self.start > 0:                             # to the key frame before it
            self.container.seek(origin + int(self.start / stream.time_base), stream=stream)
        index, seconds, sought = -1, -1 / self.rate, self.start > 0
        for decoded in self.decode(stream):
            if decoded.pts is None:
                seconds += 1 / self.rate
            else:
                seconds = float((decoded.pts - origin) * stream.time_base)
            index = round(seconds * self.rate) if sought and index < 0 else index + 1
            if self.past(seconds):
                break
            if self.wanted(index, seconds):
                yield Frame(index, max(0.0, seconds), upright(decoded))
        self.check(index, complete=not sought and not self.past(seconds))
        self.container.close()

    def decode(self, stream):
        """The frames of all packets that are whole; the others are counted in `broken`."""
        packets = self.container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except self.av.error.FFmpegError:
                self.broken += 1
                return
            try:
                yield from packet.decode()
            except self.av.error.FFmpegError:
                self.broken += 1


def upright(decoded):
    """A frame of PyAV -> uint8 [H, W, 3] BGR, turned as its rotation metadata says."""
    image = decoded.to_ndarray(format="bgr24")
    quarters = round(getattr(decoded, "rotation", 0) / 90) % 4
    return np.ascontiguousarray(np.rot90(image, quarters)) if quarters else image


class OpenCvVideo(VideoFile):
    """Through OpenCV, which turns the frames itself."""

    def __init__(self, path, start=0.0, end=None, every=1):
        super().__init__(path, start, end, every)
        self.capture = cv2.VideoCapture(path)
        if not self.capture.isOpened():
            raise UserError(f"video '{path}' cannot be opened: it is no video, damaged or "
                            "truncated, or in a format that this OpenCV does not read "
                            "(pip install av reads more)")
        self.capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)             # some versions ignore a 1
        self.turn = TURNS.get(round(self.capture.get(cv2.CAP_PROP_ORIENTATION_META)) % 360)
        rate = self.capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if 0 < rate < 1000 else DEFAULT_RATE
        self.count = max(0, int(self.capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self.size = (int(self.capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
                     int(self.capture.get(cv2.CAP_PROP_FRAME_WIDTH)))

    def __iter__(self):
        index, seconds = -1, 0.0
        while self.capture.grab():
            index += 1
            stamp = self.capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3
            seconds = stamp if stamp > seconds or index == 0 else seconds + 1 / self.rate
            if self.past(seconds):
                break
            if self.wanted(index, seconds):
                whole, image = self.capture.retrieve()
                if whole:
                    yield Frame(index, seconds, self.upright(image))
                else:
                    self.broken += 1
        self.check(index, complete=not self.past(seconds))
        self.capture.release()

    def upright(self, image):
        return image if self.turn is None else cv2.rotate(image, self.turn)
