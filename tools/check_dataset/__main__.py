"""Look at a data set before training: python -m tools.check_dataset --config=N [-o key=value ...].

Prints one page: classes, object sizes against the grids and scale ranges of the config, with a
proposal for both, and everything that would be skipped, by name.  Exit code 0: all of it would be
used, 1: something would be skipped, 2: training (for --split val: evaluation) would stop.
"""
import os

import numpy as np

from tools.check_dataset import report
from tools.check_dataset.fit import fit, propose
from tools.check_dataset.survey import survey
from tools.cli import BAD_INPUT, build_parser, load_config, positive_int, run
from tools.data.coco import BROKEN, MISSING, CocoDataset
from tools.errors import shown
from tools.files import write_text

SKIPPED = 1


def parse_args(argv=None):
    parser = build_parser(__doc__)
    parser.add_argument("--split", choices=("train", "val"), default="train",
                        help="train_json and train_images, or val_ (default: %(default)s)")
    parser.add_argument("--pictures", type=int, default=12, metavar="N",
                        help="images to draw the annotations of (default: %(default)s)")
    parser.add_argument("--sample", type=positive_int, metavar="N",
                        help="look at so many images, evenly spread, instead of all")
    parser.add_argument("--output", metavar="FOLDER",
                        help="for the pictures, report.txt and problems.txt (default: "
                             "check_<split> in the run's folder)")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    cfg = load_config(args)
    training = args.split == "train"
    dataset = CocoDataset(getattr(cfg, f"{args.split}_json"), getattr(cfg, f"{args.split}_images"),
                          cfg.classes_file, training, cfg.empty_images, max_broken_images=1.0,
                          drop_unused=cfg.drop_unused_classes)
    if not training:
        dataset.ground_truth()                         # names measures that contradict the masks
    found = survey(dataset, cfg, args.sample)
    current = fit(found, cfg.num_grids, cfg.scale_ranges, cfg.center_region)
    folder = args.output or f"{cfg.run_dir}/check_{args.split}"
    os.makedirs(folder, exist_ok=True)
    code, verdict = judge(dataset, found, current, cfg.max_broken_images if training else 0.0)
    sampled = args.sample if (args.sample or len(dataset)) < len(dataset) else None
    lines = [*report.page(dataset, found, current, propose(found, cfg), cfg, sampled),
             *limits(dataset, found, cfg), "", verdict]
    for name in report.write_pictures(dataset, found, args.pictures, folder):
        lines.append(f"no picture of {shown(name)}: a JPEG holds {report.LONGEST_SIDE} pixels")
    report.write_problems(found, f"{folder}/problems.txt")
    write_text(f"{folder}/report.txt", "\n".join(lines) + "\n")
    print(*lines, f"pictures, report.txt and problems.txt (every name): {folder}", sep="\n")
    return code


def limits(dataset, found, cfg):
    """Lines about images with more objects than are found in one."""
    counts = np.bincount(found.image.astype(int), minlength=1)
    most = min(cfg.max_per_image, cfg.max_dets)
    crowded = int(np.sum(counts > most))
    return [f"  {crowded} images have more than {most} objects, of which an evaluation counts no "
            "more: raise max_per_image and max_dets"] if crowded else []


def judge(dataset, found, current, max_broken_images):
    """(exit code, sentence)."""
    if not current.learned.any():
        return BAD_INPUT, ("verdict: no object to learn from: "
                           + (f"none of the {len(found)} objects has a size that the scale_ranges "
                              "cover" if len(found) else "no annotation is a usable object"))
    missing, broken = (len(found.problems.get(reason, ())) for reason in (MISSING, BROKEN))
    if missing > max_broken_images * (len(dataset) + missing) or broken and not max_broken_images:
        return BAD_INPUT, (f"verdict: a run would stop: {missing} images are missing and {broken} "
                           f"cannot be used; max_broken_images is {max_broken_images:g} here")
    if report.loses(found):
        return SKIPPED, "verdict: a run would go on without what is skipped above"
    return 0, "verdict: everything can be used"


if __name__ == "__main__":
    run(main)
