"""Write the results of a test set for the COCO server: python test_dev.py --config=N."""
from tools.runtime import configure, describe

configure()

import sys

from tools.cli import add_prediction_arguments, build_parser, engine_options, load_config, run
from tools.data.splits import open_dataset
from tools.distributed import is_main, start
from tools.evaluation.evaluate import predict_to_disk
from tools.evaluation.result_store import ResultStore, facts_of
from tools.evaluation.server_files import refuse_to_replace, write_test_results
from tools.inference.predictor import Predictor


def parse_args(argv=None):
    parser = build_parser("Segment the images of an image_info json (no annotations needed) and "
                          "write the results as the COCO server wants them, masks and boxes. "
                          "What was done when a run was stopped is continued.")
    add_prediction_arguments(parser)
    parser.add_argument("--output", default="results", metavar="FOLDER",
                        help="for segm.json and bbox.json (default: %(default)s)")
    parser.add_argument("--algorithm", metavar="NAME",
                        help="also zip them under the names that the COCO server asks for: "
                             "FOLDER/segm/detections_<set>_<NAME>_results.zip, and so for bbox")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    cfg = load_config(args)
    device = start(args.device, vulkan=True)
    predictor = Predictor(cfg, args.weights, device, **engine_options(args))
    print(describe(device))
    print(f"engine: {predictor.engine_choice}")
    print(f"config {cfg.name}, weights {predictor.weights}, images of {cfg.test_json}")
    dataset = open_dataset(cfg, "test", class_names=predictor.class_names)
    refuse_to_replace(args.output)
    store = ResultStore(args.output, facts_of(cfg, predictor, dataset))
    skipped = predict_to_disk(predictor, dataset, store, args.batch_size)
    if not is_main():              # a failure here would stop rank 0 while it writes
        return 0
    for path in write_test_results(args.output, store.results, cfg.test_json, args.algorithm):
        print(f"{path}: the results of {len(store.finished)} images")
    store.remove()
    for message in skipped:
        print(f"skipped: {message}", file=sys.stderr)
    if skipped:
        print(f"{len(skipped)} of {len(dataset)} images were skipped", file=sys.stderr)
    return 1 if skipped else 0


if __name__ == "__main__":
    run(main)
