"""What runs here, for a bug report: python -m tools.doctor."""
import importlib.metadata
import platform

from tools.cli import parse_nothing, run
from tools.cores import available_cores
from tools.runtime import configure, describe, processor
from tools.version import VERSION

PACKAGES = ("paddlepaddle", "paddlepaddle-gpu", "numpy", "opencv-python-headless", "opencv-python",
            "pycocotools", "faster-coco-eval", "shapely", "pillow")
ENGINES = ("ncnn", "openvino", "onnxruntime", "onnx", "nncf")
EXTRAS = ("matplotlib", "visualdl", "tensorboardX", "av")


def installed(packages):
    """"name version, ..." of those that are installed, then those that are not."""
    have, lack = [], []
    for name in packages:
        try:
            have.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            lack.append(name)
    return ", ".join(have) + (f" (not installed: {', '.join(lack)})" if lack else "")


def facts():
    """[(what, value)]: one line each."""
    return [("SOLOv2 in PaddlePaddle", VERSION),
            ("system", f"{platform.platform()}, Python {platform.python_version()}"),
            ("processor", f"{processor()}, {available_cores()} cores for this process"),
            ("runtime", describe().removeprefix("runtime: ")),
            ("packages", installed(PACKAGES)),
            ("engines", installed(ENGINES)),
            ("extras", installed(EXTRAS))]


def main(argv=None):
    parse_nothing(__doc__, argv)
    configure()
    for name, value in facts():
        print(f"{name}: {value}")


if __name__ == "__main__":
    run(main)
