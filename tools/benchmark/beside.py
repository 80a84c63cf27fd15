"""How the network fares beside busy processes: a fair share, or a collapse."""
import contextlib
import subprocess
import sys
import time

import numpy as np

from tools.data.images import read_image
from tools.data.transforms import pad_to_divisor

# Turns as long as the process that started it lives.
BUSY = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    sum(range(100000))"


@contextlib.contextmanager
def busy_processes(count):
    """Let `count` processes compute meanwhile; yields them."""
    processes = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    try:
        time.sleep(1)                                      # until they run
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


def report_beside(predictor, path, runs, count):
    """Print the network's time alone, beside `count` busy processes, and alone again."""
    image, _ = predictor.preprocess(read_image(path))
    images = pad_to_divisor([image], predictor.cfg.size_divisor)
    before = network_seconds(predictor, images, runs)
    with busy_processes(count):
        busy = network_seconds(predictor, images, runs)
    alone = float(np.median([*before, *network_seconds(predictor, images, runs)]))
    print(f"network alone {1e3 * alone:.1f} ms, beside {count} busy processes "
          f"{1e3 * np.median(busy):.1f} ms (p90 {1e3 * np.percentile(busy, 90):.1f}): "
          f"{np.median(busy) / alone:.2f} times")


def network_seconds(predictor, images, runs):
    """Seconds of each of some runs, after one that does not count."""
    times = []
    for _ in range(runs + 1):
        started = time.perf_counter()
        predictor.network(images)
        times.append(time.perf_counter() - started)
    return times[1:]
