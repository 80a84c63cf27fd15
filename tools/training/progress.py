"""How far a run is: means since the last record, the time that is left, lines for people."""
import sys
import time

from tqdm import tqdm

from tools.progress import duration

LINE_EVERY = 30.0                  # seconds, where there is no terminal to show a bar


class Window:
    """Sums of the values since the last log line."""

    def __init__(self):
        self.clear()

    def clear(self):
        self.count, self.sums = 0, {}

    def add(self, values, data_seconds, step_seconds):
        self.count += 1
        for key, value in {**values, "data_s": data_seconds, "step_s": step_seconds}.items():
            self.sums[key] = self.sums.get(key, 0.0) + value

    def means(self):
        return {key: value / self.count for key, value in self.sums.items()}

    def eta(self, steps_left):
        return steps_left * self.sums["step_s"] / self.count


class Lines:
    """A bar and a line per record on a terminal; in a log the first step, then a line at times.

    So that a log tells at once that a run has begun, and is as long for fast steps as for slow.
    """

    def __init__(self, num_steps, step, visible):
        self.num_steps, self.visible = num_steps, visible
        self.terminal = visible and sys.stderr is not None and sys.stderr.isatty()
        self.said = -LINE_EVERY + time.monotonic()
        self.bar = tqdm(total=num_steps, initial=step, disable=not self.terminal,
                        dynamic_ncols=True, unit="step")

    def advance(self, step):
        self.bar.update(step - self.bar.n)

    def due(self):
        return self.visible and time.monotonic() - self.said >= LINE_EVERY

    def say(self, record):
        """The line of a record, on a terminal, if it is the last one or if it is time."""
        if self.terminal or self.due() or record["step"] == self.num_steps:
            self.write(line_of(record, self.num_steps))
            self.said = time.monotonic()

    def write(self, text):
        if self.visible:
            self.bar.write(text)
            sys.stdout.flush()

    def close(self):
        self.bar.close()


def line_of(record, num_steps):
    """A record of the log as a line for people."""
    return (f"step {record['step']}/{num_steps}  lr {record['lr']:.5f}  "
            f"loss {record['loss']:.4f} "
            f"(mask {record['mask']:.4f}, category {record['category']:.4f})  "
            f"data {record['data_s']:.3f} s  step {record['step_s']:.3f} s  "
            f"ETA {duration(record['eta_s'])}")
