"""Json lines: one for each image of a run (results.jsonl) or for each frame of a video."""
import json
from pathlib import Path

from tools.errors import UserError
from tools.files import atomic_file
from tools.inference.image_instances import ImageInstances


class ImageLines:
    """{"image", "height", "width", "instances"} per image, of what is drawn; see to_dict."""

    def __init__(self, path, class_names):
        self.path = path

    def __enter__(self):
        self.context = atomic_file(self.path)
        self.file = self.context.__enter__()
        return self

    def __exit__(self, *error):
        return self.context.__exit__(*error)

    def rows(self, image_id, found, shown):
        return list(shown.rows())

    def add(self, image_id, name, size, rows):
        line = {"image": name, "height": size[0], "width": size[1], "instances": rows}
        self.file.write(json.dumps(line).encode() + b"\n")


class FrameLines:
    """{"frame", "seconds", "instances"} per frame, of what is drawn; each line is written at once.

    lines.add(job) with a finished job of the pipeline whose source is a Frame.
    """

    def __init__(self, path, class_names, score_threshold):
        self.path, self.class_names, self.score_threshold = path, class_names, score_threshold

    def __enter__(self):
        try:
            Path(self.path).parent.mkdir(parents=True, exist_ok=True)
            self.file = open(self.path, "w", buffering=1, encoding="utf-8")
        except OSError as error:
            raise UserError(f"cannot write '{self.path}': {error.strerror}") from None
        return self

    def __exit__(self, *_):
        self.file.close()

    def add(self, job):
        found = job.instances.select(job.instances.scores >= self.score_threshold)
        line = {"frame": job.source.index, "seconds": round(job.source.seconds, 6),
                "instances": list(ImageInstances.of(found, self.class_names).rows())}
        self.file.write(json.dumps(line) + "\n")
        return True
