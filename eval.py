"""Mask AP of weights on the val set of a config: python eval.py --config=N [--weights FILE]."""
from tools.runtime import configure, describe

configure()

import json

from tools.cli import build_parser, load_config, run
from tools.data.splits import open_dataset
from tools.evaluation.coco_eval import evaluate
from tools.evaluation.evaluate import predict_dataset, print_metrics
from tools.inference.predictor import Predictor
from tools.training.distributed import is_main, start


def parse_args(argv=None):
    parser = build_parser("Evaluate weights on the val set of a config (COCO mask and box AP).")
    parser.add_argument("--weights", metavar="FILE", help="weights file (default: the config's)")
    parser.add_argument("--library", choices=("auto", "pycocotools", "faster"), default="auto",
                        help="evaluator; auto is faster-coco-eval where it is installed "
                             "(the same numbers)")
    parser.add_argument("--results", metavar="FILE", help="also write the detections as COCO json")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    cfg = load_config(args)
    device = start(args.device)
    print(describe(device))
    predictor = Predictor(cfg, args.weights, device)
    print(f"config: {cfg.name}, weights: {predictor.weights}, {len(predictor.class_names)} classes")
    dataset = open_dataset(cfg, "val", class_names=predictor.class_names)
    results = predict_dataset(predictor, dataset)
    if not is_main():
        return
    if args.results:
        with open(args.results, "w", encoding="utf-8") as file:
            json.dump(results, file)
    print_metrics(evaluate(dataset, results, ("segm", "bbox"), args.library))


if __name__ == "__main__":
    run(main)
