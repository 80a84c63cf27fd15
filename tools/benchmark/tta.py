"""Mask AP with and without test-time augmentation, and what it costs."""
import time

from tools.cli import add_prediction_arguments, build_parser, load_config
from tools.data.splits import open_dataset
from tools.evaluation.coco_eval import evaluate
from tools.evaluation.evaluate import predict_dataset
from tools.inference.predictor import Predictor
from tools.runtime import describe


def parse_args(argv):
    parser = build_parser("Mask AP on the val set of a config, with and without --tta.")
    add_prediction_arguments(parser)
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    cfg = load_config(args)
    predictor = Predictor(cfg, args.weights, args.device, args.engine)
    dataset = open_dataset(cfg, "val", class_names=predictor.class_names)
    print(describe(predictor.device))
    print(f"config {cfg.name}, weights {predictor.weights}, engine {predictor.engine_choice}, "
          f"{len(dataset)} images of {dataset.path}")
    rows = []
    for tta in (False, True):
        predictor.cfg = predictor.cfg.replace(tta=tta)
        started = time.process_time()
        results, _ = predict_dataset(predictor, dataset)
        rows.append((evaluate(dataset, results), (time.process_time() - started) / len(dataset)))
        values = "  ".join(f"{name} {100 * rows[-1][0][f'segm_{name}']:.1f}"
                           for name in ("AP", "AP50", "AP75", "APs", "APm", "APl"))
        print(f"{'tta  ' if tta else 'plain'} {values}  {1e3 * rows[-1][1]:.0f} ms of CPU time",
              flush=True)
    (plain, cost), (augmented, more) = rows
    print(f"mask AP {100 * (augmented['segm_AP'] - plain['segm_AP']):+.1f} points at "
          f"{more / cost:.1f} times the CPU time")
