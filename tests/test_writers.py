"""Files of results: names that never collide, whole files or none, the json formats."""
import json
import zipfile

import cv2
import numpy as np
import pytest

from model.instances import Instances
from tools.data.masks import polygons_to_mask
from tools.errors import UserError
from tools.evaluation.server_files import refuse_to_replace, write_test_results
from tools.files import write_json
from tools.inference.pipeline import Job
from tools.inference.writers.coco import RESULTS_BEGIN, coco_results
from tools.inference.writers.image_file import write_image
from tools.inference.writers.paths import output_paths
from tools.inference.writers.result_writer import ResultWriter


def test_names_stay_and_never_collide(tmp_path):
    names = ["a.jpg", "a.png", "a.b.c.jpg", "a.b.jpg", "sub/a.jpg", "A.TIF", "a.gif", "a.gif.png",
             "raw"]
    outputs = output_paths([(f"in/{name}", name) for name in names], tmp_path / "out")
    assert len(set(outputs.values())) == len(names)
    assert [outputs[name].relative_to(tmp_path / "out").as_posix() for name in names] == \
        ["a.jpg", "a.png", "a.b.c.jpg", "a.b.jpg", "sub/a.jpg", "A.TIF", "a.gif.png.png",
         "a.gif.png", "raw.png"]


def test_input_is_never_overwritten(tmp_path):
    for name in ("a.jpg", "out"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(UserError, match="would replace"):
        output_paths([(str(tmp_path / "a.jpg"), "a.jpg")], tmp_path / ".")
    with pytest.raises(UserError, match="cannot make the folder"):
        output_paths([(str(tmp_path / "a.jpg"), "a.jpg")], tmp_path / "out")


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.JPEG", "a.bmp", "a.webp", "a.tif",
                                  "sub/ü [1].png"])
def test_image_is_written_whole(tmp_path, name):
    image = np.full((20, 30, 3), 90, np.uint8)
    write_image(tmp_path / name, image)
    back = cv2.imdecode(np.frombuffer((tmp_path / name).read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    assert np.abs(back.astype(int) - image).max() <= 3
    assert [path.name for path in (tmp_path / name).parent.iterdir()] == [(tmp_path / name).name]


def test_failed_write_leaves_nothing(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(UserError, match="cannot write .*a.png"):
        write_image(tmp_path / "a.png", np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(UserError, match="cannot write .*a.webp"):
        write_image(tmp_path / "a.webp", np.zeros((1, 20000, 3), np.uint8))
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def two_instances():
    left, right = np.zeros((2, 6, 8), bool)
    left[1:3, 0:4], right[5, 7] = True, True
    return Instances([0.9, 0.2], [1, 0], [(0, 0, left), (0, 0, right)], (6, 8))


def test_coco_results():
    first, second = coco_results(two_instances(), 42, (3, 7))
    assert (first["image_id"], first["category_id"], first["bbox"]) == (42, 7, [0, 1, 4, 2])
    assert (second["category_id"], second["bbox"]) == (3, [7, 5, 1, 1])
    assert first["score"] == pytest.approx(0.9) and first["segmentation"]["size"] == [6, 8]
    json.dumps([first, second])
    assert coco_results(Instances([], [], [], (6, 8)), 1, (3, 7)) == []


def test_result_writer(tmp_path):
    images = [("in/a.jpg", "a.jpg"), ("in/broken.jpg", "broken.jpg"), ("in/b.gif", "b.gif")]
    writer = ResultWriter(images, tmp_path, ("cat", "dog"), 0.5, results=tmp_path / "new/all.json")
    with writer:
        for name, found in (("a.jpg", two_instances()), ("b.gif", Instances([], [], [], (6, 8)))):
            written = writer(name, np.zeros((6, 8, 3), np.uint8), found)
            writer.add(Job("", name, instances=found, written=written))
        writer.add(Job("", "broken.jpg", error="it is broken"))
        assert not (tmp_path / "new/all.json").exists()
    assert writer.counts == {"a.jpg": 1, "b.gif": 0}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jpg", "b.gif.png", "new"]
    content = json.loads((tmp_path / "new/all.json").read_text())
    assert content["images"] == [{"id": 1, "file_name": "a.jpg", "height": 6, "width": 8},
                                 {"id": 3, "file_name": "b.gif", "height": 6, "width": 8}]
    assert content["categories"] == [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    assert [(result["image_id"], result["category_id"]) for result in content["annotations"]] == \
        [(1, 2), (1, 1)]


def test_results_replace_no_annotations_of_the_user(tmp_path):
    """Only files that begin as those of an earlier run, or are empty."""
    path = tmp_path / "all.json"
    for content in ('{"images": [], "annotations": []}', '{"annotations": [{"id": 1}]}', "[]"):
        path.write_text(content)
        with pytest.raises(UserError, match="all.json' exists and was not written by"):
            ResultWriter([("in/a.jpg", "a.jpg")], tmp_path / "out", ("cat",), 0.5, results=path)
        assert path.read_text() == content
    path.write_text("")
    for found in (Instances([], [], [], (6, 8)), two_instances(), two_instances()):
        writer = ResultWriter([("in/a.jpg", "a.jpg")], tmp_path / "out", ("cat", "dog"), 0.5,
                              results=path)
        with writer:
            written = writer("a.jpg", np.zeros((6, 8, 3), np.uint8), found)
            writer.add(Job("", "a.jpg", instances=found, written=written))
        assert len(json.loads(path.read_text())["annotations"]) == len(found.scores)
    assert json.dumps(coco_results(two_instances(), "a", (1, 2))).encode().startswith(RESULTS_BEGIN)


def formats_writer(tmp_path, names=("cat", "dog & co/1")):
    write_image(tmp_path / "in/sub/a.jpg", np.zeros((6, 8, 3), np.uint8))
    return ResultWriter([(str(tmp_path / "in/sub/a.jpg"), "sub/a.jpg")], tmp_path, names, 0.1,
                        formats=("images", "masks", "polygons", "labelme"))


def test_masks_polygons_and_labelme_beside_the_drawn_image(tmp_path):
    image, instances = np.zeros((6, 8, 3), np.uint8), two_instances()
    formats_writer(tmp_path)("sub/a.jpg", image, instances)
    assert sorted(path.name for path in (tmp_path / "sub").iterdir()) == [
        "a.jpg", "a.jpg.masks", "a.jpg.polygons.json", "a.json"]
    for name, mask in zip(("001_dog_co_1.png", "002_cat.png"), instances.masks, strict=True):
        drawn = cv2.imread(str(tmp_path / "sub/a.jpg.masks" / name), cv2.IMREAD_UNCHANGED)
        assert drawn.dtype == np.uint8 and np.array_equal(drawn, mask * 255)

    content = json.loads((tmp_path / "sub/a.jpg.polygons.json").read_text())
    assert (content["height"], content["width"]) == (6, 8) and len(content["objects"]) == 2
    for entry, name, score, box, mask in zip(content["objects"], ("dog & co/1", "cat"), (0.9, 0.2),
                                             ([0, 1, 4, 3], [7, 5, 8, 6]), instances.masks,
                                             strict=True):
        assert (entry["class"], entry["score"], entry["box"]) == (name, score, box)
        assert np.array_equal(polygons_to_mask(entry["polygons"], (6, 8)), mask)

    labelme = json.loads((tmp_path / "sub/a.json").read_text())
    assert (labelme["imageHeight"], labelme["imageWidth"], labelme["imageData"]) == (6, 8, None)
    assert labelme["imagePath"] == "../in/sub/a.jpg" and labelme["version"]
    assert [(shape["label"], shape["shape_type"], shape["group_id"], shape["description"])
            for shape in labelme["shapes"]] == [("dog & co/1", "polygon", None, "score 0.900"),
                                                ("cat", "polygon", None, "score 0.200")]
    assert sorted(labelme["shapes"][1]["points"]) == [[7, 5], [7, 6], [8, 5], [8, 6]]


def test_parts_of_an_object_share_a_group_and_old_masks_go(tmp_path):
    writer, image = formats_writer(tmp_path), np.zeros((6, 8, 3), np.uint8)
    writer("sub/a.jpg", image, two_instances())
    parts = np.zeros((6, 8), bool)
    parts[0, 0] = parts[3:5, 4:6] = True
    empty = (0, 0, np.zeros((6, 8), bool))
    writer("sub/a.jpg", image, Instances([0.9, 0.8], [0, 0], [(0, 0, parts), empty], (6, 8)))
    assert [path.name for path in (tmp_path / "sub/a.jpg.masks").iterdir()] == ["001_cat.png"]
    shapes = json.loads((tmp_path / "sub/a.json").read_text())["shapes"]
    assert [shape["group_id"] for shape in shapes] == [1, 1]
    writer("sub/a.jpg", image, Instances([], [], [], (6, 8)))
    assert not list((tmp_path / "sub/a.jpg.masks").iterdir())
    assert json.loads((tmp_path / "sub/a.jpg.polygons.json").read_text())["objects"] == []


def test_results_for_the_server(tmp_path):
    results = coco_results(two_instances(), 42, (3, 7))
    assert write_test_results(tmp_path, results, "a/image_info_test2017.json") == [
        tmp_path / "segm.json", tmp_path / "bbox.json"]
    segm, bbox = (json.loads((tmp_path / f"{kind}.json").read_text()) for kind in ("segm", "bbox"))
    assert [set(row) for row in segm] == [{"image_id", "category_id", "score", "segmentation"}] * 2
    assert [row["bbox"] for row in bbox] == [[0, 1, 4, 2], [7, 5, 1, 1]]
    refuse_to_replace(tmp_path)                        # its own, of an earlier run
    (tmp_path / "other").mkdir()
    (tmp_path / "other/bbox.json").write_text('{"images": []}')
    with pytest.raises(UserError, match="bbox.json' exists and was not written by"):
        refuse_to_replace(tmp_path / "other")
    path = write_test_results(tmp_path, [], "val.json", "x")[1]
    assert path == tmp_path / "segm/detections_val_x_results.zip"
    with zipfile.ZipFile(path) as archive:
        assert json.loads(archive.read("detections_val_x_results.json")) == []


def test_json_names_the_file_it_cannot_write(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(UserError, match="file"):
        write_json(tmp_path / "file/all.json", {})
