"""Weights for use without this project: python -m tools.export --config N --format onnx."""
from tools.runtime import configure

configure()

from tools.cli import build_parser, load_config, run
from tools.engines.exports import readable, told, version_of
from tools.engines.ncnn import Ncnn
from tools.engines.openvino import OpenVino
from tools.errors import UserError
from tools.export.network_folder import save_folder
from tools.files import atomic_file
from tools.inference.predictor import Predictor
from tools.inference.sources import find_images
from tools.weights.weights_file import INPUT_SETTINGS

SETTINGS = (*INPUT_SETTINGS, "size_divisor", "test_short_side", "test_max_side", "mask_threshold",
            "score_threshold", "update_threshold", "max_candidates", "max_per_image", "strides",
            "nms_kernel", "nms_sigma")
INT8 = "openvino-int8"


def parse_args(argv=None):
    parser = build_parser(
        "onnx (a file) and paddle (a folder) hold network and decoding: float32 images "
        "[N, 3, H, W] -> count [N], scores [N, M], class_indices [N, M] and mask probabilities "
        "[N, M, H/4, W/4], M = max_per_image; tools/export/predict_example.py shows their use.  "
        "openvino and ncnn (folders) hold the network, in 8 bits with --calibration (openvino); "
        "tools/export/predict_numpy_example.py shows theirs.  Class names and input settings go "
        "with all of them.  openvino-int8 makes the 8-bit network for --engine openvino-int8.")
    parser.add_argument("--weights", metavar="FILE", help="weights file (default: the config's)")
    parser.add_argument("--format", choices=(*FORMATS, INT8), default="onnx")
    parser.add_argument("--output", metavar="PATH", help="default: named after the weights")
    parser.add_argument("--calibration", metavar="FOLDER", default="",
                        help="of some ten to 300 typical images, for 8 bits")
    return parser.parse_args(argv)


def write_onnx(predictor, output, calibration):
    from tools.export.onnx_file import detector_file  # needs the optional package onnx

    content = detector_file(predictor.engine.model, predictor.cfg, describe_export(predictor))
    with atomic_file(output) as file:
        file.write(content)


def write_paddle(predictor, output, calibration):
    from tools.export.paddle_file import write_detector

    save_folder(output, lambda folder: write_detector(folder, predictor.engine.model,
                                                      predictor.cfg), describe_export(predictor))


def write_openvino(predictor, output, calibration):
    def write(folder):
        if not calibration:
            return OpenVino.write(predictor.engine.model, folder)
        from tools.engines.int8 import write_int8  # needs the optional package nncf

        paths = readable([path for path, _ in find_images(calibration)], predictor.prepare)
        return write_int8(predictor.engine.model, folder, paths, predictor.prepare)

    def told_write(folder):
        with told(OpenVino, ImportError, OSError):
            return write(folder)
    version_of(OpenVino)
    save_folder(output, told_write, describe_export(predictor))


def write_ncnn(predictor, output, calibration):
    if reason := Ncnn.cannot_run(predictor.cfg, ""):
        raise UserError(reason)
    save_folder(output, lambda folder: Ncnn.write(predictor.engine.model, folder),
                describe_export(predictor))


FORMATS = {"onnx": write_onnx, "paddle": write_paddle, "openvino": write_openvino,
           "ncnn": write_ncnn}


def describe_export(predictor):
    """What a user of the export has to know: {"config", "class_names", setting: value}."""
    return {"config": predictor.cfg.name, "class_names": list(predictor.class_names),
            **{key: getattr(predictor.cfg, key) for key in SETTINGS}}


def main(argv=None):
    args = parse_args(argv)
    if (args.format == INT8) > bool(args.calibration) or (
            args.calibration and args.format not in (INT8, "openvino")):
        raise UserError("8 bits (--format openvino-int8 or openvino) and --calibration FOLDER need "
                        "each other")
    cfg = load_config(args)
    if args.format == INT8:
        predictor = Predictor(cfg, args.weights, "cpu", precision="int8",
                              calibration=args.calibration)
        print(f"8 bits of '{predictor.weights}'; try: python eval.py --precision int8")
        return
    predictor = Predictor(cfg, args.weights, "cpu", "dygraph")
    output = args.output or predictor.weights.removesuffix(".pdparams") + f".{args.format}"
    try:
        FORMATS[args.format](predictor, output, args.calibration)
    except ImportError as error:
        file = "requirements-extras.txt" if args.calibration else "requirements.txt"
        raise UserError(f"--format {args.format} needs more ({error}): pip install -r {file}"
                        ) from None
    example = "predict_example" if args.format in ("onnx", "paddle") else "predict_numpy_example"
    print(f"{output}: config {predictor.cfg.name}, {len(predictor.class_names)} classes; try: "
          f"python tools/export/{example}.py {output} IMAGE")


if __name__ == "__main__":
    run(main)
