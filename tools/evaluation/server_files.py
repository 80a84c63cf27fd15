"""The files that the COCO server takes: results of masks and of boxes, zipped under its names."""
import shutil
import zipfile
from pathlib import Path

from tools.evaluation.result_store import write_list
from tools.files import atomic_file, refuse_others
from tools.inference.writers.coco import RESULTS_BEGIN

KINDS = (("segm", "bbox"), ("bbox", "segmentation"))   # (file, what it leaves out)


def refuse_to_replace(folder):
    """UserError where `write_test_results` would replace a file of somebody else's."""
    for kind, _ in KINDS:
        refuse_others(Path(folder) / f"{kind}.json", RESULTS_BEGIN)


def write_test_results(folder, results, test_json, algorithm=None):
    """Write `folder`/segm.json and bbox.json, the COCO results without boxes and without masks.

    results: function() -> iterable of result dicts, called for each file, so that they need not be
    in memory; or a list of them.
    algorithm: name under which the COCO server is to list them; adds segm/detections_<set>_
    <algorithm>_results.zip and the same of bbox, each around a json of its name, where <set> is
    that of `test_json` (test-dev2017 of image_info_test-dev2017.json).  Returns all paths.
    """
    test_set = Path(test_json).stem.removeprefix("image_info_").removeprefix("instances_")
    paths = []
    for kind, left_out in KINDS:
        paths.append(Path(folder) / f"{kind}.json")
        write_list(paths[-1], ({key: value for key, value in result.items() if key != left_out}
                               for result in (results() if callable(results) else results)))
        if algorithm:
            name = f"detections_{test_set}_{algorithm}_results"
            paths.append(Path(folder) / kind / f"{name}.zip")
            with atomic_file(paths[-1]) as file, \
                    zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                add_undated(archive, paths[-2], f"{name}.json")
    return paths


def add_undated(archive, path, name):
    """Add a file to a ZipFile without its time, so that equal results are equal bytes."""
    info = zipfile.ZipInfo(name)
    info.compress_type, info.file_size = zipfile.ZIP_DEFLATED, path.stat().st_size
    with archive.open(info, "w") as entry, open(path, "rb") as file:
        shutil.copyfileobj(file, entry)
