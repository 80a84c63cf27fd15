"""Tracks on drawn videos with known identities: IDF1, and the time of the tracker."""
import time
from statistics import mean

from tools.benchmark.synthetic import moving_blocks
from tools.cli import add_prediction_arguments, build_parser, load_config, positive_int
from tools.data.clips import draw_clip
from tools.evaluation.identity import MIN_IOU, IdentityScore, mask_iou
from tools.inference.predictor import Predictor
from tools.inference.tracks import Tracker
from tools.progress import progress
from tools.runtime import describe

COUNTED = 20                       # objects in the frames that the tracker is timed on


def parse_args(argv):
    parser = build_parser("IDF1 of the tracks on drawn clips (tools/data/clips.py).")
    add_prediction_arguments(parser)
    parser.add_argument("--clips", type=positive_int, default=10, help="default: %(default)s")
    parser.add_argument("--frames", type=positive_int, default=100, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=1,
                        help="of the clips; the settings were chosen on 500 and 501 "
                             "(default: %(default)s)")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    cfg = load_config(args)
    predictor = Predictor(cfg, args.weights, args.device, args.engine)
    print(describe(predictor.device))
    print(f"config {cfg.name}, weights {predictor.weights}, engine {predictor.engine_choice}")
    total, seconds = IdentityScore(), []
    for index in range(args.clips):
        clip, score = draw_clip(args.seed, index, frames=args.frames), IdentityScore()
        objects, tracks = follow(clip, predictor, score, seconds, f"clip {index + 1}")
        total += score
        print(f"clip {index + 1}: IDF1 {score.idf1:.3f}, {objects} objects, {tracks} tracks",
              flush=True)
    print(f"{args.clips} clips of {args.frames} frames, seed {args.seed}: IDF1 {total.idf1:.3f}")
    print(f"tracker: {1e3 * mean(seconds):.2f} ms of CPU time per frame of these clips, "
          f"{tracker_ms(predictor.cfg):.2f} ms per frame of {COUNTED} objects")


def follow(clip, predictor, score, seconds, label):
    """Add a clip to `score`, the tracker's CPU seconds to `seconds`; (objects, tracks) in it."""
    tracker, truth, found = Tracker(predictor.cfg), [], []
    for image, owner in progress(clip, len(clip), label, "frame"):
        instances = predictor(image)
        started = time.process_time()
        numbers = tracker(instances)
        seconds.append(time.process_time() - started)
        truth.append(clip.visible(owner))
        tracks = {int(number): instances.mask(index) for index, number in enumerate(numbers)
                  if number}
        found.append(asked_for(tracks, truth[-1], clip.visible(owner, at_least=0)))
    score.add(truth, found)
    return len({number for masks in truth for number in masks}), len(tracker.objects)


def asked_for(found, truth, everything):
    """The results without those that show an object of which too little is seen to be asked for."""
    hidden = [mask for number, mask in everything.items() if number not in truth]

    def shows(mask, others):
        return any(mask_iou(mask, other) >= MIN_IOU for other in others)

    return {number: mask for number, mask in found.items()
            if shows(mask, truth.values()) or not shows(mask, hidden)}


def tracker_ms(cfg, frames=50):
    """Milliseconds of CPU time per frame of COUNTED objects in 720p."""
    tracker, clip = Tracker(cfg), moving_blocks(COUNTED, frames)
    started = time.process_time()
    for instances in clip:
        tracker(instances)
    return 1e3 * (time.process_time() - started) / frames
