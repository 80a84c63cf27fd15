"""Batches: the same whatever the workers, the resumption and the split over processes."""
import json
import multiprocessing
import os
import signal
import time
from types import SimpleNamespace

import numpy as np
import paddle
import pytest

from tools.data import coco
from tools.data.coco import CocoDataset
from tools.data.loader import ItemStream, train_loader
from tools.data.shapes import write_split
from tools.errors import UserError

NUM_GRIDS = (10, 6, 4)
SETTINGS = {
    "batch_size": 4, "seed": 3, "shuffle": True, "num_workers": 0, "size_divisor": 32,
    "num_grids": NUM_GRIDS, "scale_ranges": ((1, 24), (16, 64), (48, 256)), "center_region": 0.2,
    "train_short_sides": (48, 64), "train_max_side": 96, "flip_probability": 0.5,
    "color_distortion": True, "random_crop": True, "jitter_scales": (),
    "copy_paste_probability": 0.0, "resize_library": "cv2",
    "resized_size_rule": "round", "smooth_masks": False,
    "channel_order": "rgb", "pixel_mean": (120.0, 120.0, 120.0),
    "pixel_std": (60.0, 60.0, 60.0)}


def config(**changes):
    return SimpleNamespace(**{**SETTINGS, **changes})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("shapes")
    write_split(path, "train", 10, seed=5, size=96)
    return path


@pytest.fixture(scope="module")
def dataset(folder):
    return CocoDataset(folder / "train.json", folder / "train", empty_images=1.0)


def batches(dataset, start=0, stop=6, rank=0, world_size=1, **changes):
    """The batches as dicts of arrays and lists."""
    found = train_loader(dataset, config(**changes), start, stop, rank, world_size)
    return [{key: value.numpy() if isinstance(value, paddle.Tensor) else value
             for key, value in batch.items()} for batch in found]


def assert_same(found, expected):
    assert len(found) == len(expected)
    for batch, other in zip(found, expected, strict=True):
        assert batch.keys() == other.keys()
        for key, value in batch.items():
            np.testing.assert_array_equal(value, other[key], err_msg=key)


def test_shapes_and_types(dataset):
    for batch in batches(dataset):
        images, sizes = batch["images"], batch["resized_sizes"]
        assert images.dtype == np.float32 and images.shape[:2] == (4, 3)
        assert not np.any(np.array(images.shape[2:]) % 32)
        assert sizes.dtype == np.int64 and (sizes <= images.shape[2:]).all()
        assert batch["category_targets"].shape == (4, sum(side * side for side in NUM_GRIDS))
        assert batch["object_masks"].shape[1:] == tuple(side // 4 for side in images.shape[2:])
        assert batch["file_names"] == [f"{number:06d}.jpg" for number in batch["image_ids"]]
        for image, (height, width) in zip(images, sizes, strict=True):
            assert not image[:, height:].any() and not image[:, :, width:].any()
            assert image[:, :height, :width].std() > 0


def test_workers_do_not_change_the_batches(dataset):
    assert_same(batches(dataset, num_workers=2), batches(dataset))


def test_pasted_objects_depend_on_the_item_alone(dataset):
    plain, pasted = batches(dataset), batches(dataset, copy_paste_probability=1.0)
    assert_same(batches(dataset, copy_paste_probability=1.0, num_workers=2, start=3), pasted[3:])
    for batch, other in zip(plain, pasted, strict=True):
        np.testing.assert_array_equal(batch["image_ids"], other["image_ids"])
        assert batch["images"].shape == other["images"].shape          # the host keeps its size
    assert any(np.any(batch["images"] != other["images"])
               for batch, other in zip(plain, pasted, strict=True))


def test_resuming_gives_what_an_uninterrupted_run_reads(dataset):
    assert_same(batches(dataset, start=4), batches(dataset)[4:])


def test_processes_share_the_batch(dataset):
    whole = batches(dataset)
    parts = [batches(dataset, rank=rank, world_size=2) for rank in range(2)]
    for batch, *shares in zip(whole, *parts, strict=True):
        names = [name for share in shares for name in share["file_names"]]
        assert names == batch["file_names"]
        height, width = shares[1]["resized_sizes"][0]
        np.testing.assert_array_equal(shares[1]["images"][0][:, :height, :width],
                                      batch["images"][2][:, :height, :width])
    with pytest.raises(UserError, match="batch_size 4 .* 3 processes"):
        train_loader(dataset, config(), 0, 1, 0, 3)


def test_every_epoch_shows_each_image_once_in_another_order():
    stream = ItemStream(7, config(batch_size=5), 0, 14)
    items = [item for batch in stream for item in batch]
    assert len(stream) == 14 and len(items) == 70
    epochs = [[index for epoch, index in items if epoch == number] for number in range(10)]
    assert all(sorted(order) == list(range(7)) for order in epochs)
    assert len({tuple(order) for order in epochs}) > 5
    assert list(stream) == list(stream)


def test_a_set_smaller_than_a_batch_fills_it():
    steps = list(ItemStream(3, config(batch_size=8), 0, 2))
    assert [len(items) for items in steps] == [8, 8]
    assert len({item for items in steps for item in items}) == 16       # no (epoch, index) twice


def test_without_shuffle_the_order_is_that_of_the_json():
    items = [item for batch in ItemStream(4, config(shuffle=False), 0, 2) for item in batch]
    assert items == [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (1, 2), (1, 3)]


def test_the_seed_changes_order_and_transforms(dataset):
    first, other = batches(dataset, stop=1), batches(dataset, stop=1, seed=4)
    assert first[0]["file_names"] != other[0]["file_names"]
    plain, again = (batches(dataset, stop=3, shuffle=False, batch_size=10, seed=seed)
                    for seed in (1, 2))
    assert plain[0]["file_names"] == again[0]["file_names"]
    assert plain[0]["images"].shape != again[0]["images"].shape or np.any(
        plain[0]["images"] != again[0]["images"])


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_without_any_object(folder, tmp_path, workers):
    content = json.loads((folder / "train.json").read_text())
    (tmp_path / "empty.json").write_text(json.dumps({**content, "annotations": []}))
    empty = CocoDataset(tmp_path / "empty.json", folder / "train", empty_images=1.0)
    for batch in batches(empty, stop=3, num_workers=workers):
        assert (batch["category_targets"] == -1).all()
        assert batch["cells"].shape == (0,) and batch["cells"].dtype == np.int64
        height, width = batch["images"].shape[2:]
        assert batch["object_masks"].shape == (0, height // 4, width // 4)
        assert batch["object_masks"].dtype == np.uint8


@pytest.fixture
def broken_folder(tmp_path):
    """A drawn split of 6 images of which 000004.jpg is truncated."""
    write_split(tmp_path, "train", 6, seed=5, size=64)
    path = tmp_path / "train" / "000004.jpg"
    path.write_bytes(path.read_bytes()[:300])
    return tmp_path


def open_broken(folder, max_broken_images=0.2):
    return CocoDataset(folder / "train.json", folder / "train", empty_images=1.0,
                       max_broken_images=max_broken_images)


@pytest.mark.parametrize("workers, paste", [(0, 0.0), (2, 0.0), (0, 1.0)])
def test_a_broken_image_is_replaced_and_named_once(broken_folder, caplog, workers, paste):
    broken = open_broken(broken_folder)
    found = batches(broken, stop=6, num_workers=workers,           # four epochs
                    copy_paste_probability=paste)
    names = [name for batch in found for name in batch["file_names"]]
    assert len(names) == 24 and "000004.jpg" not in names
    assert broken.problems == {coco.BROKEN: ["000004.jpg"]}
    assert caplog.text.count("000004.jpg' is truncated") == 1


def test_the_substitute_depends_on_the_item_alone(broken_folder):
    found = batches(open_broken(broken_folder), stop=9)
    assert_same(batches(open_broken(broken_folder), start=4, stop=9), found[4:])
    assert_same(batches(open_broken(broken_folder), stop=9, num_workers=2), found)
    items = [item for batch in ItemStream(6, config(), 0, 9) for item in batch]
    names = [name for batch in found for name in batch["file_names"]]
    substitutes = [name for (_, index), name in zip(items, names, strict=True) if index == 3]
    assert len(substitutes) == 6 and len(set(substitutes)) > 1     # another one in each epoch
    others = [(f"{index + 1:06d}.jpg", name) for (_, index), name in zip(items, names, strict=True)
              if index != 3]
    assert all(expected == name for expected, name in others)


@pytest.mark.parametrize("workers", [0, 2])
def test_where_no_image_may_be_broken_training_ends_with_its_name(broken_folder, workers):
    with pytest.raises(UserError, match=r"000004\.jpg.*truncated"):
        batches(open_broken(broken_folder, 0.0), stop=20, num_workers=workers)


@pytest.mark.parametrize("workers", [0, 2])
def test_nothing_but_broken_images_ends_training(broken_folder, workers):
    for path in (broken_folder / "train").iterdir():
        path.write_bytes(b"")
    with pytest.raises(UserError, match=r"empty.*10 broken images in a row"):
        batches(open_broken(broken_folder), stop=2, num_workers=workers)


def test_a_killed_worker_ends_training(dataset, monkeypatch):
    """Paddle looks for dead workers every 5 seconds."""
    load = dataset.load_image

    def slow(index):
        time.sleep(0.05)
        return load(index)

    monkeypatch.setattr(dataset, "load_image", slow)
    others = multiprocessing.active_children()
    found = iter(train_loader(dataset, config(num_workers=2), 0, 1000))
    next(found)
    victim = next(child for child in multiprocessing.active_children() if child not in others)
    os.kill(victim.pid, signal.SIGKILL)
    started = time.monotonic()
    with pytest.raises(UserError, match=r"a reader process died at .* 0000\d\d\.jpg"):
        list(found)
    assert time.monotonic() - started < 30


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_mistake_of_ours_in_a_worker_ends_training_too(dataset, monkeypatch):
    def broken(index):
        raise RuntimeError("a mistake")

    monkeypatch.setattr(dataset, "load_image", broken)
    with pytest.raises(RuntimeError, match="a mistake"):
        batches(dataset, num_workers=0)
    with pytest.raises(UserError, match=r"0000\d\d\.jpg: of the error printed above"):
        batches(dataset, num_workers=2)
