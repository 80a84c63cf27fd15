"""Watch SOLOv2 work on one photograph: python -m tools.explain photo.jpg --output page.html

One page, without a connection: what every step sees, what every cell of the grids says, which mask
decays which, and what the photograph would teach in training.
"""
from tools.runtime import configure

configure()

import os
import time

import paddle

from model.solov2 import build_solov2
from tools.cli import build_parser, load_config, run
from tools.data.coco import CocoDataset
from tools.data.images import read_image
from tools.explain.content import page_content
from tools.explain.page import LANGUAGES, page_text
from tools.explain.teaching import annotated_photo, teach
from tools.explain.trace import trace
from tools.files import note_input, refuse_input, write_text
from tools.inference.predictor import Predictor
from tools.runtime import resolve_device

RANDOM = "random"


def parse_args(argv=None):
    parser = build_parser(__doc__)
    parser.add_argument("photo", help="image file")
    parser.add_argument("--weights", metavar="FILE",
                        help="weights file (default: the config's own, or random ones where that "
                             "file is missing); 'random' for an untrained network")
    parser.add_argument("--output", default="explained.html", metavar="FILE",
                        help="page to write (default: %(default)s)")
    parser.add_argument("--language", choices=LANGUAGES, default="en", help="of the page")
    parser.add_argument("--json", metavar="FILE",
                        help="COCO annotations of the photograph, for the training side (default: "
                             "what is found stands for them)")
    parser.add_argument("--images", metavar="FOLDER",
                        help="where the file names of --json start (default: the photograph's)")
    return parser.parse_args(argv)


def open_annotations(args):
    """The CocoDataset of --json, or None."""
    if not args.json:
        return None
    folder = args.images or os.path.dirname(args.photo) or "."
    return CocoDataset(args.json, folder, training=False, max_broken_images=1.0)


def open_predictor(cfg, args, dataset):
    """A predictor with the network itself; its `weights` are "" where they are random.

    A random network has the classes of the annotations, if there are any.
    """
    if args.weights != RANDOM and (args.weights or os.path.isfile(cfg.weights_path)):
        return Predictor(cfg, args.weights, args.device, engine="dygraph")
    if not args.weights:
        print(f"'{cfg.weights_path}' is missing, so the weights are random: python -m convert "
              f"--config {cfg.name} --download fetches published ones, --weights names others")
    paddle.set_device(resolve_device(args.device))
    paddle.seed(cfg.seed)
    names = (dataset.class_names if dataset else
             [f"class {number}" for number in range(1, cfg.num_classes + 1)])
    cfg = cfg.replace(num_classes=len(names))
    return Predictor.from_model(cfg, build_solov2(cfg), names)


def found_objects(found, predictor):
    """What is found and drawn, as objects; None for nothing."""
    shown = found.instances.select(found.instances.scores >= predictor.cfg.draw_threshold)
    return (shown.masks, shown.boxes, shown.class_indices) if len(shown) else None


def facts_of(args, found, predictor, objects):
    """What the sentences of the page say, by name."""
    cfg, sizes = predictor.cfg, {"original": found.image.shape[:2],
                                 "resized": found.resized.shape[1:],
                                 "padded": found.padded.shape[1:],
                                 "map": found.mask_features.shape[1:]}
    return {"photo": os.path.basename(args.photo), "config": cfg.name,
            "weights": predictor.weights or f"random (seed {cfg.seed})",
            "random": not predictor.weights, "classes": len(predictor.class_names),
            **{name: f"{width} × {height}" for name, (height, width) in sizes.items()},
            "channels": len(found.mask_features), "network": found.network_seconds,
            "device": predictor.device, "paddle": paddle.__version__,
            "short_side": cfg.test_short_side, "max_side": cfg.test_max_side,
            "source": "lesson_json" if args.json else "lesson_found" if objects else "lesson_none",
            "count": len(objects[0]) if objects else 0, "json": os.path.basename(args.json or "")}


def explain(args):
    """(HTML of the page, Trace, facts of the page)."""
    dataset = open_annotations(args)
    predictor = open_predictor(load_config(args), args, dataset)
    image, objects = (annotated_photo(dataset, args.photo, predictor.class_names) if dataset else
                      (read_image(args.photo, apply_exif=True), None))
    started = time.perf_counter()
    found = trace(predictor, image)
    objects = objects or found_objects(found, predictor)
    lesson = teach(found, predictor.cfg, objects) if objects else None
    content = page_content(found, lesson, predictor)
    facts = facts_of(args, found, predictor, objects)
    facts["seconds"] = time.perf_counter() - started
    return page_text(content, facts, args.language), found, facts


def main(argv=None):
    args = parse_args(argv)
    note_input(args.photo, "the photograph")
    refuse_input(args.output)
    text, found, facts = explain(args)
    write_text(args.output, text)
    print(f"{args.output}: {len(text.encode()) / 1e6:.2f} MB in {facts['seconds']:.1f} s, "
          f"{facts['network']:.2f} s of them the network's; {facts['config']}, weights "
          f"{facts['weights']}, {len(found.instances)} instances")


if __name__ == "__main__":
    run(main)
