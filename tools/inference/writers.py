"""Results on disk: drawn images beside each other without collisions, COCO json; all atomic."""
import os
import zipfile
from pathlib import Path

import cv2

from tools.errors import UserError
from tools.files import atomic_file, write_json
from tools.inference.visualize import draw

WRITABLE_SUFFIXES = (".bmp", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


class ResultWriter:
    """The sink of demo.py: draws each image, writes it below `folder`, keeps what the json holds.

    images: as `find_images` lists them; with_json: whether `write_json` will be called.
    May be called from several threads at once.
    """

    def __init__(self, images, folder, class_names, score_threshold, with_json=False):
        self.outputs = output_paths(images, folder)
        self.image_ids = {name: number for number, (_, name) in enumerate(images, start=1)}
        self.class_names, self.score_threshold = tuple(class_names), score_threshold
        self.with_json = with_json
        self.results = {}          # name -> (size, COCO result dicts)
        self.counts = {}           # name -> instances drawn

    def __call__(self, name, image, instances):
        drawn = draw(image, instances, self.class_names, self.score_threshold)
        write_image(self.outputs[name], drawn)
        self.counts[name] = int((instances.scores >= self.score_threshold).sum())
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
