"""Weights for use without this project: python -m tools.export --config N --format onnx."""
from tools.runtime import configure

configure()

from tools.cli import build_parser, load_config, run
from tools.errors import UserError
from tools.files import atomic_file
from tools.inference.predictor import Predictor
from tools.weights.weights_file import INPUT_SETTINGS

SETTINGS = (*INPUT_SETTINGS, "size_divisor", "test_short_side", "test_max_side", "mask_threshold",
            "score_threshold", "update_threshold", "max_candidates", "max_per_image")


# Packages of a format that the project itself does not need.
REQUIREMENTS = {"onnx": "requirements-engines.txt", "paddle": "requirements.txt",
                "openvino-int8": "requirements-int8.txt"}


def parse_args(argv=None):
    parser = build_parser(
        "Write network and decoding as a file (onnx) or folder (paddle): float32 images "
        "[N, 3, H, W] -> count [N], scores [N, M], class_indices [N, M] and mask probabilities "
        "[N, M, H/4, W/4], M = max_per_image.  Class names and input settings go with it; "
        "tools/export/predict_example.py shows its use.  openvino-int8 is the network alone in 8 "
        "bits, for --engine openvino-int8.")
    parser.add_argument("--weights", metavar="FILE", help="weights file (default: the config's)")
    parser.add_argument("--format", choices=REQUIREMENTS, default="onnx")
    parser.add_argument("--output", metavar="PATH",
                        help="of onnx and paddle (default: named after the weights)")
    parser.add_argument("--calibration", metavar="FOLDER",
                        help="of some ten to 300 typical images, for openvino-int8")
    return parser.parse_args(argv)


def write_onnx(predictor, output):
    from tools.export.onnx_file import detector_file

    content = detector_file(predictor.engine.model, predictor.cfg, describe_export(predictor))
    with atomic_file(output) as file:
        file.write(content)


def write_paddle(predictor, output):
    from tools.export.paddle_file import save_detector

    save_detector(output, predictor.engine.model, predictor.cfg, describe_export(predictor))


def describe_export(predictor):
    """What a user of the export has to know: {"config", "class_names", setting: value}."""
    return {"config": predictor.cfg.name, "class_names": list(predictor.class_names),
            **{key: getattr(predictor.cfg, key) for key in SETTINGS}}


def main(argv=None):
    args = parse_args(argv)
    if bool(args.calibration) != (args.format == "openvino-int8"):
        raise UserError("--format openvino-int8 and --calibration FOLDER need each other")
    predictor = Predictor(load_config(args), args.weights, "cpu", "dygraph")
    output = args.output or predictor.weights.removesuffix(".pdparams") + f".{args.format}"
    try:
        if args.format == "openvino-int8":
            from tools.export.int8 import calibrate

            output = calibrate(predictor, args.calibration)
        else:
            (write_onnx if args.format == "onnx" else write_paddle)(predictor, output)
    except ImportError as error:
        raise UserError(f"--format {args.format} needs more ({error}): pip install -r "
                        f"{REQUIREMENTS[args.format]}") from None
    hint = ("eval.py --engine openvino-int8" if args.format == "openvino-int8" else
            f"tools/export/predict_example.py {output} IMAGE")
    print(f"{output}: config {predictor.cfg.name}, {len(predictor.class_names)} classes; try: "
          f"python {hint}")


if __name__ == "__main__":
    run(main)
