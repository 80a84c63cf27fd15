"""Results on disk: a run that was stopped anywhere goes on, and ends in the same bytes."""
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from model.instances import Instances
from tests.builders import ROOT, TINY, finds_many, save_network, tiny_config
from tools.data.coco import CocoDataset
from tools.data.scenes import CLASS_NAMES
from tools.data.shapes import write_split
from tools.errors import UserError
from tools.evaluation.result_store import NAME, ResultStore, write_list

FACTS = {"weights": "a", "settings": json.dumps({"x": 1})}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shapes")
    write_split(folder, "val", 5, seed=4, size=64)
    return CocoDataset(folder / "val.json", folder / "val", training=False)


def found(dataset, index):
    """Two instances, of which the scores tell the image."""
    height, width = dataset.image_info(index)["size"]
    mask = np.ones((4, 5), bool)
    return Instances(np.float32([0.9, index / 100]), np.int64([0, 1]), [(1, 2, mask), (3, 4, mask)],
                     (height, width))


def filled(folder, dataset, indices):
    store = ResultStore(folder, FACTS)
    keep = store.sink(dataset)
    for index in indices:
        keep(index, None, found(dataset, index))
    return store


def test_continued_after_any_cut_it_is_the_same(tmp_path, dataset):
    whole = list(filled(tmp_path / "whole", dataset, [3, 0, 4, 1, 2]).results())
    assert len(whole) == 10
    assert [round(100 * row["score"]) for row in whole[1::2]] == [0, 1, 2, 3, 4]
    data = (tmp_path / "whole" / f"{NAME}.0.jsonl").read_bytes()
    for length in range(data.index(b"\n") + 1, len(data), 97):
        folder = tmp_path / str(length)
        folder.mkdir()
        (folder / f"{NAME}.0.jsonl").write_bytes(data[:length])
        store = ResultStore(folder, FACTS)
        keep = store.sink(dataset)
        left = [index for index in range(5) if index not in store.finished]
        assert len(left) == 5 - data[:length].count(b"\n") + 1
        for index in left:
            keep(index, None, found(dataset, index))
        assert list(store.results()) == whole


def test_other_facts_are_refused_and_nothing_is_lost(tmp_path, dataset):
    filled(tmp_path, dataset, [0])
    before = (tmp_path / f"{NAME}.0.jsonl").read_bytes()
    for facts, message in (({**FACTS, "weights": "b"}, "other weights"),
                           ({**FACTS, "settings": json.dumps({"x": 2})}, "x: 1, now 2")):
        with pytest.raises(UserError, match=message):
            ResultStore(tmp_path, facts)
    assert (tmp_path / f"{NAME}.0.jsonl").read_bytes() == before


def test_the_files_of_several_processes_are_put_together(tmp_path, dataset):
    filled(tmp_path, dataset, [0, 2])
    (tmp_path / f"{NAME}.0.jsonl").rename(tmp_path / f"{NAME}.1.jsonl")
    store = filled(tmp_path, dataset, [1])
    assert set(store.finished) == {0, 2}
    assert [round(100 * row["score"]) for row in store.results()][1::2] == [0, 1, 2]
    store.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_list_that_is_written_piece_by_piece(tmp_path):
    for entries in ([], [{"a": [1, 2.5]}], [1, "ü", None]):
        assert write_list(tmp_path / "a.json", iter(entries)) == len(entries)
        assert (tmp_path / "a.json").read_text() == json.dumps(entries)


@pytest.mark.slow
def test_test_dev_killed_and_started_again_writes_the_same_bytes(tmp_path):
    write_split(tmp_path, "val", 24, seed=4, size=96)
    weights = save_network(tmp_path, tiny_config(), CLASS_NAMES, finds_many)
    settings = [f"{key}={value}" for key, value in TINY.items()]

    def command(output):
        return [sys.executable, "test_dev.py", "--engine", "dygraph", "--device", "cpu",
                "--weights", weights, "--output", f"{tmp_path}/{output}", "-o", *settings,
                f"test_json={tmp_path}/val.json", f"test_images={tmp_path}/val"]

    subprocess.run(command("whole"), cwd=ROOT, check=True, capture_output=True, timeout=200)
    lines = tmp_path / "killed" / f"{NAME}.0.jsonl"
    process = subprocess.Popen(command("killed"), cwd=ROOT, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    while process.poll() is None and not (lines.exists()
                                          and lines.read_bytes().count(b"\n") > 4):
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    killed = not (tmp_path / "killed" / "segm.json").exists()
    done = subprocess.run(command("killed"), cwd=ROOT, check=True, capture_output=True, text=True,
                          timeout=200)
    assert ("continued: " in done.stdout) == killed
    for name in ("segm.json", "bbox.json"):
        whole = (tmp_path / "whole" / name).read_bytes()
        assert (tmp_path / "killed" / name).read_bytes() == whole and len(whole) > 100
    assert sorted(os.listdir(tmp_path / "killed")) == ["bbox.json", "segm.json"]
