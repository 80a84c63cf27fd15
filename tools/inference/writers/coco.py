"""Results in COCO's format: rows for an evaluation, and a json that grows image by image."""
import contextlib
import json

from tools.files import atomic_file

BEGIN = b'{"annotations": ['                           # of a CocoWriter's file
RESULTS_BEGIN = (b'[{"image_id"', b"[]")               # of a list of coco_results


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


class CocoWriter:
    """A COCO json of all instances, drawn or not; every image goes to the disk when it is done.

    annotations: what `coco_results` returns, with id, area and iscrowd, so that the file can also
    be trained on; images: {"id", "file_name" (relative to the input), "height", "width"};
    categories: {"id", "name"}, numbered from 1 in the order of the model's classes.  Images that
    could not be read are not in it.  The file appears at the end of the `with` block, whole.
    """

    def __init__(self, path, class_names):
        self.path, self.class_names = path, class_names
        self.images, self.count = [], 0

    def __enter__(self):
        self.stack = contextlib.ExitStack()
        self.file = self.stack.enter_context(atomic_file(self.path))
        self.file.write(BEGIN)
        self.stack.push(self.finish)
        return self

    def rows(self, image_id, found, shown):
        """The annotations of an image.  Runs in several threads."""
        results = coco_results(found, image_id, range(1, len(self.class_names) + 1))
        return [{**result, "area": area, "iscrowd": 0}
                for result, area in zip(results, found.areas.tolist(), strict=True)]

    def add(self, image_id, name, size, rows):
        """Append what `rows` returned, in the order of the images."""
        for row in rows:
            self.count += 1
            line = json.dumps({"id": self.count, **row}).encode()
            self.file.write((b",\n" if self.count > 1 else b"\n") + line)
        self.images.append({"id": image_id, "file_name": name, "height": size[0],
                            "width": size[1]})

    def finish(self, kind, error, traceback):
        """The rest of the json, unless the block ended in an exception."""
        if kind is None:
            categories = [{"id": number, "name": name}
                          for number, name in enumerate(self.class_names, start=1)]
            self.file.write(b'],\n"images": ' + json.dumps(self.images).encode())
            self.file.write(b',\n"categories": ' + json.dumps(categories).encode() + b"}\n")

    def __exit__(self, *error):
        return self.stack.__exit__(*error)
