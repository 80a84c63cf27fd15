"""How time and memory grow with the image, the instances and the batch."""
import copy
import time

import numpy as np

from tools.benchmark.synthetic import disks
from tools.errors import UserError
from tools.files import atomic_file
from tools.runtime import peak_memory

SHORT_SIDES = (320, 480, 640, 800, 1120, 1600, 2400)
COUNTS = (1, 5, 20, 50, 100, 200, 500)
BATCHES = (1, 2, 4, 8)
MAP_SIZE, ORIGINAL_SIZE = (200, 336), (480, 800)       # of the instances: an image of 800x1333


def by_size(predictor, runs):
    """Yields (short side, {what: value}) of square images, network and post-processing."""
    for side in SHORT_SIDES:
        images = noise(1, side)
        outputs = predictor.network(images)
        yield side, {"network (ms)": median_ms(runs, predictor.network, images),
                     "post-process (ms)": median_ms(runs, predictor.postprocess, outputs,
                                                      [(side, side)], [(side, side)]),
                     "highest memory (MB)": peak_memory() / 1e6}


def by_instances(predictor, runs):
    """Yields (instances, {what: value}) of the post-processing of a map of MAP_SIZE."""
    decoder = copy.copy(predictor.decoder)
    decoder.max_per_image = decoder.max_candidates = max(COUNTS)
    for count in COUNTS:
        outputs = disks(predictor.cfg, MAP_SIZE, count)
        resized = [(800, 1333)]
        found, = decoder(outputs, resized, [ORIGINAL_SIZE])
        yield count, {"post-process (ms)": median_ms(runs, decoder, outputs, resized,
                                                       [ORIGINAL_SIZE]),
                      "RLE (ms)": median_ms(runs, found.to_rle), "found": len(found)}


def by_batch(predictor, runs):
    """Yields (batch size, {what: value}) of the network on images of the config's short side."""
    side = predictor.cfg.test_short_side
    for size in BATCHES:
        images = noise(size, side)
        predictor.network(images)
        yield size, {"network per image (ms)": median_ms(runs, predictor.network, images)
                     / size, "highest memory (MB)": peak_memory() / 1e6}


GROWTHS = {"size": by_size, "instances": by_instances, "batch": by_batch}


def noise(batch_size, side):
    side = -(-side // 32) * 32
    return np.random.default_rng(0).normal(size=(batch_size, 3, side, side)).astype(np.float32)


def median_ms(runs, call, *arguments):
    seconds = []
    for _ in range(runs):
        started = time.perf_counter()
        call(*arguments)
        seconds.append(time.perf_counter() - started)
    return 1e3 * float(np.median(seconds))


def measure_growth(name, predictor, runs, title, path):
    """Print the rows of a growth and draw them to `path`; UserError without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError("--growth needs matplotlib: "
                        "python -m pip install -r requirements-extras.txt") from None
    rows = {}
    for number, values in GROWTHS[name](predictor, runs):
        rows[number] = values
        print(f"{name} {number}: "
              + ", ".join(f"{what} {value:.1f}" for what, value in values.items()), flush=True)
    quantities = list(values)
    figure = Figure(figsize=(4.5 * len(quantities), 3.4), layout="constrained")
    figure.suptitle(title)
    for number, what in enumerate(quantities, 1):
        axes = figure.add_subplot(1, len(quantities), number)
        axes.plot(list(rows), [values[what] for values in rows.values()], marker="o")
        axes.set(xlabel=name, ylabel=what, ylim=(0, None))
        axes.grid(alpha=0.3)
    with atomic_file(path) as file:
        figure.savefig(file, format="png")
    print(f"written: {path}")
