"""Segment images and videos and draw what is found: python demo.py photo.jpg clip.mp4 photos/"""
from tools.runtime import configure, describe

configure()

import sys

from tools.cli import (
    add_prediction_arguments,
    add_video_arguments,
    build_parser,
    engine_options,
    load_config,
    run,
)
from tools.inference.images import segment_images
from tools.inference.inputs import find_inputs
from tools.inference.predictor import ROOT, Predictor
from tools.inference.video import segment_videos
from tools.inference.visualize import COLORS
from tools.inference.writers.formats import FORMATS, formats_help


def parse_args(argv):
    parser = build_parser(__doc__)
    parser.add_argument("inputs", nargs="*", metavar="INPUT",
                        help="images, videos, folders, patterns ('dir/*.jpg'), .txt lists, - for "
                             "names from stdin, http(s) addresses, camera numbers, rtsp:// streams "
                             "(default: the bundled images/test)")
    parser.add_argument("--input", nargs="+", action="extend", default=[], metavar="INPUT",
                        help="the same")
    parser.add_argument("--recursive", action="store_true", help="folders with their sub-folders")
    parser.add_argument("--output", default="images/res", metavar="FOLDER",
                        help="for what is written (default: %(default)s)")
    parser.add_argument("--write", nargs="+", choices=FORMATS, default=[], metavar="FORMAT",
                        help=f"what to write besides the drawn images. {formats_help()}")
    parser.add_argument("--no-draw", action="store_true", help="write only what --write names")
    parser.add_argument("--results", metavar="FILE.json",
                        help="write all instances, drawn or not, as COCO json with scores")
    parser.add_argument("--score-threshold", type=float,
                        help="draw from this score on (default: draw_threshold of the config)")
    parser.add_argument("--color", choices=COLORS,
                        help="what a color stands for (default: instance, in a video track)")
    add_prediction_arguments(parser)
    add_video_arguments(parser)
    return parser.parse_intermixed_args(argv)


def main(argv=None):
    args = parse_args(argv)
    cfg = load_config(args)
    inputs = find_inputs([*args.inputs, *args.input] or [ROOT / "images/test"], args.recursive,
                         exclude=args.output)
    for sentence in inputs.notes + inputs.problems:
        print(f"note: {sentence}", file=sys.stderr)
    predictor = Predictor(cfg, args.weights, args.device, **engine_options(args))
    print(describe(predictor.device))
    print(f"engine: {predictor.engine_choice}")
    print(f"config {cfg.name}, weights {predictor.weights}, {len(inputs.images)} images"
          + f", {len(inputs.videos)} videos" * bool(inputs.videos))
    failed = len(inputs.problems) + segment_images(args, predictor, inputs)
    failed += segment_videos(args, predictor, inputs.videos)
    return 1 if failed else 0


if __name__ == "__main__":
    run(main)
