"""Write the detections of a test set for the COCO server: python test_dev.py --config=N."""
from tools.runtime import configure, describe

configure()

from tools.cli import add_prediction_arguments, build_parser, load_config, run
from tools.data.splits import open_dataset
from tools.evaluation.evaluate import predict_dataset
from tools.files import write_json
from tools.inference.predictor import Predictor


def parse_args(argv=None):
    parser = build_parser("Segment the images of an image_info json (no annotations needed) and "
                          "write the results as the COCO server wants them, masks and boxes.")
    add_prediction_arguments(parser)
    parser.add_argument("--output", default="results", metavar="FOLDER",
                        help="for segm.json and bbox.json (default: %(default)s)")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    cfg = load_config(args)
    predictor = Predictor(cfg, args.weights, args.device, args.engine)
    print(describe(predictor.device))
    print(f"engine: {predictor.engine_choice}")
    print(f"config {cfg.name}, weights {predictor.weights}, images of {cfg.test_json}")
    dataset = open_dataset(cfg, "test", class_names=predictor.class_names)
    results = predict_dataset(predictor, dataset, args.batch_size)
    for kind, left_out in (("segm", "bbox"), ("bbox", "segmentation")):
        path = f"{args.output}/{kind}.json"
        write_json(path, [{key: value for key, value in result.items() if key != left_out}
                          for result in results])
        print(f"{path}: {len(results)} instances in {len(dataset)} images")


if __name__ == "__main__":
    run(main)
