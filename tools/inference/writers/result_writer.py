"""All results of a run on disk: drawn images, further formats beside them, one COCO json."""
import numpy as np

from tools.data.masks import mask_to_polygons
from tools.files import write_json
from tools.inference.visualize import draw
from tools.inference.writers.coco import coco_results
from tools.inference.writers.image_file import write_image
from tools.inference.writers.labelme import write_labelme
from tools.inference.writers.masks import write_masks
from tools.inference.writers.paths import output_paths
from tools.inference.writers.polygons import write_polygons

FORMATS = {"masks": write_masks, "polygons": write_polygons, "labelme": write_labelme}


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
        top, left, crop = instances.box_mask(index)
        objects.append({"class": class_names[instances.class_indices[index]],
                        "score": round(float(instances.scores[index]), 6),
                        "box": instances.boxes[index].tolist(), "mask": instances.mask(index),
                        "polygons": [(polygon + (left, top)).tolist()
                                     for polygon in mask_to_polygons(crop, polygon_tolerance)]})
    return objects
