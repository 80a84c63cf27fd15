"""Live sources: cameras by number and network streams, read by OpenCV.

A thread reads on while the network works and keeps the newest frame only, so that what is shown is
never older than one frame; frames that come meanwhile are lost, and counted.
"""
import sys
import threading
import time

import cv2

from tools.errors import UserError
from tools.inference.frames import DEFAULT_RATE, Frame

SCHEMES = ("rtmp://", "rtp://", "rtsp://", "rtsps://", "srt://", "tcp://", "udp://")
LIVE_SUFFIXES = (".m3u8", ".mjpeg", ".mjpg", ".sdp")    # of http addresses
TIMEOUT = 10                       # seconds without an answer
WAITS = (1, 2, 4, 8, 15)           # seconds before each attempt to connect again
STEADY = 10                        # seconds after which a connection counts as good again


def is_live(source):
    """Whether a source is a camera number, a stream or the http address of one."""
    text = str(source).lower()
    if text.startswith(("http://", "https://")):
        return text.partition("?")[0].endswith(LIVE_SUFFIXES)
    return text.isdecimal() or text.startswith(SCHEMES)


class LiveStream:
    """Iterating gives Frames until `end` seconds or until the source is gone for good.

    source: the number of a camera or an address.  Seconds count from the first frame.  UserError
    where it cannot be opened; what breaks later is connected again, after WAITS.
    `damage`, `expected`, `rate`: as of frames.open_video.
    """

    expected = None

    def __init__(self, source, end=None, every=1, waits=WAITS):
        self.source, self.end, self.every, self.waits = str(source), end, every, waits
        self.damage, self.lost = "", 0
        self.capture = self.connect()
        if self.capture is None:
            kind = "camera" if self.source.isdecimal() else "stream"
            raise UserError(f"{kind} '{self.source}' cannot be opened: expected the number of a "
                            "camera that nothing else uses (0 is the first), or an address such as "
                            "rtsp://host/path that answers")
        rate = self.capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if 0 < rate < 1000 else DEFAULT_RATE
        self.newest, self.open = None, True
        self.changed = threading.Condition()

    def connect(self):
        """An open cv2.VideoCapture, or None."""
        if self.source.isdecimal():
            capture = cv2.VideoCapture(int(self.source))
        else:
            limit = 1000 * TIMEOUT
            capture = cv2.VideoCapture(self.source, cv2.CAP_FFMPEG,
                                       [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, limit,
                                        cv2.CAP_PROP_READ_TIMEOUT_MSEC, limit])
        return capture if capture.isOpened() else None

    def __iter__(self):
        threading.Thread(target=self.read_on, daemon=True).start()
        first, read = None, 0
        try:
            while (frame := self.next_frame()) is not None:
                first = frame.seconds if first is None else first
                seconds = frame.seconds - first
                if self.end is not None and seconds > self.end:
                    break
                if read % self.every == 0:
                    yield Frame(frame.index, seconds, frame.image)
                read += 1
        finally:
            self.open = False

    def next_frame(self):
        """The newest frame, once there is one that was not given yet; None at the end."""
        with self.changed:
            while self.newest is None and self.open:
                self.changed.wait(0.5)
            frame, self.newest = self.newest, None
            return frame

    def read_on(self):
        """The thread: read and connect again, until nobody listens or nothing comes any more."""
        attempts, index, connected = 0, 0, time.monotonic()
        while self.open:
            whole, image = self.capture.read() if self.capture else (False, None)
            if whole:
                if time.monotonic() - connected > STEADY:
                    attempts = 0
                self.keep(Frame(index, time.monotonic(), image))
                index += 1
                continue
            if attempts == len(self.waits):
                self.damage = (f"'{self.source}' broke off after {index} frames and could not be "
                               f"reached again in {attempts} attempts")
                break
            print(f"'{self.source}' broke off: connecting again in {self.waits[attempts]} s "
                  f"({attempts + 1} of {len(self.waits)})", file=sys.stderr, flush=True)
            time.sleep(self.waits[attempts])
            attempts, connected, self.capture = attempts + 1, time.monotonic(), self.connect()
        with self.changed:
            self.open = False
            self.changed.notify()

    def keep(self, frame):
        with self.changed:
            self.lost += self.newest is not None
            self.newest = frame
            self.changed.notify()
