"""Folds share nothing and cover all; a recipe is trained on each, and once only."""
import json
import re
import time

import pytest

from tests.builders import TINY
from tools.benchmark.beside import busy_processes
from tools.benchmark.learn import main
from tools.data.folds import folds
from tools.errors import UserError


def content_of(names):
    return {"images": [{"id": number, "file_name": name} for number, name in enumerate(names)],
            "annotations": [{"id": 2 * number + more, "image_id": number} for more in (0, 1)
                            for number in range(len(names))],
            "categories": [{"id": 1, "name": "a"}]}


@pytest.mark.parametrize("number", [2, 3, 7])
def test_every_image_is_in_one_validation_set(number):
    content = content_of([f"{index}.jpg" for index in range(7)])
    parts = folds(content, number)
    held = [image["id"] for _, val in parts for image in val["images"]]
    assert len(parts) == number and sorted(held) == list(range(7))
    for train, val in parts:
        train_ids, val_ids = ({image["id"] for image in part["images"]} for part in (train, val))
        assert train_ids | val_ids == set(range(7)) and not train_ids & val_ids
        for part, ids in ((train, train_ids), (val, val_ids)):
            owners = [annotation["image_id"] for annotation in part["annotations"]]
            assert sorted(owners) == sorted([*ids, *ids]) and part["categories"]


def test_groups_stay_together_and_too_many_folds_are_refused():
    content = content_of(["a_1.jpg", "a_2.jpg", "b_1.jpg", "c_1.jpg"])
    for train, val in folds(content, 3, "^(.)_"):
        letters = [{image["file_name"][0] for image in part["images"]} for part in (train, val)]
        assert not letters[0] & letters[1]
    for number in (1, 4):
        with pytest.raises(UserError, match="expected 2 to 3"):
            folds(content, number, "^(.)_")


def test_a_recipe_on_folds(shapes_dir, tmp_path, capsys):
    arguments = ["--config", "quickstart", "--folds", "2", "--seeds", "1", "2", "-o",
                 *(f"{key}={value}" for key, value in TINY.items()), "max_steps=2",
                 f"train_json={shapes_dir}/train.json", f"train_images={shapes_dir}/train",
                 f"output_dir={tmp_path}"]
    main(arguments)
    first = capsys.readouterr().out
    lines = re.findall(r"^fold (\d), seed (\d): mask AP 0\.\d{4} after 2 steps", first, re.M)
    assert lines == [("1", "1"), ("2", "1"), ("1", "2"), ("2", "2")]
    assert re.search(r"^mask AP 0\.\d{4}, spread over 2 seeds 0\.\d{4}", first, re.M)
    result = tmp_path / "learn" / "quickstart" / "fold_2_seed_1" / "result.json"
    stored = json.loads(result.read_text())
    result.write_text(json.dumps({**stored, "AP": 0.5}))
    started = time.monotonic()
    main(arguments)                                        # nothing is trained again
    again = capsys.readouterr().out
    assert "fold 2, seed 1: mask AP 0.5000" in again and "step 2/2" not in again
    assert time.monotonic() - started < 20
    with pytest.raises(UserError, match="of other settings"):
        main([*arguments, "learning_rate=0.5"])


def test_busy_processes_end():
    with busy_processes(2) as processes:
        assert len(processes) == 2 and all(process.poll() is None for process in processes)
    assert all(process.poll() is not None for process in processes)
    with pytest.raises(KeyError), busy_processes(1) as processes:
        raise KeyError
    assert processes[0].poll() is not None
