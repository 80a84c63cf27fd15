"""COCO and what is built on it: LVIS, Roboflow; identity of ids, names, splits and files."""
import json

import pytest

from tests.importing_data import Imported, photo, write
from tools.errors import UserError

RING = [10, 10, 40, 10, 40, 40.5]


def coco(images, annotations, categories=None, **more):
    return {"images": [{"id": number, "file_name": name, "height": 60, "width": 80}
                       for number, name in images],
            "annotations": annotations, **more,
            "categories": categories or [{"id": 7, "name": "cat"}, {"id": 3, "name": "dog"}]}


def annotation(number, image, category=7, **more):
    return {"id": number, "image_id": image, "category_id": category, "segmentation": [RING],
            "area": 457.5, "bbox": [10, 10, 30, 30.5], "iscrowd": 0, **more}


def test_everything_passes_through(tmp_path):
    photo(tmp_path / "in" / "train2017" / "a.jpg")
    photo(tmp_path / "in" / "train2017" / "sub" / "b.jpg")
    content = coco([("x1", "a.jpg"), (2**63, "sub/b.jpg")], [
        annotation(9, "x1", score=0.5, attributes={"color": "red"}),
        annotation("k", 2**63, 3, segmentation={"size": [60, 80], "counts": [4700, 100]},
                   iscrowd=1)])
    content["images"][0]["license"] = 4
    content.update(info={"year": 2026}, licenses=[{"id": 4, "name": "MIT"}])
    write(tmp_path / "in" / "annotations" / "instances_train2017.json", content)
    found = Imported(tmp_path / "in", tmp_path / "out")
    assert found.code == 0 and set(found.jsons) == {"train"}
    for key in ("images", "annotations", "categories", "info", "licenses"):
        assert found.jsons["train"][key] == content[key]


def test_splits_and_one_set_of_classes(tmp_path):
    for split in ("train", "valid", "test"):
        photo(tmp_path / "in" / split / f"{split}.jpg")
        categories = [{"id": 0, "name": "fruits", "supercategory": "none"},
                      {"id": 1, "name": "fig", "supercategory": "fruits"}]
        write(tmp_path / "in" / split / "_annotations.coco.json",
              coco([(0, f"{split}.jpg")], [annotation(0, 0, 1)], categories))
    found = Imported(tmp_path / "in", tmp_path / "out")
    assert found.code == 0 and set(found.jsons) == {"train", "val", "test"}
    for content in found.jsons.values():
        assert [entry["name"] for entry in content["categories"]] == ["fig"]
        assert content["annotations"][0]["category_id"] == 1
    assert "3 categories that only name the project" in found.problems


def test_the_project_of_one_split_has_the_number_of_a_class_in_another(tmp_path):
    kinds = {"train": ([{"id": 0, "name": "fruits", "supercategory": "none"},
                        {"id": 1, "name": "fig", "supercategory": "fruits"}], 1),
             "valid": ([{"id": 0, "name": "fig"}], 0)}
    for split, (categories, number) in kinds.items():
        photo(tmp_path / "in" / split / f"{split}.jpg")
        write(tmp_path / "in" / split / "_annotations.coco.json",
              coco([(0, f"{split}.jpg")], [annotation(0, 0, number)], categories))
    found = Imported(tmp_path / "in", tmp_path / "out")
    for split, name in (("train", "train.jpg"), ("val", "valid.jpg")):
        assert [entry["name"] for entry in found.jsons[split]["categories"]] == ["fig"]
        assert found.objects(name, split) == [("fig", [RING], 0)]


def test_ids_that_disagree_become_names(tmp_path):
    for split, number in (("train", 1), ("val", 2)):
        photo(tmp_path / "in" / split / f"{split}.jpg")
        categories = [{"id": number, "name": "cat"}, {"id": 3 - number, "name": "dog"}]
        write(tmp_path / "in" / f"{split}.json",
              coco([(1, f"{split}/{split}.jpg")], [annotation(1, 1, number)], categories))
    found = Imported(tmp_path / "in", tmp_path / "out")
    assert found.objects("train.jpg")[0][0] == found.objects("val.jpg", "val")[0][0] == "cat"
    assert found.jsons["train"]["categories"] == found.jsons["val"]["categories"]


def test_lvis_names_come_from_addresses(tmp_path):
    photo(tmp_path / "coco" / "train2017" / "000000000009.jpg")
    content = coco([(9, "")], [annotation(1, 9)])
    content["images"][0].pop("file_name")
    content["images"][0].update(
        coco_url="http://images.cocodataset.org/train2017/000000000009.jpg",
        neg_category_ids=[3], not_exhaustive_category_ids=[7])
    write(tmp_path / "in" / "lvis_v1_val.json", content)
    found = Imported(tmp_path / "in", tmp_path / "out", "--images", str(tmp_path / "coco"))
    [image] = found.jsons["val"]["images"]
    assert image["neg_category_ids"] == [3] and image["not_exhaustive_category_ids"] == [7]
    assert image["file_name"] == "train2017/000000000009.jpg"
    assert "1 images whose classes are not all annotated" in found.problems


def test_without_any_image_the_names_stay(tmp_path, capsys):
    write(tmp_path / "in" / "all.json", coco([(1, "x/a.jpg")], [annotation(1, 1)]))
    found = Imported(tmp_path / "in", tmp_path / "out")
    assert found.code == 1 and found.jsons["train"]["images"][0]["file_name"] == "x/a.jpg"
    assert "give their folder with --images" in found.problems
    assert "train_images=FOLDER" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["/etc/passwd", "../../a.jpg", "C:\\x\\a.jpg", "./a.jpg"])
def test_names_that_lead_elsewhere_do_not_stay(tmp_path, name):
    write(tmp_path / "in" / "all.json", coco([(1, name)], [annotation(1, 1)]))
    [image] = Imported(tmp_path / "in", tmp_path / "out").jsons["train"]["images"]
    assert image["file_name"] in ("etc/passwd", "a.jpg", "x/a.jpg")


def test_what_cannot_be_used_is_named(tmp_path):
    photo(tmp_path / "in" / "a.jpg")
    write(tmp_path / "in" / "all.json", coco([(1, "a.jpg"), (2, "gone.jpg")], [
        annotation(1, 1), annotation(2, 1, segmentation=[]), annotation(3, 99),
        annotation(4, 1, 99), annotation(5, 2), "text"]))
    found = Imported(tmp_path / "in", tmp_path / "out")
    assert [entry["id"] for entry in found.jsons["train"]["annotations"]] == [1]
    for line in ("1 boxes without an outline", "1 annotations of images that are not listed",
                 "2 objects without a class", "1 images that were not found"):
        assert line in found.problems


def test_only_boxes_are_refused(tmp_path):
    photo(tmp_path / "in" / "a.jpg")
    write(tmp_path / "in" / "all.json", coco([(1, "a.jpg")], [annotation(1, 1, segmentation=[])]))
    with pytest.raises(UserError, match="no object with an outline.*1 boxes without an outline"):
        Imported(tmp_path / "in", tmp_path / "out")


@pytest.mark.parametrize("transfer", ["--copy-images", "--link-images"])
def test_images_beside_the_json_if_asked(tmp_path, transfer):
    for split in ("train", "val"):
        photo(tmp_path / "in" / split / "a.jpg", seed=len(split))
        write(tmp_path / "in" / f"{split}.json", coco([(1, "a.jpg")], [annotation(1, 1)]))
    # both jsons name "a.jpg": the folder of the json's own split is not said, so it is ambiguous
    write(tmp_path / "in" / "train.json", coco([(1, "train/a.jpg")], [annotation(1, 1)]))
    write(tmp_path / "in" / "val.json", coco([(1, "val/a.jpg")], [annotation(1, 1)]))
    Imported(tmp_path / "in", tmp_path / "out", transfer)
    for split in ("train", "val"):
        copies = list((tmp_path / "out" / "images" / split).rglob("a.jpg"))
        assert len(copies) == 1 and copies[0].is_symlink() == (transfer == "--link-images")
        assert copies[0].read_bytes() == (tmp_path / "in" / split / "a.jpg").read_bytes()


def test_own_files_are_never_replaced(tmp_path):
    photo(tmp_path / "in" / "a.jpg")
    path = write(tmp_path / "in" / "train.json", coco([(1, "a.jpg")], [annotation(1, 1)]))
    before = path.read_bytes()
    for source in (path, path.parent):
        with pytest.raises(UserError, match="another"):
            Imported(source, tmp_path / "in")
    assert path.read_bytes() == before


def test_output_of_an_earlier_run_is_no_input(tmp_path):
    photo(tmp_path / "a.jpg")
    write(tmp_path / "all.json", coco([(1, "a.jpg")], [annotation(1, 1)]))
    first = Imported(tmp_path, tmp_path / "out").jsons
    assert Imported(tmp_path, tmp_path / "out").jsons == first
    assert json.loads((tmp_path / "out" / "train.json").read_text()) == first["train"]
