"""Inference, stage by stage: python -m tools.benchmark infer [--config N] [--engine E] [...].

Without --weights the network gets random ones, tuned so that about 500 masks are drawn.
"""
import shlex
import subprocess
import sys
import tempfile
import time

import numpy as np
import paddle

from model.solov2 import build_solov2
from tools.benchmark.agreement import report_agreement
from tools.benchmark.beside import report_beside
from tools.benchmark.growth import GROWTHS, measure_growth
from tools.benchmark.synthetic import photograph, random_weights
from tools.benchmark.train_step import Clock, count_operations, sgemm_rate
from tools.cli import (
    add_prediction_arguments,
    build_parser,
    engine_options,
    load_config,
    positive_int,
)
from tools.data.images import read_image
from tools.data.transforms import pad_to_divisor
from tools.inference.pipeline import Pipeline
from tools.inference.predictor import Predictor
from tools.inference.visualize import draw
from tools.inference.writers.image_file import write_image
from tools.runtime import describe, peak_memory

IMAGE_TO_MASKS = ("pre-process", "network", "post-process")


def parse_args(argv):
    parser = build_parser(__doc__)
    add_prediction_arguments(parser)
    parser.add_argument("--image", metavar="FILE", help="default: noise of --size")
    parser.add_argument("--size", type=int, nargs=2, default=(480, 640), metavar=("H", "W"),
                        help="pixels of the original image")
    parser.add_argument("--runs", type=int, default=10, help="counted runs, after one other")
    parser.add_argument("--images", type=int, default=0, metavar="N",
                        help="also send the image N times through the pipeline of demo.py")
    parser.add_argument("--agreement", action="store_true",
                        help="also compare the results with those of dygraph")
    parser.add_argument("--beside", type=positive_int, metavar="N",
                        help="time the network alone and beside N busy processes, only")
    parser.add_argument("--growth", choices=GROWTHS, help="a table and a picture of the growth")
    parser.add_argument("--output", default="growth.png", help="the picture (default: %(default)s)")
    parser.add_argument("--compare", metavar="COMMAND",
                        help="time whole runs of this benchmark and of another command in turn")
    return parser.parse_args(argv)


def main(argv):
    args = parse_args(argv)
    if args.compare:
        return compare_commands(argv, args.compare)
    cfg = load_config(args)
    image = read_image(args.image) if args.image else photograph(tuple(args.size))
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/image.jpg"
        write_image(path, image)
        weights = args.weights or random_weights(cfg, image, f"{folder}/random.pdparams")
        if "int8" in (args.precision, args.engine.rpartition("-")[2]) and not args.weights:
            args.calibration = path
        predictor = Predictor(cfg, weights, args.device, **engine_options(args))
        print(describe(predictor.device))
        print(f"engine: {predictor.engine_choice}")
        print(f"config {cfg.name}, weights {args.weights or 'random'}, image "
              f"{image.shape[0]}x{image.shape[1]}, {args.runs} runs")
        if args.growth:
            title = f"{cfg.name}, {predictor.engine_choice}"
            measure_growth(args.growth, predictor, args.runs, title, args.output)
            return 0
        if args.beside:
            report_beside(predictor, path, args.runs, args.beside)
            return 0
        report_stages(predictor, path, args.runs)
        if args.agreement:
            report_agreement(predictor, Predictor(cfg, weights, args.device, "dygraph"), image)
        if args.images:
            report_pipeline(predictor, path, args.images, args.batch_size)
    return 0


def report_stages(predictor, path, runs):
    """Print the times of every stage, one after the other, and what the network computes.

    The rate of the matrix product is measured after every run: on a shared machine both change.
    """
    time_stages(predictor, path)                           # does not count
    records, rates = [], []
    for _ in range(runs):
        records.append(time_stages(predictor, path))
        rates.append(sgemm_rate(repeats=2))
    times = {stage: np.array([record[stage] for record in records]) for stage in records[0]}
    times["image to masks"] = sum(times[stage] for stage in IMAGE_TO_MASKS)
    for stage, seconds in times.items():
        print(f"{stage:16s} median {1e3 * np.median(seconds):8.1f} ms   "
              f"p90 {1e3 * np.percentile(seconds, 90):8.1f} ms")
    image, _ = predictor.preprocess(read_image(path))
    operations = forward_operations(predictor.cfg, pad_to_divisor([image], 32).shape[2:])
    bounds = operations / np.array(rates)
    print(f"convolutions: {operations / 1e9:.1f} GFLOP; numpy's sgemm does "
          f"{np.median(rates) / 1e9:.0f} GFLOP/s, which would take "
          f"{1e3 * np.median(bounds):.0f} ms: the network takes "
          f"{np.median(times['network'] / bounds):.2f} times that, image to masks "
          f"{np.median(times['image to masks'] / bounds):.2f} times")
    print(f"highest memory of this process: {peak_memory() / 1e6:.0f} MB")


def time_stages(predictor, path):
    """{stage: seconds} of one image from file to file."""
    clock = Clock()
    image = read_image(path)
    clock.mark("decode")
    tensor, resized_size = predictor.preprocess(image)
    images = pad_to_divisor([tensor], predictor.cfg.size_divisor)
    clock.mark("pre-process")
    outputs = predictor.network(images)
    clock.mark("network")
    instances, = predictor.postprocess(outputs, [resized_size], [image.shape[:2]])
    clock.mark("post-process")
    drawn = draw(image, instances, predictor.class_names, predictor.cfg.draw_threshold)
    write_image(f"{path}.drawn.jpg", drawn)
    clock.mark("draw + write")
    return clock.seconds


def forward_operations(cfg, size):
    """Floating-point operations of the convolutions on an image of `size`, from two small ones.

    They grow with the area; those of the heads, whose grids are fixed, do not.
    """
    model = build_solov2(cfg)
    model.eval()
    small, large = (forward_count(model, side) for side in (64, 128))
    per_pixel = (large - small) / (128 ** 2 - 64 ** 2)
    return small + per_pixel * (size[0] * size[1] - 64 ** 2)


def forward_count(model, side):
    images = paddle.zeros([1, 3, side, side])
    return count_operations(model, lambda: model(images))["forward"]


def report_pipeline(predictor, path, count, batch_size):
    """Print the times of the stages side by side, and the whole against the network's own."""
    def sink(name, image, instances):
        drawn = draw(image, instances, predictor.class_names, predictor.cfg.draw_threshold)
        write_image(f"{path}.{name}.jpg", drawn)

    def network_alone():
        return [time_stages(predictor, path)["network"] for _ in range(5)]

    alone = network_alone()
    pipeline = Pipeline(predictor, sink, batch_size=batch_size)
    for job in pipeline([(path, number) for number in range(count)]):
        assert not job.error, job.error
    alone = np.median(alone + network_alone())             # before and after: machines drift
    wall = pipeline.times.wall / count
    print(pipeline.times.table())
    print(f"pipeline: {1e3 * wall:.1f} ms per image, {wall / alone:.2f} x the network alone "
          f"({1e3 * alone:.1f} ms with nothing beside it)")


def compare_commands(argv, command, rounds=3):
    """Wall seconds of whole processes in turn: this benchmark without --compare, and a command."""
    position = argv.index("--compare")
    own = [sys.executable, "-m", "tools.benchmark", "infer", *argv[:position], *argv[position + 2:]]
    ratios = []
    for number in range(1, rounds + 1):
        seconds = []
        for process in (own, shlex.split(command)):
            started = time.perf_counter()
            subprocess.run(process, check=True, stdout=subprocess.DEVNULL)
            seconds.append(time.perf_counter() - started)
        ratios.append(seconds[1] / seconds[0])
        print(f"round {number}: ours {seconds[0]:.2f} s, other {seconds[1]:.2f} s, ratio "
              f"{ratios[-1]:.2f}", flush=True)
    print(f"median ratio {np.median(ratios):.2f}: the other takes that many times as long")
    return 0
