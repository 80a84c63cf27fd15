"""The pipeline: order, errors that keep their file name, bounded queues, times."""
import threading
import time

import numpy as np
import pytest

from config import get_config
from model.instances import Instances
from model.solov2 import build_solov2
from tools.errors import UserError
from tools.inference.pipeline import FINISHERS, NETWORK, QUEUE, READERS, STAGES, Pipeline
from tools.inference.predictor import Predictor


class StubPredictor:
    """One instance per image, whose score is the grey value / 255."""

    cfg = get_config("quickstart")
    batches = 0

    def __init__(self):
        self.batches = []          # the grey values of each

    def preprocess(self, image):
        width = 32 + 32 * (int(image[0, 0, 0]) % 3 == 2)
        return np.full((3, 32, width), image[0, 0, 0], np.float32), (32, width)

    def network(self, images):
        self.batches.append(images[:, 0, 0, 0].astype(int).tolist())
        assert threading.current_thread() is threading.main_thread()
        return {"mask_features": images[:, :1], "kernels": [images[:, 0, 0, 0]]}

    def postprocess(self, outputs, resized_sizes, original_sizes):
        grey, = outputs["kernels"][0]
        assert (outputs["mask_features"] == grey).all()
        return [Instances([grey / 255], [1], [(1, 2, np.ones((3, 4), bool))], original_sizes[0])]


def read_stub(path):
    """Path '7': an image of grey value 7, after a while; 'bad...': a UserError."""
    if path.startswith("bad"):
        raise UserError(f"image '{path}' is empty")
    time.sleep(0.004 * (int(path) % 3))
    return np.full((10, 12, 3), int(path), np.uint8)


def items(*names):
    return [(str(name), f"n{name}") for name in names]


def test_results_come_in_order():
    seen = {}
    pipeline = Pipeline(StubPredictor(), lambda name, image, found: seen.update({name: found}),
                        read_stub)
    jobs = list(pipeline(items(*range(20))))
    assert [job.name for job in jobs] == [f"n{index}" for index in range(20)]
    for index, job in enumerate(jobs):
        assert not job.error and seen[job.name] is job.instances
        assert job.instances.scores[0] == np.float32(index / 255) and job.instances.size == (10, 12)
        assert job.image is None and job.batch is None and job.outputs is None


def test_broken_images_are_skipped_by_name():
    written = []
    pipeline = Pipeline(StubPredictor(), lambda name, *_: written.append(name), read_stub)
    jobs = list(pipeline(items("bad0", 1, "bad2", 3, "bad4")))
    assert [job.error for job in jobs] == ["image 'bad0' is empty", "", "image 'bad2' is empty", "",
                                           "image 'bad4' is empty"]
    assert sorted(written) == ["n1", "n3"] and len(pipeline.times.seconds[NETWORK]) == 2


def test_nothing_but_broken_images():
    pipeline = Pipeline(StubPredictor(), None, read_stub)
    assert all(job.error for job in pipeline(items("bad0", "bad1")))
    assert "FPS" not in pipeline.times.table()


def test_error_of_the_sink_belongs_to_the_image():
    def sink(name, image, instances):
        if name == "n1":
            raise UserError("cannot write 'n1'")
    assert [job.error for job in Pipeline(StubPredictor(), sink, read_stub)(items(0, 1, 2))] == \
        ["", "cannot write 'n1'", ""]


def test_unexpected_error_of_a_thread_names_the_image():
    def sink(name, image, instances):
        if name == "n3":
            raise ZeroDivisionError("a bug")
    with pytest.raises(RuntimeError, match="'3': a bug") as error:
        list(Pipeline(StubPredictor(), sink, read_stub)(items(*range(9))))
    assert isinstance(error.value.__cause__, ZeroDivisionError)


def test_queues_are_bounded():
    started, finished, most = [], [], 0

    def read(path):
        started.append(path)
        return read_stub(path)

    def sink(name, image, instances):
        nonlocal most
        time.sleep(0.01)
        most = max(most, len(started) - len(finished))
        finished.append(name)
    list(Pipeline(StubPredictor(), sink, read)(items(*range(40))))
    assert most <= 2 * (QUEUE + 1) + READERS + FINISHERS < 40


def test_leaving_early_reads_no_further():
    started = []

    def read(path):
        started.append(path)
        return read_stub(path)
    jobs = Pipeline(StubPredictor(), lambda *_: None, read)(items(*range(100)))
    next(jobs)
    jobs.close()
    time.sleep(0.1)
    count = len(started)
    time.sleep(0.1)
    assert len(started) == count < 30


def test_warm_up_is_not_counted():
    predictor = StubPredictor()
    pipeline = Pipeline(predictor, lambda *_: None, read_stub)
    list(pipeline(items("bad0", 1, 2, 3)))
    assert len(predictor.batches) == 4
    assert {stage: len(seconds) for stage, seconds in pipeline.times.seconds.items()} == \
        dict.fromkeys(STAGES, 3)
    table = pipeline.times.table()
    assert all(stage in table for stage in STAGES) and "3 images" in table


@pytest.mark.parametrize("batch_size", [1, 3])
def test_threads_and_batches_give_the_results_of_one_image_at_a_time(batch_size):
    cfg = get_config("quickstart")
    model = build_solov2(cfg)
    bias = model.head.category_pred.bias
    bias.set_value(bias + 3)                           # so that random weights find something
    predictor = Predictor.from_model(cfg, model, ["a", "b", "c", "d", "e", "f"])
    rng = np.random.default_rng(0)
    images = {str(index): rng.integers(0, 256, (60 + 9 * index, 80, 3), np.uint8)
              for index in range(6)}
    jobs = list(Pipeline(predictor, lambda *_: None, images.get, batch_size)(items(*images)))
    assert any(len(job.instances) for job in jobs)
    for job in jobs:
        expected = predictor(images[job.source])
        assert np.array_equal(job.instances.class_indices, expected.class_indices)
        np.testing.assert_allclose(job.instances.scores, expected.scores, atol=1e-6)
        assert np.array_equal(job.instances.masks, expected.masks)


def test_batches_hold_images_of_one_padded_size():
    predictor = StubPredictor()
    jobs = list(Pipeline(predictor, lambda *_: None, read_stub, batch_size=3)(
        items(0, 1, 2, 3, "bad4", 5, 6, 7, 8, 9)))
    assert [job.name for job in jobs] == ["n0", "n1", "n2", "n3", "nbad4", "n5", "n6", "n7", "n8",
                                          "n9"]
    assert predictor.batches[1:] == [[0, 1, 3], [2, 5, 8], [6, 7, 9]]     # the first: warm-up
    for job in jobs:
        assert job.error or job.instances.scores[0] == np.float32(int(job.name[1:]) / 255)


def test_an_odd_size_does_not_wait_for_ever():
    predictor, batch = StubPredictor(), 2
    jobs = Pipeline(predictor, lambda *_: None, read_stub, batch_size=batch)(
        items(2, *[3 * index for index in range(40)]))
    next(jobs)
    jobs.close()
    assert [2] in predictor.batches[1:] and len(predictor.batches) < 20
