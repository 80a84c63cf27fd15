"""Progress of long work: a bar on a terminal, and a line every 30 seconds where there is none.

A line in a log says what is done, how much of it, how fast, and how long the rest will take:
    read: 1200 of 118287 images (1 %), 95.2 images/s, 20:30 left
"""
import sys
import time

from tqdm import tqdm

LINE_EVERY = 30.0                  # seconds


class Progress:
    """`advance(n)` as the work goes on; a context manager that ends the bar.

    total: items in all, None where nobody knows; unit: the name of one item.
    A log gets no line about work that takes less than LINE_EVERY seconds.
    """

    def __init__(self, total=None, label="", unit="item"):
        self.total, self.label, self.unit, self.done = total, label, unit, 0
        terminal = sys.stderr is not None and sys.stderr.isatty()
        self.bar = tqdm(total=total, desc=label, unit=unit, leave=False) if terminal else None
        self.started = self.said = time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.bar is not None:
            self.bar.close()

    def advance(self, count=1):
        self.done += count
        if self.bar is not None:
            self.bar.update(count)
            return
        now = time.monotonic()
        if now - self.said >= LINE_EVERY:
            self.said = now
            print(self.line(now - self.started), file=sys.stderr, flush=True)

    def line(self, seconds):
        """The line of a log after `seconds` of work."""
        rate = self.done / seconds
        text = f"{self.label}: {self.done}"
        if self.total is not None:
            text += f" of {self.total} {self.unit}s ({100 * self.done // max(self.total, 1)} %)"
        else:
            text += f" {self.unit}s"
        text += f", {rate:.{1 if rate < 100 else 0}f} {self.unit}s/s"
        if self.total is not None and rate > 0:
            text += f", {duration(max(self.total - self.done, 0) / rate)} left"
        return text


def progress(items, total=None, label="", unit="item"):
    """The items of an iterable, one by one, with a `Progress` that counts them."""
    if total is None and hasattr(items, "__len__"):
        total = len(items)
    with Progress(total, label, unit) as bar:
        for item in items:
            yield item
            bar.advance()


def duration(seconds):
    """1:02:03 or 2:03."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
