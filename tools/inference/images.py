"""The images of a command line through the pipeline into files."""
import sys

from tools.inference.pipeline import Pipeline
from tools.inference.pixels import to_pixels
from tools.inference.writers.formats import FORMATS, IMAGES
from tools.inference.writers.result_writer import ResultWriter
from tools.progress import Progress


def segment_images(args, predictor, inputs):
    """Write what is found in the images of an Inputs; returns how many could not be read.

    args: of demo.py.
    """
    images, broken = inputs.images, 0
    if not images:
        return 0
    writer = result_writer(args, predictor, inputs)
    pipeline = Pipeline(predictor, writer, to_pixels, args.batch_size)
    with Progress(len(images), "segment", "image") as progress, writer:
        for job in pipeline(images):
            writer.add(job)
            progress.advance()
            if job.error:
                broken += 1
                print(f"skipped: {job.error}", file=sys.stderr)
    print(f"{len(images) - broken} images with {sum(writer.counts.values())} drawn instances in "
          f"{args.output}")
    print(pipeline.times.table())
    if broken:
        print(f"{broken} of {len(images)} images were skipped", file=sys.stderr)
    return broken


def result_writer(args, predictor, inputs):
    """The ResultWriter that a command line asks for."""
    cfg = predictor.cfg
    threshold = cfg.draw_threshold if args.score_threshold is None else args.score_threshold
    formats = [name for name in FORMATS
               if name in args.write or name == IMAGES and not args.no_draw]
    color = "class" if args.color == "class" else "instance"           # images have no tracks
    return ResultWriter(inputs.images, args.output, predictor.class_names, threshold, formats,
                        args.results, cfg.polygon_tolerance, color,
                        inputs=[*inputs.lists, predictor.weights,
                                *(source for source, _ in inputs.videos)])
