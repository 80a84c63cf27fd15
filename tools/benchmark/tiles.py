"""Mask AP of large drawn images with small objects, with and without tiles."""
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from tools.cli import add_prediction_arguments, build_parser, load_config, positive_int
from tools.data.scenes import CLASS_NAMES, Scene
from tools.data.shapes import scene_annotations
from tools.data.splits import open_dataset
from tools.evaluation.coco_eval import evaluate
from tools.evaluation.evaluate import predict_dataset
from tools.files import write_json
from tools.inference.predictor import Predictor
from tools.runtime import describe, peak_memory

SIZE = (3000, 4000)
OBJECTS = 240                      # of which no class has more than COCO's 100 per image
SIDES = (52, 100)                  # pixels


def parse_args(argv):
    parser = build_parser("Mask AP on drawn images of 3000x4000 pixels with small objects.")
    add_prediction_arguments(parser)
    parser.add_argument("--images", type=positive_int, default=2, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    cfg = load_config(args)
    with tempfile.TemporaryDirectory() as folder:
        draw_images(Path(folder), args.images, args.seed)
        cfg = cfg.replace(val_json=f"{folder}/val.json", val_images=folder)
        predictor = Predictor(cfg, args.weights, args.device, args.engine)
        dataset = open_dataset(cfg, "val", class_names=predictor.class_names)
        print(describe(predictor.device))
        print(f"config {cfg.name}, weights {predictor.weights}, engine {predictor.engine_choice}, "
              f"{args.images} images of {SIZE[0]}x{SIZE[1]} with {OBJECTS} objects of "
              f"{SIDES[0]} to {SIDES[1]} pixels")
        for side in (0, cfg.tile_size if cfg.tile_size > 0 else cfg.test_short_side):
            predictor.cfg = predictor.cfg.replace(tile_size=side)
            started = time.process_time()
            results, _ = predict_dataset(predictor, dataset)
            seconds = (time.process_time() - started) / len(dataset)
            metrics = evaluate(dataset, results)
            print(f"{f'tiles of {side}' if side else 'whole image'}: mask AP "
                  f"{100 * metrics['segm_AP']:.1f}, AP50 {100 * metrics['segm_AP50']:.1f}, "
                  f"{seconds:.1f} s of CPU time per image, peak memory "
                  f"{peak_memory() / 1e6:.0f} MB", flush=True)


def draw_images(folder, count, seed):
    """Write the images and val.json into a folder."""
    images, annotations = [], []
    for number in range(1, count + 1):
        rng = np.random.default_rng([seed, number])
        scene = Scene(rng, SIZE)
        for _ in range(OBJECTS):
            scene.add(str(rng.choice(CLASS_NAMES)), rng.uniform(*SIDES))
        cv2.imwrite(str(folder / f"{number}.jpg"), scene.photograph())
        images.append({"id": number, "file_name": f"{number}.jpg", "height": SIZE[0],
                       "width": SIZE[1]})
        annotations += scene_annotations(scene, number, len(annotations) + 1)
    categories = [{"id": number, "name": name} for number, name in enumerate(CLASS_NAMES, 1)]
    write_json(folder / "val.json", {"images": images, "annotations": annotations,
                                     "categories": categories})
