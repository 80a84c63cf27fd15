"""Draw the curves of one or several runs: python -m tools.plot_log RUN_DIR_OR_LOG [...]

A log is a text file with a json object {"step": ..., "loss": ..., ...} per line, so that the curves
of other implementations can be drawn beside ours.  The picture is written into the folder of the
first run, where --output names no other place.  Needs matplotlib (requirements-extras.txt).
"""
import argparse
import os
from pathlib import Path

from tools.cli import add_version, run
from tools.errors import UserError
from tools.files import atomic_file
from tools.training.run_log import read_log

PANELS = {"loss": "loss", "mask": "mask loss", "category": "category loss", "lr": "learning rate",
          "segm_AP": "mask AP"}              # name in the log -> title
FORMATS = ("png", "pdf", "svg")
FEW = 50                                     # points, which are marked


def read_runs(sources):
    """{source: records} of folders of runs or log files; UserError for one without records."""
    runs = {}
    for source in sources:
        path = f"{source}/log.jsonl" if os.path.isdir(source) else source
        runs[source] = read_log(path)
        if not runs[source]:
            raise UserError(f"no records in '{path}'; expected the folder of a run or its "
                            "log.jsonl, with a line of json per step")
    return runs


def folder_of(source):
    return source if os.path.isdir(source) else os.path.dirname(source)


def draw(runs):
    """A matplotlib Figure of {label: records}: one panel per quantity that some run has."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError("plot_log needs matplotlib: "
                        "python -m pip install -r requirements-extras.txt") from None
    names = [name for name in PANELS if any(name in record for records in runs.values()
                                            for record in records)]
    if not names:
        raise UserError(f"the logs have none of {', '.join(PANELS)}")
    rows = (len(names) + 1) // 2
    figure = Figure(figsize=(12, 3.2 * rows), layout="constrained")
    for number, name in enumerate(names, 1):
        axes = figure.add_subplot(rows, 2, number)
        for label, records in runs.items():
            points = [(record["step"], record[name]) for record in records if name in record]
            axes.plot(*zip(*points, strict=True) if points else ([], []), label=label,
                      marker="." if len(points) < FEW else "")
        axes.set(title=PANELS[name], xlabel="step")
        axes.grid(alpha=0.3)
    figure.axes[0].legend()
    return figure


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add_version(parser)
    parser.add_argument("sources", nargs="+", metavar="RUN_DIR_OR_LOG")
    parser.add_argument("--output", metavar="FILE",
                        help=f"one of {', '.join(FORMATS)} (default: curves.png in the folder of "
                             "the first run)")
    args = parser.parse_args(argv)
    output = args.output or Path(folder_of(args.sources[0]), "curves.png")
    suffix = Path(output).suffix[1:].lower()
    if suffix not in FORMATS:
        raise UserError(f"cannot draw '{output}'; expected a name that ends in "
                        f".{', .'.join(FORMATS)}")
    runs = read_runs(args.sources)
    figure = draw(runs)
    with atomic_file(output) as file:
        figure.savefig(file, format=suffix)
    for source, records in runs.items():
        print(f"{source}: {len(records)} records to step {records[-1]['step']}")
    print(f"written: {output}")


if __name__ == "__main__":
    run(main)
