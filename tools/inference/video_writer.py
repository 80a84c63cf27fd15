"""A video file, frame by frame with its time: H.264 by PyAV, else MPEG-4 by OpenCV.

PyAV first writes <name>.part.mp4 in fragments, which plays whatever ends the process; `close` gives
it its name and then copies it, with the sound of the source, into a file that starts at once in a
browser.
"""
import os
from fractions import Fraction
from pathlib import Path

import cv2

from tools.errors import UserError
from tools.files import UNFINISHED, refuse_input
from tools.inference.frames import load_av
from tools.inference.video_sound import join

TIME_BASE = Fraction(1, 90000)     # of a second: fine enough for every frame rate in use
ENCODERS = ("libx264", "libopenh264", "h264_videotoolbox", "h264_mf", "mpeg4")      # the best first
OPTIONS = {"libx264": {"preset": "veryfast", "crf": "20"}}
BT601, LIMITED_RANGE = 6, 1        # what OpenCV converts to; else players guess by the size
KEY_FRAMES = 2                     # seconds between them: what a killed process loses at most


def open_writer(path, rate):
    """A PyAvWriter, or an OpenCvWriter where PyAV is not installed, of an .mp4 file."""
    return (OpenCvWriter if load_av() is None else PyAvWriter)(path, rate)


class PyAvWriter:
    """writer.write(image uint8 [H, W, 3] BGR, seconds), in order; writer.close() at the end.

    The first image gives the size and the time 0.  `codec`: in words; `frames`: written so far.
    """

    def __init__(self, path, rate):
        self.av = load_av()
        self.path, self.part = Path(path), Path(f"{path}.part.mp4")
        self.encoder = next(name for name in ENCODERS if name in self.av.codecs_available)
        self.codec = f"{'MPEG-4' if self.encoder == 'mpeg4' else 'H.264'} by PyAV, {self.encoder}"
        self.rate, self.frames, self.container = rate, 0, None
        self.first, self.stamp = 0.0, -1               # of the first frame, of the last one

    def start(self, image, seconds):
        """Open the file for images of this size, made even as H.264 wants it."""
        self.first = seconds
        refuse_input(self.path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.container = self.av.open(str(self.part), "w", format="mp4", options={
                "movflags": "frag_keyframe+empty_moov+default_base_moof", "flush_packets": "1"})
        except OSError as error:
            raise UserError(f"cannot write '{self.part}': {error.strerror}") from None
        rate = Fraction(self.rate).limit_denominator(1001)
        self.stream = self.container.add_stream(self.encoder, rate=rate,
                                                options=OPTIONS.get(self.encoder, {}))
        context = self.stream.codec_context
        context.height, context.width = even(image.shape[:2])
        context.pix_fmt, context.time_base = "yuv420p", TIME_BASE
        context.colorspace, context.color_range = BT601, LIMITED_RANGE
        context.gop_size = max(1, round(KEY_FRAMES * self.rate))
        context.thread_type = "AUTO"

    def write(self, image, seconds):
        if self.container is None:
            self.start(image, seconds)
        context = self.stream.codec_context
        # OpenCV's conversion: that of FFmpeg is up to 4 gray levels darker
        image = cv2.cvtColor(fitted(image, (context.height, context.width)),
                             cv2.COLOR_BGR2YUV_I420)
        frame = self.av.VideoFrame.from_ndarray(image, format="yuv420p")
        self.stamp = max(self.stamp + 1, round((seconds - self.first) / TIME_BASE))
        frame.pts, frame.time_base = self.stamp, TIME_BASE
        try:
            self.container.mux(self.stream.encode(frame))
        except OSError as error:
            raise UserError(f"cannot write '{self.part}': {error.strerror}") from None
        self.frames += 1

    def close(self, sound=None):
        """Finish the file, with the sound of the video `sound` where it has some.

        Returns what is to be said about it, "" for nothing.
        """
        if self.container is None:
            return ""
        temporary, remark = Path(f"{self.path}.join.mp4"), ""
        UNFINISHED.add(temporary)
        try:
            self.container.mux(self.stream.encode())
            self.container.close()
            self.container = None
            os.replace(self.part, self.path)           # it plays, if nothing more is to come
            try:
                join(self.path, temporary, sound, self.first, float(self.stamp * TIME_BASE))
            except (self.av.error.FFmpegError, ValueError) as error:
                remark = f"the sound of '{sound}' could not be kept: {error}"
                join(self.path, temporary)
            os.replace(temporary, self.path)
        except OSError as error:                       # such as a full disk
            remark = f"'{self.path}' could not be finished: {error.strerror or error}"
        finally:
            temporary.unlink(missing_ok=True)
            UNFINISHED.discard(temporary)
        return remark


class OpenCvWriter:
    """As PyAvWriter, with a fixed frame rate and without sound."""

    def __init__(self, path, rate):
        self.path, self.rate, self.frames, self.writer = Path(path), rate, 0, None
        self.codec = "MPEG-4 (mp4v) by OpenCV, without sound; some browsers do not play it: " \
                     "pip install av for H.264 and the sound"

    def write(self, image, seconds):
        if self.writer is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.size = even(image.shape[:2])
            self.writer = cv2.VideoWriter(str(self.path), cv2.VideoWriter_fourcc(*"mp4v"),
                                          self.rate, self.size[::-1])
            if not self.writer.isOpened():
                raise UserError(f"OpenCV cannot write '{self.path}': pip install av")
        self.writer.write(fitted(image, self.size))
        self.frames += 1

    def close(self, sound=None):
        if self.writer is not None:
            self.writer.release()
            self.writer = None
        return ""


def even(size):
    return tuple(side + side % 2 for side in size)


def fitted(image, size):
    """The image with its last row and column twice if need be; another size is scaled."""
    if even(image.shape[:2]) != size:
        return cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)
    return cv2.copyMakeBorder(image, 0, size[0] - image.shape[0], 0, size[1] - image.shape[1],
                              cv2.BORDER_REPLICATE)
