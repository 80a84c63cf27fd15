"""What computes COCO's average precision: pycocotools, or the faster, equal faster-coco-eval."""
import functools
from importlib.metadata import version

from tools.errors import UserError

EVALUATORS = ("auto", "pycocotools", "faster")


def add_evaluator_argument(parser):
    """Add --evaluator."""
    parser.add_argument("--evaluator", choices=EVALUATORS, default="auto",
                        help="faster: faster-coco-eval; auto: that where it is installed, the "
                             "numbers are the same (default: %(default)s)")


def evaluator_name(evaluator="auto"):
    """Name and version of what `evaluator`, one of EVALUATORS, stands for here."""
    package = evaluator_classes(evaluator)[0].__module__.split(".")[0].replace("_", "-")
    return f"{package} {version(package)}"


def evaluator_classes(evaluator):
    """The index class and the evaluator class behind one of EVALUATORS."""
    if evaluator not in EVALUATORS:
        raise UserError(f"unknown evaluator '{evaluator}', expected {', '.join(EVALUATORS)}")
    if evaluator != "pycocotools":
        try:
            from faster_coco_eval import COCO, COCOeval_faster
            return COCO, functools.partial(COCOeval_faster, print_function=lambda *_: None)
        except ImportError:
            if evaluator == "faster":
                raise UserError("faster-coco-eval is not installed: pip install faster-coco-eval, "
                                "or use the evaluator pycocotools") from None
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval
    return COCO, COCOeval
