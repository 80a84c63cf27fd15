"""Label, import, train, predict, correct in labelme, import, train again: three photographs."""
import json

import numpy as np
import pytest

from model.instances import Instances
from tests.builders import TINY, installed, script
from tests.importing_data import Imported, write
from tools.data.masks import polygons_to_mask
from tools.data.scenes import draw_scene
from tools.inference.image_instances import ImageInstances
from tools.inference.writers.coco import CocoWriter
from tools.inference.writers.image_file import write_image
from tools.inference.writers.labelme import write_labelme
from tools.inference.writers.masks import write_masks
from tools.inference.writers.yolo import YoloNames, write_yolo

SETTINGS = [f"{key}={value}".replace(" ", "") for key, value in TINY.items()]
EASY = ["score_threshold=0.001", "update_threshold=0.0", "draw_threshold=0.0", "max_per_image=5"]


def labelled(folder):
    """Three drawn photographs, and a labelme file with an octagon beside each."""
    angles = np.arange(8) * np.pi / 4
    for number in range(3):
        scene = draw_scene(np.random.default_rng(number), 96)
        folder.mkdir(exist_ok=True)
        write_image(folder / f"photo {number}.png", scene.photograph())
        points = (np.stack([np.cos(angles), np.sin(angles)], 1) * 30 + 45).tolist()
        write(folder / f"photo {number}.json", {
            "version": "5.4.1", "flags": {}, "imagePath": f"photo {number}.png",
            "imageData": None, "imageHeight": scene.owner.shape[0],
            "imageWidth": scene.owner.shape[1],
            "shapes": [{"label": "round", "points": points, "shape_type": "polygon",
                        "group_id": None, "flags": {}}]})


def train(json_path, images, output):
    script("train.py", "--config=own_dataset", "--device=cpu", "-o", f"train_json={json_path}",
           f"train_images={images}", "val_json=", "pretrained=", "max_steps=2", "visualdl=false",
           f"output_dir={output}", *SETTINGS)
    return output / "own_dataset" / "last.pdparams"


@pytest.mark.slow
def test_label_train_predict_correct_train_again(tmp_path):
    photos = tmp_path / "my photos"
    labelled(photos)
    first = Imported(photos, tmp_path / "first")
    assert first.code == 0 and len(first.jsons["train"]["annotations"]) == 3
    weights = train(tmp_path / "first" / "train.json", photos, tmp_path / "run1")
    script("demo.py", "--config=own_dataset", "--device=cpu", "--engine=dygraph",
           "--weights", weights, "--input", photos, "--output", tmp_path / "found", "--no-draw",
           "--write", "labelme", "-o", *SETTINGS, *EASY)
    written = sorted((tmp_path / "found").glob("*.json"))
    assert [path.name for path in written] == [f"photo {number}.json" for number in range(3)]
    content = json.loads(written[0].read_text())
    assert (written[0].parent / content["imagePath"]).resolve() == photos / "photo 0.png"
    if not content["shapes"]:                          # what a person would draw in labelme
        content["shapes"] = json.loads((photos / "photo 0.json").read_text())["shapes"]
        write(written[0], content)
    second = Imported(tmp_path / "found", tmp_path / "second", "--images", str(photos))
    assert len(second.jsons["train"]["images"]) == 3
    assert train(tmp_path / "second" / "train.json", photos, tmp_path / "run2").exists()


def found_on(path):
    """ImageInstances of a written image: one of two parts, and one with a hole; exact outlines."""
    masks = np.zeros((2, 40, 60), bool)
    masks[0, 5:15, 5:20], masks[0, 25:35, 8:30] = True, True
    masks[1, 4:36, 34:56], masks[1, 12:20, 40:50] = True, False
    write_image(path, np.full((40, 60, 3), 90, np.uint8))
    found = Instances([0.9, 0.8], [1, 0], [(0, 0, mask) for mask in masks], (40, 60))
    return masks, ImageInstances.of(found, ("date", "fig"), source=path, tolerance=0.0)


def same_masks(imported, masks):
    return {label: mask.tolist() for label, mask in imported.masks("a.png", size=(40, 60))} == \
        {"fig": masks[0].tolist(), "date": masks[1].tolist()}


def test_results_as_labelme_come_back(tmp_path):
    masks, found = found_on(tmp_path / "in" / "a.png")
    write_labelme(tmp_path / "in" / "a.json", found)
    assert same_masks(Imported(tmp_path / "in", tmp_path / "out"), masks)


def test_results_as_yolo_come_back(tmp_path):
    masks, found = found_on(tmp_path / "in" / "a.png")
    write_yolo(tmp_path / "in" / "a.txt", found)
    with YoloNames(tmp_path / "in" / "data.yaml", ("date", "fig")):
        pass
    assert same_masks(Imported(tmp_path / "in", tmp_path / "out"), masks)


def test_results_as_mask_pictures_come_back(tmp_path):
    masks, found = found_on(tmp_path / "in" / "a.png")
    write_masks(tmp_path / "in" / "a.png.masks", found)
    assert same_masks(Imported(tmp_path / "in", tmp_path / "out"), masks)


def test_results_as_coco_come_back(tmp_path):
    masks, found = found_on(tmp_path / "in" / "a.png")
    with CocoWriter(tmp_path / "in" / "results.json", ("date", "fig")) as writer:
        writer.add(1, "a.png", found.size, writer.rows(1, found, found))
    assert same_masks(Imported(tmp_path / "in", tmp_path / "out"), masks)


@pytest.mark.skipif(not installed("labelme"), reason="labelme is not installed")
def test_labelme_reads_what_was_written(tmp_path):
    from labelme._label_file import read_label_file
    masks, found = found_on(tmp_path / "a.png")
    write_labelme(tmp_path / "a.json", found)
    content = read_label_file(str(tmp_path / "a.json"))
    rings = [shape for shape in content.shapes if shape["label"] == "fig"]
    flat = [[value for point in shape["points"] for value in point] for shape in rings]
    assert np.array_equal(polygons_to_mask(flat, (40, 60)), masks[0])
