"""Results of a long prediction on disk as they come: an image is a line, and a kill loses none.

A run that is started again with the same facts goes on with the images that are missing.  Memory
stays the same however many results there are.
"""
import json
import threading
from pathlib import Path

from tools.distributed import get_rank, together
from tools.errors import UserError, shown
from tools.files import atomic_file, key_of_file
from tools.inference.writers.coco import coco_results

NAME = ".unfinished_results"       # .<rank>.jsonl, in the folder of the results


def facts_of(cfg, predictor, dataset):
    """What decides on the results: {name: text}."""
    return {"annotations": key_of_file(dataset.path), "weights": key_of_file(predictor.weights),
            "engine": f"{predictor.engine.name} {predictor.engine.version}",
            "classes": list(predictor.class_names), "settings": json.dumps(
                {name: str(value) for name, value in cfg.as_dict().items()}, sort_keys=True)}


class ResultStore:
    """`finished`: {index of an image: (path, offset) of its line}, of all processes so far.

    UserError where the folder holds unfinished results of other facts.
    """

    def __init__(self, folder, facts):
        self.folder = Path(folder)
        self.path = self.folder / f"{NAME}.{get_rank()}.jsonl"
        self.finished, self.lock, self.file = {}, threading.Lock(), None
        with together():
            self.open(facts)

    def open(self, facts):
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for path in sorted(self.folder.glob(f"{NAME}.*.jsonl")):
                self.read(path, facts)
            new = not self.path.exists() or self.path.stat().st_size == 0
            self.file = open(self.path, "ab")
        except OSError as error:
            raise UserError(f"cannot write to '{self.folder}': {error.strerror}") from None
        if new:
            self.append({"facts": facts})

    def read(self, path, facts):
        """Note the whole lines of a file of these facts (None: of any); cut a broken last one off,
        if it is this process's."""
        offset = 0
        with open(path, "rb") as file:
            for number, line in enumerate(file):
                if not line.endswith(b"\n"):
                    break
                if number == 0:
                    refuse_others(json.loads(line)["facts"], facts or {}, path)
                else:
                    self.finished[int(line[1:line.index(b",")])] = (path, offset)
                offset += len(line)
        if path == self.path:
            with open(path, "r+b") as file:
                file.truncate(offset)

    def append(self, content):
        with self.lock:
            self.file.write(json.dumps(content).encode() + b"\n")
            self.file.flush()                          # to the system: a kill cannot take it back

    def sink(self, dataset):
        """A sink of the Pipeline that keeps the results of the image with the job's name, an index.
        """
        def keep(index, image, instances):
            image_id = dataset.image_info(index)["image_id"]
            self.append([index, coco_results(instances, image_id, dataset.category_ids)])
        return keep

    def results(self):
        """The results of all images, in their order, one by one; of rank 0 when all are done."""
        for path in sorted(self.folder.glob(f"{NAME}.*.jsonl")):
            self.read(path, None)
        files = {}
        try:
            for index in sorted(self.finished):
                path, offset = self.finished[index]
                if path not in files:
                    files[path] = open(path, "rb")
                files[path].seek(offset)
                yield from json.loads(files[path].readline())[1]
        finally:
            for file in files.values():
                file.close()

    def remove(self):
        self.file.close()
        for path in self.folder.glob(f"{NAME}.*.jsonl"):
            path.unlink(missing_ok=True)


def refuse_others(found, facts, path):
    """UserError, with the first difference, unless unfinished results are of these facts."""
    for name, value in facts.items():
        if found.get(name) != value:
            raise UserError(f"'{path}' holds unfinished results with other {name} "
                            f"({difference(found.get(name), value)}): start again with the same to "
                            "continue, choose another --output, or delete the file")


def difference(old, new):
    """What differs between two values of facts, in a few words."""
    try:
        old, new = json.loads(old), json.loads(new)
        return "; ".join(f"{name}: {shown(old.get(name))}, now {shown(new[name])}"
                         for name in new if old.get(name) != new[name])
    except (TypeError, ValueError, AttributeError):
        return f"{shown(str(old))}, now {shown(str(new))}"


def write_list(path, entries):
    """Write a json list of entries that come one by one, atomically; returns how many."""
    count = 0
    with atomic_file(path) as file:
        file.write(b"[")
        for entry in entries:
            file.write((", " if count else "").encode() + json.dumps(entry).encode())
            count += 1
        file.write(b"]")
    return count
