"""Which objects cross a line, and which way."""
import math

import cv2
import numpy as np

from tools.errors import UserError
from tools.inference.labels import draw_label, place_label

CLEAR = 0.10                       # distance from the line, as a part of an object's size
COLOR = (40, 220, 255)             # BGR


class CountLine:
    """line.update(tracks, step) in every frame; `counts`: {class index: [forward, backward]}.

    ends: (x1, y1, x2, y2) in pixels.  Forward is from the left to the right of somebody who looks
    from the first end to the second: downwards, for a line from left to right.  An object crosses
    when its middle goes from one side to the other between the ends; one that trembles on the line
    has to leave it clearly first.
    """

    def __init__(self, ends):
        self.start, self.end = np.array(ends[:2], float), np.array(ends[2:], float)
        if np.array_equal(self.start, self.end):
            raise UserError(f"the line {','.join(map(str, ends))} is a point: expected x1,y1,x2,y2 "
                            "with two different ends")
        self.counts, self.clear = {}, {}               # clear: {track number: last clear position}

    def update(self, tracks, step):
        for track in tracks:
            if not track.number or track.seen != step:
                continue
            side = self.distance(track.position)
            if abs(side) < max(1.0, CLEAR * math.sqrt(track.area)):
                continue
            before = self.clear.get(track.number)
            self.clear[track.number] = track.position
            if before is not None and self.crossed(before, track.position):
                ways = self.counts.setdefault(track.class_index, [0, 0])
                ways[int(side < 0)] += 1

    def distance(self, point):
        """Pixels from the line, positive to the right of somebody who looks along it."""
        along, offset = self.end - self.start, point - self.start
        return (along[0] * offset[1] - along[1] * offset[0]) / np.linalg.norm(along)

    def crossed(self, before, after):
        """Whether the way between two positions meets the line between its ends."""
        first, second = self.distance(before), self.distance(after)
        if first * second >= 0:
            return False
        meeting = before + (after - before) * first / (first - second)
        along = self.end - self.start
        return 0 <= (meeting - self.start) @ along <= along @ along

    @property
    def total(self):
        """(forward, backward) of all classes."""
        return tuple(np.sum(list(self.counts.values()) or [[0, 0]], 0).tolist())

    def draw(self, canvas, total):
        """The line and its counts on a uint8 BGR image."""
        ends = [tuple(np.rint(end).astype(int).tolist()) for end in (self.start, self.end)]
        width = max(1, round(min(canvas.shape[:2]) / 200))
        cv2.line(canvas, *ends, COLOR, width, cv2.LINE_AA)
        text = f"forward {total[0]}  back {total[1]}"
        spot = np.clip((self.start + self.end) / 2, 0, np.array(canvas.shape[1::-1]) - 1)
        crop = int(spot[1]), int(spot[0]), np.ones((1, 1), bool)
        label = place_label(text, COLOR, crop, canvas.shape[:2], [])
        if label:
            draw_label(canvas, label)
