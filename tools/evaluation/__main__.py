"""Evaluate a results json of anybody's, without a model: python -m tools.evaluation.

    python -m tools.evaluation --results results.json --json val.json --report report.html

The results are those of COCO: a list of objects with image_id, category_id, score, segmentation
(RLE or polygons) and bbox; masks and boxes are evaluated where all results have them.
"""
from tools.runtime import configure

configure()

import argparse

from tools.cli import add_version, positive_int, run
from tools.data.coco import CocoDataset
from tools.data.coco_json import read_json
from tools.data.selection import problem_sentences
from tools.errors import UserError
from tools.evaluation.coco_eval import MAX_DETS, metrics_of, precisions
from tools.evaluation.evaluators import add_evaluator_argument, evaluator_name
from tools.evaluation.printing import print_limits, print_metrics
from tools.evaluation.report import common_facts, write_report
from tools.evaluation.results import refuse_damaged, results_columns
from tools.files import refuse_input


def parse_args(argv=None):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add_version(parser)
    parser.add_argument("--results", required=True, metavar="FILE", help="COCO results json")
    parser.add_argument("--json", required=True, metavar="VAL.json", help="COCO annotations")
    parser.add_argument("--images", metavar="DIR", help="images, for the pictures of the report")
    add_evaluator_argument(parser)
    parser.add_argument("--max-dets", type=positive_int, default=MAX_DETS, metavar="N",
                        help="results that count per image and class (default: %(default)s)")
    parser.add_argument("--report", metavar="FILE.html", help="also write a report to look at")
    return parser.parse_args(argv)


def read_results(path):
    """The list of a results json; UserError for any other file."""
    content = read_json(path, "results file")
    if isinstance(content, dict) and isinstance(content.get("annotations"), list):
        content = content["annotations"]               # as demo.py --json writes them
    if not isinstance(content, list):
        raise UserError(f"results file '{path}' is no list of results, but "
                        f"a {type(content).__name__}")
    return content


def kinds_of(results):
    """("segm", "bbox") as far as every result has it; both where there is no result."""
    kinds = []
    if all(rle is not None for rle in results.rles):
        kinds.append("segm")
    if not (results.boxes != results.boxes).any():     # NaN: no box
        kinds.append("bbox")
    if not kinds:
        raise UserError("some results have no mask and some have no box: nothing to evaluate")
    return tuple(kinds)


def main(argv=None):
    args = parse_args(argv)
    dataset = CocoDataset(args.json, args.images, training=False)
    found = read_results(args.results)
    refuse_damaged(found)
    results = results_columns(found, dataset.ground_truth())
    if args.report:
        refuse_input(args.report)
    for line in problem_sentences(dataset.problems):
        print(f"note: {line}")
    if results.other_classes:
        print(f"note: {results.other_classes} results of categories that '{args.json}' does not "
              "list (left out)")
    print(f"evaluator: {evaluator_name(args.evaluator)}, {len(results)} results, "
          f"{len(dataset)} images")
    kinds = kinds_of(results)
    precision = precisions(dataset, results, kinds, args.evaluator, args.max_dets)
    print_metrics(metrics_of(precision, dataset.class_names))
    print_limits(dataset.ground_truth(), args.max_dets)
    if args.report:
        if "segm" not in kinds:
            raise UserError("--report needs results with masks")
        facts = {"config": args.results, **common_facts(dataset, args.evaluator)}
        write_report(args.report, dataset, results, precision, facts)
    return 0


if __name__ == "__main__":
    run(main)
