"""Splitting an annotation file by a fixed rule."""
import json

import pytest

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
