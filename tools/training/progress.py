"""How far a run is: means since the last line of its log, and the time that is left."""


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


def line_of(record, num_steps):
    """A record of the log as a line for people."""
    return (f"step {record['step']}/{num_steps}  lr {record['lr']:.5f}  "
            f"loss {record['loss']:.4f} "
            f"(mask {record['mask']:.4f}, category {record['category']:.4f})  "
            f"data {record['data_s']:.3f} s  step {record['step_s']:.3f} s  "
            f"ETA {duration(record['eta_s'])}")


def duration(seconds):
    """3725 -> "1:02:05"."""
    minutes, seconds = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
