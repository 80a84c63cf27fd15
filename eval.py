"""Mask AP of weights on the val set of a config: python eval.py --config=N [--weights FILE]."""
from tools.runtime import configure, describe

configure()

from tools.cli import add_prediction_arguments, build_parser, engine_options, load_config, run
from tools.data.splits import open_dataset
from tools.distributed import is_main, start
from tools.evaluation.coco_eval import precisions
from tools.evaluation.evaluate import predict_dataset
from tools.evaluation.evaluators import add_evaluator_argument, evaluator_name
from tools.evaluation.printing import print_evaluation, print_unreadable
from tools.evaluation.report import report_facts, write_report
from tools.evaluation.results import results_columns
from tools.files import refuse_input, refuse_others, write_json
from tools.inference.predictor import Predictor
from tools.inference.writers.coco import RESULTS_BEGIN


def parse_args(argv=None):
    parser = build_parser("Evaluate weights on the val set of a config (COCO mask and box AP).")
    add_prediction_arguments(parser)
    add_evaluator_argument(parser)
    parser.add_argument("--results", metavar="FILE", help="also write the detections as COCO json")
    parser.add_argument("--report", metavar="FILE.html",
                        help="also write a report to look at: tables, curves, the worst images")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    cfg = load_config(args)
    device = start(args.device, vulkan=True)
    print(describe(device))
    predictor = Predictor(cfg, args.weights, device, **engine_options(args))
    print(f"engine: {predictor.engine_choice}")
    print(f"config: {cfg.name}, weights: {predictor.weights}, {len(predictor.class_names)} classes")
    dataset = open_dataset(cfg, "val", class_names=predictor.class_names)
    if args.report:
        refuse_input(args.report)
    if args.results:
        refuse_others(args.results, RESULTS_BEGIN)
    results, unreadable = predict_dataset(predictor, dataset, args.batch_size)
    if not is_main():
        return 0
    if args.results:
        write_json(args.results, results)
    print(f"evaluator: {evaluator_name(args.evaluator)}")
    results = results_columns(results, dataset.ground_truth())
    precision = precisions(dataset, results, ("segm", "bbox"), args.evaluator, cfg.max_dets)
    print_evaluation(precision, dataset, cfg.max_dets, cfg.max_per_image)
    if args.report:
        facts = report_facts(cfg, predictor, dataset, args.evaluator, args.override)
        write_report(args.report, dataset, results, precision, facts)
    print_unreadable(unreadable, len(dataset))
    return 1 if unreadable else 0


if __name__ == "__main__":
    run(main)
