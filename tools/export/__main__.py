"""Weights for use without this project: python -m tools.export --config N --format onnx."""
from tools.runtime import configure

configure()

from tools.cli import build_parser, load_config, run
from tools.errors import UserError
from tools.files import atomic_file
from tools.inference.predictor import Predictor
from tools.training.checkpoint import INPUT_SETTINGS

SETTINGS = (*INPUT_SETTINGS, "size_divisor", "test_short_side", "test_max_side", "mask_threshold",
            "score_threshold", "update_threshold", "max_candidates", "max_per_image")


def parse_args(argv=None):
    parser = build_parser(
        "Write network and decoding as one file (onnx) or folder (paddle) with fixed shapes: "
        "float32 images [N, 3, H, W] -> count [N], scores [N, M], class_indices [N, M] and "
        "mask probabilities [N, M, H/4, W/4], M = max_per_image.  Class names and input settings "
        "go with it; tools/export/predict_example.py shows their use.  openvino-int8 is the "
        "network alone in 8 bits, for --engine openvino-int8.")
    parser.add_argument("--weights", metavar="FILE", help="weights file (default: the config's)")
    parser.add_argument("--format", choices=("onnx", "paddle", "openvino-int8"), default="onnx")
    parser.add_argument("--output", metavar="PATH",
                        help="default: the name of the weights with .onnx or .paddle")
    parser.add_argument("--calibration", metavar="FOLDER",
                        help="of typical images, from which openvino-int8 learns its ranges")
    return parser.parse_args(argv)


def describe_export(predictor):
    """What a user of the export has to know: {"config", "class_names", setting: value}."""
    return {"config": predictor.cfg.name, "class_names": list(predictor.class_names),
            **{key: getattr(predictor.cfg, key) for key in SETTINGS}}


def main(argv=None):
    args = parse_args(argv)
    predictor = Predictor(load_config(args), args.weights, "cpu")
    model, cfg, about = predictor.engine.model, predictor.cfg, describe_export(predictor)
    output = args.output or predictor.weights.removesuffix(".pdparams") + f".{args.format}"
    if args.format == "paddle":
        from tools.export.paddle_file import save_detector

        save_detector(output, model, cfg, about)
    else:
        try:
            from tools.export.onnx_file import detector_file
        except ImportError as error:
            raise UserError(f"--format {args.format} needs more ({error}): "
                            "pip install -r requirements-engines.txt") from None
        with atomic_file(output) as file:
            file.write(detector_file(model, cfg, about))
    print(f"{output}: config {cfg.name}, {len(predictor.class_names)} classes, at most "
          f"{cfg.max_per_image} instances; try: python tools/export/predict_example.py {output} "
          "IMAGE")


if __name__ == "__main__":
    run(main)
