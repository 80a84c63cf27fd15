"""All results of a run on disk: files for each image and files of the run, one sink for both."""
import contextlib
from pathlib import Path

import numpy as np

from tools.errors import UserError
from tools.files import refuse_others
from tools.inference.image_instances import ImageInstances
from tools.inference.visualize import draw
from tools.inference.writers.coco import BEGIN, CocoWriter
from tools.inference.writers.formats import FORMATS, IMAGES
from tools.inference.writers.image_file import write_image
from tools.inference.writers.paths import OutputPaths, drawn_paths, paths_beside


class ResultWriter:
    """The sink of demo.py: writes the files of each image, and keeps the rows of the run's files.

    images: as `find_images` lists them; formats: keys of FORMATS; results: path of a COCO json of
    all instances, "" for none; inputs: further paths that no result may replace.  What is drawn
    (from `score_threshold` on) is what the other formats hold.

        with ResultWriter(...) as writer:
            for job in Pipeline(predictor, writer)(images):
                writer.add(job)                        # in the order of the images

    Calling it writes the files of one image, in several threads at once.  The run's files appear at
    the end of the block.
    """

    def __init__(self, images, folder, class_names, score_threshold, formats=(IMAGES,), results="",
                 tolerance=0.0, color="instance", inputs=()):
        self.class_names, self.score_threshold = tuple(class_names), score_threshold
        self.tolerance, self.color = tolerance, color
        self.sources = {name: source for source, name in images}
        self.image_ids = {name: number for number, (_, name) in enumerate(images, start=1)}
        self.counts = {}           # name -> instances drawn
        places = OutputPaths(folder, [*map(str, self.sources.values()), *inputs])
        drawn = drawn_paths(places, list(self.sources)) if IMAGES in formats else {}
        self.outputs = {IMAGES: drawn} if drawn else {}
        for name in formats:
            if FORMATS[name].write:
                self.outputs[name] = paths_beside(places, list(self.sources),
                                                  FORMATS[name].ending)
        self.run_writers = [FORMATS[name].run_writer(places.claim_new(FORMATS[name].run_file),
                                                     self.class_names)
                            for name in formats if FORMATS[name].run_writer]
        if results:
            self.run_writers.append(CocoWriter(json_path(places, results), self.class_names))

    def __enter__(self):
        self.stack = contextlib.ExitStack()
        for writer in self.run_writers:
            self.stack.enter_context(writer)
        return self

    def __exit__(self, *error):
        return self.stack.__exit__(*error)

    def __call__(self, name, image, instances):
        """Write the files of one image; returns what `add` needs of it."""
        found = ImageInstances.of(instances, self.class_names, image, self.sources[name],
                                  self.score_threshold, self.tolerance)
        if IMAGES in self.outputs:
            drawn = draw(image, found, self.class_names, self.score_threshold, self.color)
            write_image(self.outputs[IMAGES][name], drawn)
        drawable = instances.scores >= self.score_threshold
        self.counts[name] = int(drawable.sum())
        shown = found[np.flatnonzero(drawable & found.boxes.any(1))]
        for key, paths in self.outputs.items():
            if key != IMAGES:
                FORMATS[key].write(paths[name], shown)
        return [writer.rows(self.image_ids[name], found, shown) for writer in self.run_writers]

    def add(self, job):
        """Append a finished job of the pipeline to the run's files; broken images are not in."""
        if job.error:
            return
        for writer, rows in zip(self.run_writers, job.written, strict=True):
            writer.add(self.image_ids[job.name], job.name, job.instances.size, rows)


def json_path(places, path):
    """The path that a COCO json was asked for, if it may be written."""
    if Path(path).suffix.lower() != ".json":
        raise UserError(f"--results '{path}': expected a file name ending in .json")
    refuse_others(path, [BEGIN + b"\n", BEGIN + b"],\n"])
    return places.guard(path)
