"""Training batches, read ahead by worker processes.

Every batch is a pure function of (seed, step): the epochs' permutations form one endless stream of
(epoch, index) items, step t takes the items from t * batch_size on, and an item draws its
transforms, and the substitute of a broken image, from a generator seeded with (seed, epoch, index).
So a run that resumes at step t reads what an uninterrupted one would have read, whatever the number
of workers.
"""
import functools
import glob
import logging
import multiprocessing
import os
import shutil
import signal
import threading

import cv2
import numpy as np
import paddle

from model.targets import build_targets
from tools.data.augment import paste_objects, train_transforms
from tools.data.transforms import pad_to_divisor
from tools.errors import UserError

PREFETCH = 2                    # batches that each worker holds ready
READ_ATTEMPTS = 10              # images in a row that may be broken
SHARED_MEMORY = "/dev/shm"

logger = logging.getLogger(__name__)


class ItemStream(paddle.io.BatchSampler):
    """The (epoch, index) items of steps start_step .. num_steps - 1, this rank's part of each."""

    def __init__(self, length, cfg, start_step, num_steps, rank=0, world_size=1):
        if cfg.batch_size % world_size:
            raise UserError(f"batch_size {cfg.batch_size} cannot be shared by {world_size} "
                            "processes; choose a multiple")
        self.length, self.seed, self.shuffle = length, cfg.seed, cfg.shuffle
        self.steps = range(start_step, num_steps)
        self.total, self.share = cfg.batch_size, cfg.batch_size // world_size
        self.rank = rank
        self.order = functools.lru_cache(maxsize=2)(self._order)

    def __len__(self):
        return len(self.steps)

    def __iter__(self):
        for step in self.steps:
            first = step * self.total + self.rank * self.share
            yield [self.item(position) for position in range(first, first + self.share)]

    def item(self, position):
        """The (epoch, index) at a position of the endless stream."""
        epoch, place = divmod(position, self.length)
        return epoch, int(self.order(epoch)[place])

    def _order(self, epoch):
        if not self.shuffle:
            return np.arange(self.length)
        return np.random.default_rng([self.seed, epoch]).permutation(self.length)


class TrainingSamples(paddle.io.Dataset):
    """Transformed samples of a CocoDataset by (epoch, index).

    For an image that cannot be read another one is drawn, from the generator of its item.  "broken"
    of a sample lists (file name, error) of such images; after READ_ATTEMPTS it is all there is:
    Paddle would wrap what a worker raises in another type, or stop the worker.
    """

    def __init__(self, dataset, cfg):
        super().__init__()
        self.dataset, self.seed = dataset, cfg.seed
        self.transform = train_transforms(cfg)
        self.paste_probability = cfg.copy_paste_probability

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, item):
        epoch, index = item
        rng, broken = np.random.default_rng([self.seed, epoch, index]), []
        sample = self.read(index, rng, broken)
        if sample and self.paste_probability and rng.random() < self.paste_probability:
            other = self.read(int(rng.integers(len(self))), rng, broken)
            sample = other and paste_objects(sample, other, rng)
        return {**(sample or {}), "broken": broken}

    def read(self, index, rng, broken):
        """The transformed sample of image `index` or of a substitute; None if all are broken."""
        for _ in range(READ_ATTEMPTS):
            try:
                return self.transform(self.dataset.sample(index), rng)
            except UserError as error:
                broken.append((self.dataset.image_info(index)["file_name"], str(error)))
            index = int(rng.integers(len(self)))
        return None


class Collate:
    """Samples -> a batch: padded images and the targets for them; only "broken" if one is missing.
    """

    def __init__(self, cfg):
        self.divisor, self.num_grids = cfg.size_divisor, cfg.num_grids
        self.scale_ranges, self.center_region = cfg.scale_ranges, cfg.center_region

    def __call__(self, samples):
        broken = [entry for sample in samples for entry in sample["broken"]]
        if any("image" not in sample for sample in samples):
            # The array counts: Paddle takes a batch without any for the end of the data.
            return {"broken": broken, "images": np.zeros(1, np.float32)}
        images = pad_to_divisor([s["image"].transpose(2, 0, 1) for s in samples], self.divisor)
        objects = [(s["masks"], s["boxes"], s["class_indices"]) for s in samples]
        targets = build_targets(objects, images.shape[2:], self.num_grids, self.scale_ranges,
                                self.center_region)
        rows = np.bincount(targets["object_images"][targets["cell_masks"]], minlength=len(samples))
        # Paddle cannot send an array without elements between processes; its shape and type can go.
        empty = {name: (value.shape, str(value.dtype)) for name, value in targets.items()
                 if value.size == 0}
        return {"images": images, "broken": broken, "rows_per_image": rows.tolist(),
                "resized_sizes": np.array([s["image"].shape[:2] for s in samples], np.int64),
                "image_ids": [s["image_id"] for s in samples],
                "file_names": [s["file_name"] for s in samples], "empty": empty,
                **{name: value for name, value in targets.items() if name not in empty}}


class TrainLoader:
    """Iterates over the batches once; names the images that cannot be read.

    UserError where too many of them follow each other, or none may be broken, or a worker dies.
    """

    def __init__(self, dataset, cfg, sampler):
        self.dataset, self.cfg, self.sampler = dataset, cfg, sampler
        self.samples, self.collate = TrainingSamples(dataset, cfg), Collate(cfg)

    def __len__(self):
        return len(self.sampler)

    def __iter__(self):
        for batch in self.from_workers() if self.cfg.num_workers else self.from_here():
            for file_name, message in batch.pop("broken"):
                self.dataset.note_broken(file_name, message)
            if "empty" not in batch:
                raise UserError(f"{message}; it is one of {READ_ATTEMPTS} broken images in a row: "
                                "look at all of them with python -m tools.check_dataset")
            yield as_tensors(batch)

    def from_here(self):
        """The batches read in this process (Paddle's way waits for ever where reading fails)."""
        for items in self.sampler:
            yield self.collate([self.samples[item] for item in items])

    def from_workers(self):
        """The batches that the reader processes send."""
        batches = iter(paddle.io.DataLoader(
            self.samples, batch_sampler=self.sampler, collate_fn=self.collate,
            num_workers=self.cfg.num_workers, worker_init_fn=prepare_worker,
            prefetch_factor=PREFETCH,
            use_shared_memory=enough_shared_memory(self.cfg, self.sampler.share)))
        # Paddle's handler would raise in the middle of a step, or at exit; the queue tells too.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for items in self.sampler:
            try:
                batch = next(batches)
            except (RuntimeError, SystemError, StopIteration) as error:
                names = ", ".join(self.dataset.image_info(index)["file_name"] for _, index in items)
                raise UserError(f"a reader process died at or before the images {names}: of the "
                                "error printed above, or, if there is none, for lack of memory "
                                "(then lower num_workers or batch_size)") from error
            yield batch


def as_tensors(batch):
    """A batch of `Collate` with paddle tensors for its arrays."""
    tensors = {name: paddle.to_tensor(value) if isinstance(value, np.ndarray) else value
               for name, value in batch.items() if name not in ("empty", "broken")}
    for name, (shape, dtype) in batch["empty"].items():
        tensors[name] = paddle.empty(shape, dtype)
    return tensors


def train_loader(dataset, cfg, start_step, num_steps, rank=0, world_size=1):
    """The batches of steps start_step .. num_steps - 1 of a run, for one of its processes.

    cfg.batch_size counts the images of all processes; each of the `world_size` takes its share.  A
    batch is a dict of paddle tensors "images" float32 [N, 3, H, W], normalised and zero-padded,
    "resized_sizes" int64 [N, 2] (height, width before padding) and all of model.targets, and of
    lists "image_ids", "file_names" and "rows_per_image", the positive (cell, object) pairs of each.
    Images that cannot be read are replaced and named, in this process; see TrainLoader.
    """
    sampler = ItemStream(len(dataset), cfg, start_step, num_steps, rank, world_size)
    return TrainLoader(dataset, cfg, sampler)


def prepare_worker(worker):
    """Several workers with OpenCV threads each would only fight for the cores.

    A signal to the process group is for the trainer, which needs the batches to end its step.
    """
    cv2.setNumThreads(0)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)      # how the trainer ends its workers
    os.setsid()
    threading.Thread(target=end_with_parent, daemon=True).start()


def end_with_parent():
    """End this worker and free its shared memory when the trainer is gone, even by SIGKILL.

    Paddle means to look every 5 seconds, but hands the timeout to Queue.get as `block`.
    """
    multiprocessing.parent_process().join()
    for path in glob.glob(f"{SHARED_MEMORY}/paddle_{os.getpid()}_*"):
        os.remove(path)
    os._exit(1)


def enough_shared_memory(cfg, images_per_batch):
    """Whether the prefetched batches fit in shared memory; containers often have only 64 MB.

    Without it they pass through pipes: slower, but a full /dev/shm would kill the process.
    """
    if not os.path.isdir(SHARED_MEMORY):
        return True                                    # not Linux: no such limit
    pixels = max(cfg.train_short_sides) * cfg.train_max_side
    needed = images_per_batch * 3 * 4 * pixels * (PREFETCH * cfg.num_workers + 1)
    free = shutil.disk_usage(SHARED_MEMORY).free
    if free < needed:
        logger.warning("%s has %d MB free and the batches may need %d MB: not used, reading is "
                       "slower (docker run --shm-size=8g)", SHARED_MEMORY, free >> 20, needed >> 20)
    return free >= needed
