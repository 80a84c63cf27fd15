"""Splitting an annotation file by a fixed rule."""
import json
import os

import pytest

from tools.data.coco import CocoDataset
from tools.data.holdout import hold_out, main
from tools.errors import UserError


def coco(ids):
    return {"images": [{"id": i, "file_name": f"{i}.jpg", "height": 4, "width": 4} for i in ids],
            "annotations": [{"id": i, "image_id": i, "category_id": 1} for i in ids],
            "categories": [{"id": 1, "name": "thing"}]}


def test_every_third_by_id_and_nothing_twice():
    train, val = hold_out(coco([5, 3, 1, 9, 7, 11, 13]), 3)
    assert [image["id"] for image in val["images"]] == [5, 11]
    assert [image["id"] for image in train["images"]] == [1, 3, 7, 9, 13]
    assert sorted(a["image_id"] for a in val["annotations"]) == [5, 11]
    assert len(train["annotations"]) == 5 and train["categories"] == val["categories"]


def test_files_and_a_rule_that_leaves_nothing(tmp_path):
    path = tmp_path / "all.json"
    path.write_text(json.dumps(coco(range(4))))
    main([str(path), "--every", "2", "--output", str(tmp_path / "out")])
    assert len(json.loads((tmp_path / "out" / "val.json").read_text())["images"]) == 2
    with pytest.raises(UserError, match="--every 9 of 4 images"):
        main([str(path), "--every", "9", "--output", str(tmp_path / "out")])


def by_class(counts, first=1):
    """A COCO dict with so many images of each class, one object each, and 5 without any."""
    content, number = coco([]), first
    for category, count in [*counts.items(), (None, 5)]:
        for _ in range(count):
            content["images"].append({"id": number, "file_name": f"v{number // 10}_{number}.jpg"})
            if category is not None:
                content["annotations"].append({"id": number, "image_id": number,
                                               "category_id": category, "mine": [number]})
            number += 1
    return content


def test_every_class_is_held_out_in_its_share():
    content = by_class({1: 100, 2: 30, 3: 10, 4: 2, 5: 1})
    train, val = hold_out(content, fraction=0.2)
    counts = [sum(entry["category_id"] == number for entry in val["annotations"])
              for number in range(1, 6)]
    assert counts == [20, 6, 2, 1, 0]                    # of two images one is in each part
    assert len(val["images"]) == 30 and len(train["images"]) == 118
    names = [image["file_name"] for part in (train, val) for image in part["images"]]
    assert sorted(names) == sorted(image["file_name"] for image in content["images"])
    entries = {entry["id"]: entry for part in (train, val) for entry in part["annotations"]}
    assert entries == {entry["id"]: entry for entry in content["annotations"]}


def test_images_of_several_classes_count_for_each():
    content = by_class({1: 40})
    content["annotations"] += [{"id": 100 + number, "image_id": number, "category_id": 2}
                               for number in range(1, 11)]
    _, val = hold_out(content, fraction=0.2)
    assert [sum(entry["category_id"] == number for entry in val["annotations"])
            for number in (1, 2)] == [8, 2]


@pytest.mark.parametrize("rule", [{"fraction": 0.3}, {"every": 3}])
@pytest.mark.parametrize("pattern", [r"^(v\d+)_", r"^v\d+"])
def test_frames_of_one_video_stay_together(rule, pattern):
    train, val = hold_out(by_class({1: 60, 2: 30}), group_by=pattern, **rule)
    videos = [{image["file_name"].split("_")[0] for image in part["images"]}
              for part in (train, val)]
    assert videos[0] and videos[1] and not videos[0] & videos[1]


def test_annotations_of_no_image_are_counted(tmp_path, capsys):
    content = coco(range(4))
    content["annotations"] += [{"id": 9, "image_id": 77}, {"id": 10}, 5]
    content["annotations"][0]["category_id"] = [1]
    (tmp_path / "all.json").write_text(json.dumps(content))
    main([str(tmp_path / "all.json"), "--output", str(tmp_path / "out")])
    assert "3 annotations are in neither file" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["images", "annotations", "categories"])
def test_a_list_that_comes_twice_is_refused(tmp_path, name):
    text = json.dumps(coco(range(4)))
    (tmp_path / "all.json").write_text(f'{text[:-1]}, "{name}": []}}')
    with pytest.raises(UserError, match=f"'{name}' comes twice"):
        main([str(tmp_path / "all.json"), "--output", str(tmp_path / "out")])
    with pytest.raises(UserError, match=f"'{name}' comes twice"):
        CocoDataset(tmp_path / "all.json", None, training=False)


def test_ids_of_any_kind_are_kept_as_they_are(tmp_path):
    content = coco([])
    ids = ["3f2a", "4102", 7, "0007", 2 ** 70]
    content["images"] = [{"id": value, "file_name": f"{value}.png"} for value in ids]
    content["annotations"] = [{"id": 1, "image_id": "4102", "category_id": 1},
                              {"id": 2, "image_id": "7", "category_id": 1}]
    (tmp_path / "all.json").write_text(json.dumps(content))
    main([str(tmp_path / "all.json"), "--every", "2", "--output", str(tmp_path / "out")])
    parts = [json.loads((tmp_path / "out" / f"{name}.json").read_text())
             for name in ("train", "val")]
    found = [image["id"] for part in parts for image in part["images"]]
    assert sorted(map(repr, found)) == sorted(map(repr, ids))
    assert sum(len(part["annotations"]) for part in parts) == 2


def test_neither_the_input_nor_a_file_of_the_user_is_replaced(tmp_path):
    for name in ("train.json", "mine/val.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(coco(range(8))))
    before = (tmp_path / "train.json").read_bytes()
    with pytest.raises(UserError, match="train.json.*would be replaced"):
        main([str(tmp_path / "train.json"), "--every", "2", "--output", str(tmp_path)])
    with pytest.raises(UserError, match="val.json.*not written by this command"):
        main([str(tmp_path / "train.json"), "--output", str(tmp_path / "mine")])
    assert (tmp_path / "train.json").read_bytes() == before
    assert not (tmp_path / "val.json").exists() and not (tmp_path / "mine/train.json").exists()
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / "val.json")
    with pytest.raises(UserError, match="val.json' exists, is a named pipe"):
        main([str(tmp_path / "train.json"), "--output", str(tmp_path / "pipe")])
    for rule in (["--every", "2"], ["--fraction", "0.5"]):       # its own files: again
        main([str(tmp_path / "train.json"), *rule, "--output", str(tmp_path / "out")])
    with pytest.raises(UserError, match="no regular expression"):
        main([str(tmp_path / "train.json"), "--group-by", "(", "--output", str(tmp_path / "out")])
