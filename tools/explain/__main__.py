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
from tools.files import write_text
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


def open_predictor(cfg, weights, device, dataset):
    """(a predictor with the network itself, its weights in words, whether they are random).

    A random network has the classes of the annotations, if there are any.
    """
    if weights == RANDOM or (not weights and not os.path.isfile(cfg.weights_path)):
        print(f"random weights: '{cfg.weights_path}' " + ("is not wanted" if weights else
              "is missing (python -m convert --list shows what is published)"))
        paddle.set_device(resolve_device(device))
        paddle.seed(cfg.seed)
        names = dataset.class_names if dataset else [f"class {number}" for number
                                                     in range(1, cfg.num_classes + 1)]
        cfg = cfg.replace(num_classes=len(names))
        return Predictor.from_model(cfg, build_solov2(cfg), names), f"random (seed {cfg.seed})", True
    predictor = Predictor(cfg, weights, device, engine="dygraph")
    return predictor, predictor.weights, False


def found_objects(found, predictor):
    """What is found and drawn, as objects; None for nothing."""
    shown = found.instances.select(found.instances.scores >= predictor.cfg.draw_threshold)
    return (shown.masks, shown.boxes, shown.class_indices) if len(shown) else None


def main(argv=None):
    args = parse_args(argv)
    dataset = open_annotations(args)
    predictor, weights, random = open_predictor(load_config(args), args.weights, args.device,
                                                dataset)
    image, objects = (annotated_photo(dataset, args.photo, predictor.class_names) if dataset else
                      (read_image(args.photo, apply_exif=True), None))
    started = time.perf_counter()
    found = trace(predictor, image)
    if objects is None:
        objects = found_objects(found, predictor)
    lesson = None if objects is None else teach(found, predictor.cfg, objects)
    content = page_content(found, lesson, predictor)
    facts = facts_of(args, found, predictor, weights, random, objects)
    facts["seconds"] = time.perf_counter() - started
    text = page_text(content, facts, args.language)
    write_text(args.output, text)
    seconds = time.perf_counter() - started
    print(f"{args.output}: {len(text.encode()) / 1e6:.2f} MB in {seconds:.1f} s, "
          f"{found.network_seconds:.2f} s of them the network's; {predictor.cfg.name}, "
          f"weights {weights}, {len(found.instances)} instances")


def facts_of(args, found, predictor, weights, random, objects):
    """What the sentences of the page say, by name."""
    cfg = predictor.cfg
    return {"photo": os.path.basename(args.photo), "config": cfg.name, "weights": weights,
            "random": random, "classes": len(predictor.class_names),
            "original": wide_by_tall(found.image.shape[:2]),
            "resized": wide_by_tall(found.resized.shape[1:]),
            "padded": wide_by_tall(found.padded.shape[1:]),
            "map": wide_by_tall(found.mask_features.shape[1:]),
            "channels": len(found.mask_features), "network": found.network_seconds,
            "device": predictor.device, "paddle": paddle.__version__,
            "short_side": cfg.test_short_side, "max_side": cfg.test_max_side, "source": "lesson_json" if args.json else "lesson_found" if objects else "lesson_none",
            "count": 0 if objects is None else len(objects[0]), "json": os.path.basename(args.json or "")}


def wide_by_tall(size):
    return f"{size[1]} × {size[0]}"


if __name__ == "__main__":
    run(main)
