"""Data at size: a synthetic json as large as COCO's, or larger, against pycocotools.

    python -m tools.benchmark data --images 118287

Every row runs in a process of its own; CPU seconds and memory are those above the start of its
work, without the imports.  The evaluation has 100 results in each of 5000 images at most, test_dev
as many in each of 20,288, as in test-dev2017.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.benchmark.synthetic_coco import write_coco
from tools.cli import positive_int

COCO_IMAGES = 118_287
EVALUATED, TESTED = 5000, 20_288
ROOT = Path(__file__).resolve().parents[2]


def parse_args(argv=None):
    parser = argparse.ArgumentParser(prog="python -m tools.benchmark data", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=positive_int, default=COCO_IMAGES, metavar="N",
                        help="images of the json (default: %(default)s, those of COCO train2017)")
    parser.add_argument("--folder", metavar="DIR", help="where to keep the json and empty images")
    parser.add_argument("--without-pycocotools", action="store_true",
                        help="leave out the comparison, which takes 26 KB of memory per image")
    return parser.parse_args(argv)


def row(name, path, images):
    """What data_rows.py prints about one row."""
    done = subprocess.run([sys.executable, "-m", "tools.benchmark.data_rows", name, str(path),
                           str(images)], cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure(folder, num_images, compare=True, evaluated=EVALUATED, tested=TESTED):
    """{row: {"cpu", "peak", "resident", "own", "private"}} in s and MB, of a json in `folder`.

    compare: with pycocotools; evaluated, tested: images of the evaluation and of test_dev at most,
    0 for none.
    """
    path, images = Path(folder) / f"synthetic_{num_images}.json", Path(folder) / "images"
    images.mkdir(parents=True, exist_ok=True)
    write_coco(path, num_images, images)
    Path(f"{path}.packed").unlink(missing_ok=True)
    found = {"pycocotools": row("pycocotools", path, images)} if compare else {}
    found["open"] = row("open", path, images)
    found["open again"] = row("open", path, images)
    found["readers"] = row("readers", path, images)
    for name, most in (("evaluation", evaluated), ("matching", evaluated), ("check", evaluated),
                       ("test_dev", tested)):
        if most:
            smaller = Path(folder) / f"synthetic_{min(num_images, most)}.json"
            if not smaller.exists():
                write_coco(smaller, most)
            found[name] = row(name, smaller, images)
    found["size"] = {"json": os.path.getsize(path) / 1e6}
    return found


def table(found):
    """The lines of a Markdown table."""
    lines = ["| what | CPU s | peak MB | resident MB | of it own MB |", "|---|---|---|---|---|"]
    names = {"pycocotools": "pycocotools `COCO()`", "open": "open, first time",
             "open again": "open, from the packed file",
             "evaluation": f"evaluation, {EVALUATED} images at most x 100",
             "matching": "matching of the report, x 10",
             "check": f"check_dataset, {EVALUATED} images at most",
             "test_dev": f"test_dev, {TESTED} images at most x 100"}
    for name, text in names.items():
        if name in found:
            values = found[name]
            lines.append(f"| {text} | {values['cpu']:.2f} | {values['peak']:.0f} | "
                         f"{values['resident']:.0f} | {values['own']:.0f} |")
    lines.append(f"| a reader after an epoch | | | | "
                 f"{found['readers']['private']:.0f} |")
    if "pycocotools" in found:
        base = found["pycocotools"]
        lines += ["", f"against pycocotools: CPU {found['open']['cpu'] / base['cpu']:.2f}, again "
                  f"{found['open again']['cpu'] / base['cpu']:.3f}, peak "
                  f"{found['open']['peak'] / base['peak']:.2f}"]
    return lines


def main(argv=None):
    args = parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(args.folder or folder, args.images, not args.without_pycocotools)
    print(f"{args.images} images, {found['size']['json']:.0f} MB of json\n")
    print(*table(found), sep="\n")
    return 0
