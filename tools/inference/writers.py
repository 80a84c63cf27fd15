"""Results on disk: drawn images, masks, polygons, labelme and COCO json; all atomic."""
import os
import re
import zipfile
from pathlib import Path

import cv2
import numpy as np

from tools.data.masks import mask_to_polygons
from tools.errors import UserError
from tools.files import atomic_file, write_json
from tools.inference.visualize import draw

WRITABLE_SUFFIXES = (".bmp", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


class ResultWriter:
    """The sink of demo.py: draws each image, writes it below `folder`, keeps what the json holds.

    images: as `find_images` lists them; with_json: whether `write_json` will be called; formats:
    keys of FORMATS, written beside each drawn image, with what is drawn in it.
    May be called from several threads at once.
    """

    def __init__(self, images, folder, class_names, score_threshold, with_json=False, formats=(),
                 polygon_tolerance=0.0):
        self.outputs = output_paths(images, folder)
        self.sources = {name: path for path, name in images}
        self.formats = [FORMATS[name] for name in formats]
        self.polygon_tolerance = polygon_tolerance
        self.image_ids = {name: number for number, (_, name) in enumerate(images, start=1)}
        self.class_names, self.score_threshold = tuple(class_names), score_threshold
        self.with_json = with_json
        self.results = {}          # name -> (size, COCO result dicts)
        self.counts = {}           # name -> instances drawn

    def __call__(self, name, image, instances):
        drawn = draw(image, instances, self.class_names, self.score_threshold)
        write_image(self.outputs[name], drawn)
        shown = instances.scores >= self.score_threshold
        self.counts[name] = int(shown.sum())
        if self.formats:
            objects = found_objects(instances.select(shown), self.class_names,
                                    self.polygon_tolerance)
        for write in self.formats:
            write(self.outputs[name], self.sources[name], instances.size, objects)
        if self.with_json:
            category_ids = range(1, len(self.class_names) + 1)
            self.results[name] = (instances.size, coco_results(instances, self.image_ids[name],
                                                               category_ids))

    def write_json(self, path):
        """Write all instances, drawn or not, as COCO json: "images", "categories", "annotations".

        images: {"id", "file_name" (relative to the input), "height", "width"}; categories: {"id",
        "name"}, numbered from 1 in the order of the model's classes; annotations: what
        `coco_results` returns.  Images that could not be read are not in it.
        """
        finished = [name for name in self.image_ids if name in self.results]
        write_json(path, {
            "images": [{"id": self.image_ids[name], "file_name": name,
                        "height": self.results[name][0][0], "width": self.results[name][0][1]}
                       for name in finished],
            "categories": [{"id": number, "name": name}
                           for number, name in enumerate(self.class_names, start=1)],
            "annotations": [result for name in finished for result in self.results[name][1]]})


def found_objects(instances, class_names, polygon_tolerance):
    """[{"class", "score", "box" (x1, y1, x2, y2), "mask" bool [H, W], "polygons": [[[x, y] ..]]}].

    Instances without a pixel are left out.
    """
    objects = []
    for index in np.flatnonzero(instances.boxes.any(1)):
        top, left, crop = instances.crop(index)
        objects.append({"class": class_names[instances.class_indices[index]],
                        "score": round(float(instances.scores[index]), 6),
                        "box": instances.boxes[index].tolist(), "mask": instances.mask(index),
                        "polygons": [(polygon + (left, top)).tolist()
                                     for polygon in mask_to_polygons(crop, polygon_tolerance)]})
    return objects


def write_masks(output, source, size, objects):
    """<output>.masks/001_<class>.png ..., by descending score: 255 where the object is, else 0."""
    folder = make_folder(f"{output}.masks")
    names = [re.sub(r"[^\w.-]+", "_", entry["class"]) for entry in objects]
    paths = [folder / f"{number:03d}_{name}.png" for number, name in enumerate(names, 1)]
    for path in set(folder.glob("[0-9][0-9][0-9]_*.png")) - set(paths):
        path.unlink()                                  # of an earlier run with more objects
    for path, entry in zip(paths, objects, strict=True):
        write_image(path, entry["mask"] * np.uint8(255))


def write_polygons(output, source, size, objects):
    """<output>.polygons.json: {"image", "height", "width", "objects": see `found_objects`}."""
    content = {"image": os.path.abspath(source), "height": size[0], "width": size[1],
               "objects": [{key: value for key, value in entry.items() if key != "mask"}
                           for entry in objects]}
    write_json(f"{output}.polygons.json", content)


def write_labelme(output, source, size, objects):
    """<output>.json for the annotation tool labelme; the parts of an object share a group_id."""
    shapes = [{"label": entry["class"], "points": polygon, "shape_type": "polygon", "flags": {},
               "group_id": number if len(entry["polygons"]) > 1 else None,
               "description": f"score {entry['score']:.3f}"}
              for number, entry in enumerate(objects, 1) for polygon in entry["polygons"]]
    write_json(f"{output}.json", {"version": "5.4.1", "flags": {}, "shapes": shapes,
                                  "imagePath": os.path.abspath(source), "imageData": None,
                                  "imageHeight": size[0], "imageWidth": size[1]})


FORMATS = {"masks": write_masks, "polygons": write_polygons, "labelme": write_labelme}


def output_paths(images, folder):
    """{name: path in `folder`} for `images` as `find_images` lists them; no two paths are equal.

    An image keeps its whole name and its format; where OpenCV does not write that format, '.png' is
    appended.  Makes the folder.  Raises UserError where that fails, and where a result would
    replace one of the images.
    """
    folder = make_folder(folder)
    outputs = {name: folder / name for _, name in images
               if name.lower().endswith(WRITABLE_SUFFIXES)}
    taken = set(outputs.values())
    for _, name in images:
        if name not in outputs:
            outputs[name] = folder / f"{name}.png"
            while outputs[name] in taken:
                outputs[name] = outputs[name].with_name(outputs[name].name + ".png")
            taken.add(outputs[name])
    sources = {os.path.realpath(path) for path, _ in images}
    for path in outputs.values():
        if os.path.realpath(path) in sources:
            raise UserError(f"the result '{path}' would replace an image of the input: "
                            "choose another output folder")
    return outputs


def write_image(path, image):
    """Write a uint8 BGR image in the format of its suffix.  Raises UserError naming the file."""
    try:
        written, encoded = cv2.imencode(Path(path).suffix, image)
    except cv2.error as error:
        raise UserError(f"OpenCV cannot write '{path}': {error}") from error
    if not written:
        raise UserError(f"OpenCV cannot write an image of shape {image.shape} as '{path}'")
    with atomic_file(path, durable=False) as file:         # it can be drawn again
        file.write(encoded)


def make_folder(path):
    """`path` as a folder that exists.  Raises UserError."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder '{path}': {error}") from error
    return Path(path)


def coco_results(instances, image_id, category_ids):
    """List of COCO result dicts of one image: image_id, category_id, segmentation, bbox, score.

    category_ids: class index -> category_id.  segmentation: RLE {"size", "counts"};
    bbox: [x, y, width, height] in pixels.
    """
    columns = zip(instances.class_indices.tolist(), instances.scores.tolist(),
                  instances.boxes.tolist(), instances.to_rle(), strict=True)
    return [{"image_id": image_id, "category_id": category_ids[class_index], "segmentation": rle,
             "bbox": [x1, y1, x2 - x1, y2 - y1], "score": score}
            for class_index, score, (x1, y1, x2, y2), rle in columns]


def write_test_results(folder, results, test_json, algorithm=None):
    """Write `folder`/segm.json and bbox.json, the COCO results without boxes and without masks.

    algorithm: name under which the COCO server is to list them; adds segm/detections_<set>_
    <algorithm>_results.zip and the same of bbox, each around a json of its name, where <set> is
    that of `test_json` (test-dev2017 of image_info_test-dev2017.json).  Returns all paths.
    """
    test_set = Path(test_json).stem.removeprefix("image_info_").removeprefix("instances_")
    paths = []
    for kind, left_out in (("segm", "bbox"), ("bbox", "segmentation")):
        paths.append(Path(folder) / f"{kind}.json")
        write_json(paths[-1], [{key: value for key, value in result.items() if key != left_out}
                               for result in results])
        if algorithm:
            name = f"detections_{test_set}_{algorithm}_results"
            paths.append(Path(folder) / kind / f"{name}.zip")
            with atomic_file(paths[-1]) as file, \
                    zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.write(paths[-2], f"{name}.json")
    return paths
