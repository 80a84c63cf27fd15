"""Many images through a predictor: threads read ahead and finish behind while the network runs.

    reader threads            calling thread           finisher threads
    decode -> pre-process  |  batches -> network    |  post-process -> sink (draw, write)

Both queues are bounded, results come in the order of the images, and an error keeps its file name.
Only images of the same padded size share a batch: padding one to another's size would change what
the network sees of it (coordinates, grid cells), so the results are those of one image at a time.
"""
import functools
import itertools
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import mean, median

import numpy as np

from model.instances import Instances
from tools.data.images import read_image
from tools.data.transforms import pad_to_divisor
from tools.errors import UserError, is_of_disk
from tools.inference.views import has_views
from tools.runtime import synchronize

READERS, FINISHERS = 2, 2          # threads
QUEUE = 4                          # batches of images read ahead, and as many being finished
WINDOW = 4                         # batches of images among which companions are looked for
DECODE, PREPROCESS, NETWORK, POSTPROCESS, SINK = STAGES = (
    "decode", "pre-process", "network", "post-process", "draw + write")


@dataclass
class Job:
    """One image on its way; what a stage no longer needs is None."""

    source: object                 # what `read` takes: a path
    name: object
    image: np.ndarray = None       # uint8 [H, W, 3] BGR
    batch: np.ndarray = None       # float32 [1, 3, h, w], ready for the network
    resized_size: tuple = None
    outputs: dict = None           # raw outputs of the network for this image alone
    instances: Instances = None
    written: object = None         # what the sink returned
    error: str = ""                # why it was skipped


class StageTimes:
    """Seconds per stage and image, and in all."""

    def __init__(self):
        self.seconds = {stage: [] for stage in STAGES}
        self.wall = 0.0            # from the first image's decoding to the last one's sink

    @contextmanager
    def measure(self, stage):
        start = time.perf_counter()
        yield
        self.seconds[stage].append(time.perf_counter() - start)

    def table(self):
        """Lines of text: median and mean of each stage, frames per second of network and whole."""
        lines = [f"{'ms per image':14s}{'median':>10s}{'mean':>10s}"]
        for stage, seconds in self.seconds.items():
            if seconds:
                lines.append(f"{stage:14s}{1e3 * median(seconds):10.1f}{1e3 * mean(seconds):10.1f}")
        network, finished = self.seconds[NETWORK], len(self.seconds[SINK])
        if network and self.wall:
            lines.append(f"network alone: {1 / mean(network):.2f} FPS")
            lines.append(f"end to end:    {finished / self.wall:.2f} FPS "
                         f"({finished} images in {self.wall:.2f} s, stages side by side)")
        return "\n".join(lines)


class Pipeline:
    """for job in Pipeline(predictor, sink)(images): in order, each with `instances` or `error`.

    sink(name, image uint8 [H, W, 3] BGR, Instances) runs in several threads at once.  A UserError
    of reading or of the sink is the job's `error`; any other exception is raised with the source.
    read: function(source) -> image; default: the file as a person sees it.
    warm_up: run the network once on the first image, uncounted, so that the times are those of a
    long run.
    """

    def __init__(self, predictor, sink, read=None, batch_size=1, warm_up=True):
        self.predictor, self.sink = predictor, sink
        self.read = read or functools.partial(read_image, apply_exif=True)
        self.in_views = has_views(predictor.cfg)       # several runs of the network on an image
        self.batch_size, self.times = batch_size, StageTimes()
        self.with_warm_up = warm_up and not self.in_views

    def __call__(self, images):
        """Yield a Job for each (source, name) of `images`, a list or an iterator, which is read as
        far ahead as the queue is long."""
        readers, finishers = ThreadPoolExecutor(READERS), ThreadPoolExecutor(FINISHERS)
        ahead = 1 if self.in_views else QUEUE * self.batch_size        # tiled images are large
        try:
            if self.with_warm_up:
                images = self.warm_up(readers, images)
            start = time.perf_counter()
            jobs = (Job(source, name) for source, name in images)
            jobs = in_order(readers, self.prepare, jobs, ahead)
            jobs = self.infer_batches(jobs)
            yield from in_order(finishers, self.finish, jobs, ahead)
            self.times.wall = time.perf_counter() - start
        finally:                   # without waiting: Ctrl-C arrives here too
            for pool in (readers, finishers):
                pool.shutdown(wait=False, cancel_futures=True)

    def prepare(self, job):
        with self.times.measure(DECODE):
            job.image = self.read(job.source)
        if self.in_views:
            return
        with self.times.measure(PREPROCESS):
            image, job.resized_size = self.predictor.preprocess(job.image)
            job.batch = pad_to_divisor([image], self.predictor.cfg.size_divisor)

    def infer_batches(self, jobs):
        """The jobs in order, after the network has seen them in batches of one padded size."""
        if self.in_views:
            yield from map(self.infer_views, jobs)
            return
        waiting = deque()
        for job in jobs:
            waiting.append(job)
            group = companions(job, waiting)
            if len(group) == self.batch_size:
                self.infer(group)
            elif len(waiting) > WINDOW * self.batch_size:
                self.infer(companions(waiting[0], waiting))
            while waiting and waiting[0].batch is None:
                yield waiting.popleft()
        while waiting:
            self.infer(companions(waiting[0], waiting))
            yield waiting.popleft()

    def infer(self, group):
        """The network on jobs of one padded size."""
        if not group:
            return
        start = time.perf_counter()
        outputs = self.predictor.network(np.concatenate([job.batch for job in group]))
        synchronize()
        seconds = (time.perf_counter() - start) / len(group)
        self.times.seconds[NETWORK] += [seconds] * len(group)
        for index, job in enumerate(group):
            job.outputs, job.batch = image_outputs(outputs, index), None

    def infer_views(self, job):
        """All views of one image; their pre- and post-processing count as the network's time."""
        if not job.error:
            with self.times.measure(NETWORK):
                job.instances = self.predictor.segment(job.image)
        return job

    def finish(self, job):
        if not self.in_views:
            with self.times.measure(POSTPROCESS):
                job.instances, = self.predictor.postprocess(job.outputs, [job.resized_size],
                                                            [job.image.shape[:2]])
            job.outputs = None
        with self.times.measure(SINK):
            job.written = self.sink(job.name, job.image, job.instances)
        job.image = None

    def warm_up(self, pool, images):
        """One uncounted pass of the network on the first image that can be read; returns the images
        again."""
        times, self.times = self.times, StageTimes()
        images, seen = iter(images), []
        for source, name in images:
            seen.append((source, name))
            job = Job(source, name)
            if not finished(job, pool.submit(attempt, self.prepare, job)).error:
                self.infer([job])
                break
        self.times = times
        return itertools.chain(seen, images)


def companions(job, waiting):
    """The waiting jobs whose batch has the shape of that of `job`; none if it has no batch."""
    if job.batch is None:
        return []
    return [other for other in waiting
            if other.batch is not None and other.batch.shape == job.batch.shape]


def image_outputs(outputs, index):
    """The raw outputs of one image of a batch, as a batch of one."""
    return {name: [level[index:index + 1] for level in value] if isinstance(value, list)
            else value[index:index + 1] for name, value in outputs.items()}


def in_order(pool, step, jobs, ahead):
    """Yield the jobs in order after `step` in the threads of `pool`, `ahead` at most in advance."""
    waiting = deque()
    for job in jobs:
        waiting.append((job, pool.submit(attempt, step, job)))
        if len(waiting) > ahead:
            yield finished(*waiting.popleft())
    while waiting:
        yield finished(*waiting.popleft())


def attempt(step, job):
    """The job after `step`; one that failed before stays as it is."""
    if not job.error:
        try:
            step(job)
        except UserError as error:
            job.error, job.batch = str(error), None
    return job


def finished(job, future):
    """The job, once its future is done; an unexpected exception of the thread gets the source,
    but for one of a disk that is full, which is not about the image."""
    error = future.exception()
    if is_of_disk(error):
        raise error
    if error:
        raise RuntimeError(f"while segmenting '{job.source}': {error}") from error
    return job
