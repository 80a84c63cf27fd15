"""Make the samples of this folder with the tools' own packages (see README.md).

    python make.py NAME ...        in a virtual environment of its own, never the project's

The scene is the same everywhere: a triangle, a square with a square hole and a bar, 48 x 36 pixels.
"""
import base64
import io
import json
import shutil
import sys
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent
SIZE = (36, 48)
TRIANGLE = [[4.5, 3.0], [20.25, 3.0], [4.5, 30.0]]
SQUARE, HOLE = [[24, 4], [40, 4], [40, 20], [24, 20]], [[28, 8], [36, 8], [36, 16], [28, 16]]


def bar():
    mask = np.zeros(SIZE, bool)
    mask[24:32, 22:46] = True
    mask[26:28, 30:33] = False
    return mask


def ring():
    mask = np.zeros(SIZE, bool)
    mask[4:20, 24:40] = True
    mask[8:16, 28:36] = False
    return mask


def photo(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 4, (*SIZE, 3)) * 60 + bar()[..., None] * 40
    Image.fromarray(pixels.astype(np.uint8)).save(path, quality=70)


def fresh(name):
    shutil.rmtree(HERE / name, ignore_errors=True)
    return HERE / name


def png_text(mask):
    file = io.BytesIO()
    Image.fromarray(mask).save(file, "png")
    return base64.b64encode(file.getvalue()).decode()


def shapes():
    common = {"flags": {}, "group_id": None, "description": ""}
    box = bar()[24:32, 22:46]
    return [{"label": "leaf", "points": TRIANGLE, "shape_type": "polygon", **common},
            {"label": "frame", "points": SQUARE, "shape_type": "polygon", **common},
            {"label": "bar", "points": [[22, 24], [45, 31]], "shape_type": "mask",
             "mask": png_text(box), **common},
            {"label": "dot", "points": [[10, 30], [12, 30]], "shape_type": "circle", **common},
            {"label": "dot", "points": [[1, 1]], "shape_type": "point", **common}]


def make_labelme():
    from labelme._label_file import write_label_file
    folder = fresh("labelme")
    photo(folder / "a.jpg")
    write_label_file(str(folder / "a.json"), shapes=shapes(), image_path="a.jpg",
                     image_height=SIZE[0], image_width=SIZE[1])
    write_label_file(str(folder / "within.json"), shapes=shapes()[:1], image_path="lost.jpg",
                     image_height=SIZE[0], image_width=SIZE[1],
                     image_data=(folder / "a.jpg").read_bytes())


def make_xanylabeling():
    from anylabeling.views.labeling.label_file import LabelFile
    folder = fresh("xanylabeling")
    photo(folder / "images" / "a.jpg")
    (folder / "labels").mkdir()
    entries = [{**entry, "difficult": False, "attributes": {}, "kie_linking": [], "score": None}
               for entry in shapes() if entry["shape_type"] != "mask"]
    entries[1:1] = [{**entries[1], "shape_type": "rotation", "direction": 0.0}]
    entries[2] = {**entries[2], "shape_type": "rectangle", "points": [SQUARE[0], SQUARE[2]],
                  "label": "box"}
    LabelFile().save(str(folder / "labels" / "a.json"), entries, "..\\images\\a.jpg", *SIZE)


def make_label_studio():
    from label_studio_sdk.converter.brush import encode_rle, image2annotation  # noqa: F401
    folder = fresh("label_studio")
    photo(folder / "a.jpg")
    rgba = np.zeros((*SIZE, 4), np.uint8)
    rgba[bar()] = 255
    size = {"original_width": SIZE[1], "original_height": SIZE[0], "image_rotation": 0}
    percent = [[x / SIZE[1] * 100, y / SIZE[0] * 100] for x, y in TRIANGLE]
    results = [{"id": "p", "type": "polygonlabels", "from_name": "label", "to_name": "image",
                "value": {"points": percent, "closed": True, "polygonlabels": ["leaf"]}, **size},
               {"id": "b", "type": "brushlabels", "from_name": "label", "to_name": "image",
                "value": {"format": "rle", "rle": [int(v) for v in encode_rle(rgba.ravel())],
                          "brushlabels": ["bar"]}, **size}]
    tasks = [{"id": 1, "data": {"image": "/data/upload/1/1f2e3d4c-a.jpg"},
              "annotations": [{"id": 1, "result": results, "was_cancelled": False}]}]
    (folder / "project-1.json").write_text(json.dumps(tasks))


def make_supervisely():
    import supervisely as sly
    folder = fresh("supervisely")
    photo(folder / "photo.jpg")
    project = sly.Project(str(folder / "project"), sly.OpenMode.CREATE)
    classes = [sly.ObjClass("leaf", sly.Polygon), sly.ObjClass("frame", sly.Polygon),
               sly.ObjClass("bar", sly.Bitmap)]
    project.set_meta(sly.ProjectMeta(obj_classes=classes))

    def points(ring):
        return [sly.PointLocation(y, x) for x, y in ring]

    labels = [sly.Label(sly.Polygon(points([[4, 3], [20, 3], [4, 30]]), []), classes[0]),
              sly.Label(sly.Polygon(points(SQUARE), [points(HOLE)]), classes[1]),
              sly.Label(sly.Bitmap(bar()), classes[2])]
    data = project.create_dataset("ds")
    data.add_item_file("a.jpg", str(folder / "photo.jpg"), ann=sly.Annotation(SIZE, labels))
    (folder / "photo.jpg").unlink()


def make_cityscapes():
    from cityscapesscripts.preparation.json2instanceImg import json2instanceImg
    folder = fresh("cityscapes")
    photo(folder / "leftImg8bit" / "train" / "x" / "x_000000_000001_leftImg8bit.png")
    labels = folder / "gtFine" / "train" / "x"
    labels.mkdir(parents=True)
    objects = [{"label": "road", "polygon": [[0, 0], [47, 0], [47, 35], [0, 35]]},
               {"label": "car", "polygon": SQUARE}, {"label": "person", "polygon": HOLE},
               {"label": "cargroup", "polygon": [[4, 20], [16, 20], [16, 30], [4, 30]]}]
    path = labels / "x_000000_000001_gtFine_polygons.json"
    path.write_text(json.dumps({"imgHeight": SIZE[0], "imgWidth": SIZE[1], "objects": objects}))
    json2instanceImg(str(path), str(path).replace("polygons.json", "instanceIds.png"), "ids")


def make_datumaro():
    from datumaro.components.annotation import AnnotationType, LabelCategories, Mask, Polygon
    from datumaro.components.dataset import Dataset
    from datumaro.components.dataset_base import DatasetItem
    from datumaro.components.media import Image as Media
    pixels = np.random.default_rng(0).integers(0, 4, (*SIZE, 3)) * 60
    flat = [value for point in TRIANGLE for value in point]
    single = {"is_crowd": False}
    last = Mask(bar(), label=2, id=2, group=2, attributes=single)
    annotations = {"masks": [Mask(ring(), label=1, id=1, group=1, attributes=single), last],
                   "both": [Polygon(flat, label=0, id=1, group=1, attributes=single), last]}
    for name, kind in (("voc_instance_segmentation", "masks"), ("coco_panoptic", "masks"),
                       ("coco_instances", "both"), ("cvat", "both")):
        item = DatasetItem("a", subset="train", annotations=annotations[kind],
                           media=Media.from_numpy(pixels.astype(np.uint8)))
        labels = LabelCategories.from_iterable(["leaf", "frame", "bar"])
        data = Dataset.from_iterable([item], categories={AnnotationType.label: labels})
        folder = fresh(f"datumaro_{name}")
        data.export(str(folder), name, save_media=True)


if __name__ == "__main__":
    for wanted in sys.argv[1:]:
        globals()[f"make_{wanted}"]()
