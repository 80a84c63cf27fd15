"""One row of the benchmark of data at size, in a process of its own: it prints CPU and memory.

    python -m tools.benchmark.data_rows ROW json folder
"""
import gc
import json
import os
import resource
import sys
import tempfile
import time

from tools.runtime import configure


def status(name):
    """A line of /proc/self/status in MB: VmHWM, VmRSS, RssAnon."""
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith(name))


def private():
    """MB of this process that no other one shares."""
    with open("/proc/self/smaps_rollup", encoding="ascii") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("Private")) / 1024


def reset_peak():
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


def measured(work):
    """(what `work` returns, {"cpu": seconds, "peak", "resident", "own": MB above the start}).

    own: of the resident, what is no part of a file that other processes map too.
    """
    gc.collect()
    before, own = status("VmRSS"), status("RssAnon")
    reset_peak()
    started = time.process_time()
    found = work()
    return found, {"cpu": time.process_time() - started, "peak": status("VmHWM") - before,
                   "resident": status("VmRSS") - before, "own": status("RssAnon") - own}


def pycocotools(path, folder):
    from pycocotools.coco import COCO
    sys.stdout = open(os.devnull, "w")
    return measured(lambda: COCO(path))[1]


def opened(path, folder):
    from tools.data.coco import CocoDataset
    return measured(lambda: CocoDataset(path, folder))


def open_dataset(path, folder):
    return opened(path, folder)[1]


def readers(path, folder, count=2):
    """The most that one of two forked readers keeps for itself after half an epoch each.

    Measured when both have read, since a page that one of them has mapped alone counts as private.
    """
    dataset, _ = opened(path, folder)
    pipes = []
    for reader in range(count):
        (receive, send), (wait, go) = os.pipe(), os.pipe()
        if os.fork() == 0:
            before = private()
            for index in range(reader, len(dataset), count):
                dataset.annotations(index)
                dataset.image_info(index)
            os.write(send, b"read")
            os.read(wait, 1)
            os.write(send, str(private() - before).encode())
            os.read(wait, 1)
            os._exit(0)
        pipes.append((receive, go))
    for receive, _ in pipes:
        os.read(receive, 4)
    found = []
    for _ in range(2):                                 # what was measured; then they may end
        for _, go in pipes:
            os.write(go, b"1")
        found = found or [float(os.read(receive, 100)) for receive, _ in pipes]
    return {"private": max(found)}


def evaluation(path, folder, evaluator="auto"):
    """100 results in each image."""
    from tools.benchmark.synthetic_coco import synthetic_results
    from tools.data.coco import CocoDataset
    from tools.evaluation.coco_eval import precisions
    dataset = CocoDataset(path, folder, training=False)
    results = synthetic_results(dataset, 100)
    return measured(lambda: precisions(dataset, results, ("segm", "bbox"), evaluator))[1]


def matching(path, folder):
    from tools.benchmark.synthetic_coco import synthetic_results
    from tools.data.coco import CocoDataset
    from tools.evaluation.mistakes import match_results
    dataset = CocoDataset(path, folder, training=False)
    results = synthetic_results(dataset, 10)
    return measured(lambda: match_results(dataset, results))[1]


def check(path, folder):
    """check_dataset's look at every image and object."""
    configure()
    from config import get_config
    from tools.benchmark.synthetic_coco import write_photographs
    from tools.check_dataset.survey import survey
    from tools.data.coco import CocoDataset
    with tempfile.TemporaryDirectory(dir=folder) as photographs:
        write_photographs(photographs, path)
        dataset = CocoDataset(path, photographs)
        return measured(lambda: survey(dataset, get_config("0")))[1]


def test_dev(path, folder):
    """100 results in each image on their way to the files of the COCO server."""
    configure()
    from tools.benchmark.synthetic_coco import synthetic_instances
    from tools.data.coco import CocoDataset
    from tools.evaluation.result_store import ResultStore
    from tools.evaluation.server_files import write_test_results
    dataset, found = CocoDataset(path, folder, training=False), synthetic_instances(100)

    def predicted(output):
        store = ResultStore(output, {})
        keep = store.sink(dataset)
        for index in range(len(dataset)):
            keep(index, None, found[index % len(found)])
        write_test_results(output, store.results, "test.json")
        store.remove()
    with tempfile.TemporaryDirectory(dir=folder) as output:
        return measured(lambda: predicted(output))[1]


ROWS = {"pycocotools": pycocotools, "open": open_dataset, "readers": readers,
        "evaluation": evaluation, "matching": matching, "check": check, "test_dev": test_dev}


if __name__ == "__main__":
    found = ROWS[sys.argv[1]](*sys.argv[2:])
    sys.__stdout__.write(json.dumps(found) + "\n")
    sys.__stdout__.flush()
    resource.getrusage(resource.RUSAGE_SELF)
    os._exit(0)                                        # without freeing millions of objects
