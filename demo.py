"""Segment images and draw what was found: python demo.py --input photos --output results"""
from tools.runtime import configure, describe

configure()

import sys

from tqdm import tqdm

from tools.cli import add_prediction_arguments, build_parser, load_config, run
from tools.inference.pipeline import Pipeline
from tools.inference.predictor import Predictor
from tools.inference.sources import find_images
from tools.inference.writers.result_writer import FORMATS, ResultWriter


def parse_args(argv):
    parser = build_parser(__doc__)
    add_prediction_arguments(parser)
    parser.add_argument("--input", default="images/test",
                        help="image, folder or quoted pattern: 'dir/*.jpg' (default: %(default)s)")
    parser.add_argument("--output", default="images/res",
                        help="folder for the drawn images (default: %(default)s)")
    parser.add_argument("--score-threshold", type=float,
                        help="draw from this score on (default: draw_threshold of the config)")
    parser.add_argument("--results", metavar="FILE",
                        help="write all instances, drawn or not, as COCO json with scores")
    parser.add_argument("--write", nargs="+", choices=FORMATS, default=[], metavar="FORMAT",
                        help="also write what is drawn, beside each image: masks polygons labelme")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    cfg = load_config(args)
    images = find_images(args.input, exclude=args.output)
    predictor = Predictor(cfg, args.weights, args.device, args.engine)
    print(describe(predictor.device))
    print(f"engine: {predictor.engine_choice}")
    print(f"config {cfg.name}, weights {predictor.weights}, {len(images)} images from {args.input}")

    threshold = cfg.draw_threshold if args.score_threshold is None else args.score_threshold
    writer = ResultWriter(images, args.output, predictor.class_names, threshold,
                          bool(args.results), args.write, cfg.polygon_tolerance)
    pipeline = Pipeline(predictor, writer, batch_size=args.batch_size)
    broken = 0
    for job in tqdm(pipeline(images), total=len(images), unit="image", disable=None):
        if job.error:
            broken += 1
            tqdm.write(f"skipped: {job.error}", file=sys.stderr)
    print(f"{len(images) - broken} images with {sum(writer.counts.values())} drawn instances in "
          f"{args.output}")
    print(pipeline.times.table())
    if args.results:
        writer.write_json(args.results)
    if broken:
        print(f"{broken} of {len(images)} images were skipped", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    run(main)
