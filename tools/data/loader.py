"""Training batches, read ahead by reader processes (readers.py).

Every batch is a pure function of (seed, step): the epochs' permutations form one endless stream of
(epoch, index) items, step t takes the items from t * batch_size on, and an item draws its
transforms, and the substitute of a broken image, from a generator seeded with (seed, epoch, index).
So a run that resumes at step t reads what an uninterrupted one would have read, whatever the number
of readers.
"""
import contextlib
import functools
import logging
import threading

import numpy as np
import paddle

from model.targets import build_targets
from tools.data.augment import paste_objects, train_transforms
from tools.data.readers import SLOW, Readers
from tools.data.transforms import pad_to_divisor
from tools.errors import UserError, shown

READ_ATTEMPTS = 10              # images in a row that may be broken

logger = logging.getLogger(__name__)


class ItemStream:
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


class TrainingSamples:
    """Transformed samples of a CocoDataset by (epoch, index).

    For an image that cannot be read another one is drawn, from the generator of its item.  "broken"
    of a sample lists (file name, error) of such images; after READ_ATTEMPTS it is all there is, for
    the process that trains to name them.  on_read(index) is called before an image is read.
    """

    def __init__(self, dataset, cfg):
        self.on_read = ignore
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
            self.on_read(index)
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
        self.smooth_masks = cfg.smooth_masks

    def __call__(self, samples):
        broken = [entry for sample in samples for entry in sample["broken"]]
        if any("image" not in sample for sample in samples):
            return {"broken": broken}
        images = pad_to_divisor([s["image"].transpose(2, 0, 1) for s in samples], self.divisor)
        objects = [(s["masks"], s["boxes"], s["class_indices"]) for s in samples]
        targets = build_targets(objects, images.shape[2:], self.num_grids, self.scale_ranges,
                                self.center_region, self.smooth_masks)
        rows = np.bincount(targets["object_images"][targets["cell_masks"]], minlength=len(samples))
        return {"images": images, "broken": broken, "rows_per_image": rows.tolist(),
                "resized_sizes": np.array([s["image"].shape[:2] for s in samples], np.int64),
                "image_ids": [s["image_id"] for s in samples],
                "file_names": [s["file_name"] for s in samples], **targets}


def ignore(index):
    """Nobody wants to know which image is read."""


class BatchMaker:
    """The batch of a list of (epoch, index) items, for a reader."""

    def __init__(self, samples, collate):
        self.samples, self.collate = samples, collate

    def __call__(self, items, on_read):
        self.samples.on_read = on_read
        return self.collate([self.samples[item] for item in items])


class TrainLoader:
    """Iterates over the batches once; names the images that cannot be read.

    UserError where too many of them follow each other, or none may be broken, or a reader dies.
    """

    def __init__(self, dataset, cfg, sampler):
        self.dataset, self.cfg, self.sampler = dataset, cfg, sampler
        self.make = BatchMaker(TrainingSamples(dataset, cfg), Collate(cfg))

    def __len__(self):
        return len(self.sampler)

    def __iter__(self):
        if self.cfg.num_workers:
            batches = Readers(self.make, self.sampler, self.cfg.num_workers, self.name_of)
        else:
            batches = self.from_here()
        with contextlib.closing(iter(batches)) as batches:
            for batch in batches:
                yield self.checked(batch)

    def checked(self, batch):
        """A batch with tensors, after what its reader has found is said."""
        for file_name, message in batch.pop("broken"):
            self.dataset.note_broken(file_name, message)
        if "images" not in batch:
            raise UserError(f"{message}; it is one of {READ_ATTEMPTS} broken images in a row: "
                            "look at all of them with python -m tools.check_dataset")
        return as_tensors(batch)

    def from_here(self):
        """The batches, read in this process."""
        for items in self.sampler:
            with SlowReads(self.name_of) as slow:
                batch = self.make(items, slow.begins)
            yield batch

    def name_of(self, index):
        return self.dataset.image_info(index)["file_name"]


class SlowReads:
    """Names an image whose reading takes very long, while it does."""

    def __init__(self, name_of):
        self.name_of, self.timer = name_of, None

    def begins(self, index):
        """An image is being read from now on, and the one before is not any more."""
        self.ends()
        self.timer = threading.Timer(SLOW, self.name, [index])
        self.timer.daemon = True
        self.timer.start()

    def name(self, index):
        logger.warning("%s has been read for %d s and is not there yet; training waits for it",
                       shown(self.name_of(index)), SLOW)

    def ends(self):
        if self.timer:
            self.timer.cancel()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ends()


def as_tensors(batch):
    """A batch of `Collate` with paddle tensors for its arrays."""
    return {name: tensor(value) if isinstance(value, np.ndarray) else value
            for name, value in batch.items()}


def tensor(array):
    """A paddle tensor of an array, which may be without elements."""
    return paddle.to_tensor(array) if array.size else paddle.empty(array.shape, str(array.dtype))


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
