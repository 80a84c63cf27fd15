"""Videos, cameras and streams through the pipeline: tracked, drawn, written frame by frame.

    frames -> pipeline (network) -> tracks, in order -> threads that draw -> file, lines, window

Whatever ends the work, the file plays: Ctrl-C keeps what has been written so far.
"""
import contextlib
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tools.errors import UserError
from tools.files import write_json
from tools.inference.crossings import CountLine
from tools.inference.inputs import open_frames
from tools.inference.pipeline import Job, Pipeline, in_order
from tools.inference.streams import is_live
from tools.inference.tracks import Tracker
from tools.inference.video_writer import open_writer
from tools.inference.visualize import draw
from tools.inference.window import open_window
from tools.inference.writers.json_lines import FrameLines
from tools.inference.writers.paths import OutputPaths
from tools.progress import Progress, duration

DRAWERS, AHEAD = 2, 4              # threads that draw, frames that they may be behind


@dataclass
class VideoOptions:
    """What is read of a video and what becomes of it."""

    start: float = 0.0             # seconds
    end: float = None
    every: int = 1                 # of so many frames one is read
    score_threshold: float = 0.3   # what is drawn and in the json lines
    color: str = "track"
    count_line: tuple = None       # (x1, y1, x2, y2) in pixels
    show: bool = False             # in a window
    json_lines: bool = False       # <output>.jsonl, a line per frame
    batch_size: int = 1


def segment_videos(args, predictor, videos):
    """The videos of a command line, (source, name) each; returns how many could not be read whole.

    args: of demo.py.  A video that cannot be opened is named, and the next one goes on.
    """
    if not videos:
        return 0
    threshold = predictor.cfg.draw_threshold if args.score_threshold is None \
        else args.score_threshold
    options = VideoOptions(args.start, args.end, args.every, threshold, args.color or "track",
                           args.count_line, args.show, "jsonl" in args.write, args.batch_size)
    places = OutputPaths(args.output, [source for source, _ in videos])
    failed = 0
    for source, name in videos:
        path = places.claim(name if name.lower().endswith(".mp4") else f"{name}.mp4")
        try:
            failed += not VideoRun(predictor, source, path, options).segment()
        except UserError as error:
            print(f"skipped: {error}", file=sys.stderr)
            failed += 1
    return failed


class VideoRun:
    """One video; `segment()` does it and says what came of it, on stdout.

    `path`: of the .mp4 file; beside it <path>.counts.json, and <path>.jsonl with `json_lines`: per
    frame {"frame", "seconds", "instances": [{"class", "score", "box", "track_id", ..}]}.
    """

    def __init__(self, predictor, source, path, options):
        self.predictor, self.source, self.path, self.options = predictor, source, path, options
        self.live = is_live(source)
        self.video = open_frames(source, options.start, options.end, options.every)
        self.writer = open_writer(path, max(1.0, self.video.rate / options.every))
        self.tracker = Tracker(predictor.cfg)
        self.line = CountLine(options.count_line) if options.count_line else None

    def segment(self):
        """Whether every frame could be read."""
        expected = self.video.expected
        print(f"{self.source}: {expected or 'frames as they come'}{' frames' * bool(expected)}, "
              f"{self.video.rate:.4g} per second -> {self.path}, {self.writer.codec}")
        started = time.perf_counter()
        with contextlib.ExitStack() as stack:
            stack.callback(self.finish)                # on Ctrl-C too
            sinks = [stack.enter_context(sink) for sink in self.sinks()]
            pool = stack.enter_context(ThreadPoolExecutor(DRAWERS))
            bar = stack.enter_context(Progress(expected, self.path.name, "frame"))
            for job in in_order(pool, self.draw, self.tracked(), AHEAD * (not self.live)):
                if job.error:
                    raise UserError(job.error)
                self.writer.write(job.written, job.source.seconds)
                if not all([sink.add(job) for sink in sinks]):
                    break                              # the window was closed
                bar.advance()
        seconds = time.perf_counter() - started
        print(f"{self.path}: {self.writer.frames} frames in {duration(seconds)}, "
              f"{self.writer.frames / seconds:.2f} FPS")
        if self.video.damage:
            print(self.video.damage, file=sys.stderr)
        return not self.video.damage

    def sinks(self):
        """Context managers beside the file; sink.add(job) is False where the work shall end."""
        if self.options.json_lines:
            yield FrameLines(f"{self.path}.jsonl", self.predictor.class_names,
                             self.options.score_threshold)
        if self.options.show:
            yield open_window(self.path.name)

    def tracked(self):
        """The jobs of the pipeline in order, their instances with numbers of tracks."""
        for job in self.jobs():
            if not job.error:
                job.instances = self.tracker.follow(job.instances)
                if self.line:
                    self.line.update(self.tracker.tracks, self.tracker.step)
                    job.name = self.line.total
            yield job

    def jobs(self):
        if self.live:                                  # so that nothing waits in a queue
            return (Job(frame, None, instances=self.predictor(frame.image)) for frame in self.video)
        pipeline = Pipeline(self.predictor, lambda *_: None, lambda frame: frame.image,
                            self.options.batch_size, warm_up=False)
        return pipeline((frame, None) for frame in self.video)

    def draw(self, job):
        job.written = draw(job.source.image, job.instances, self.predictor.class_names,
                           self.options.score_threshold, self.options.color, with_legend=False)
        if self.line:
            self.line.draw(job.written, job.name)

    def finish(self):
        """Make the files whole and say what was counted."""
        if not self.writer.frames:
            return
        remark = self.writer.close(None if self.live else self.video.path)
        if remark:
            print(remark, file=sys.stderr)
        counted = self.counts()
        write_json(f"{self.path}.counts.json", counted, indent=1)
        said = ", ".join(f"{count} {name}" for name, count in counted["objects"].items())
        print(f"{self.path}: {self.writer.frames} frames, {len(self.tracker.objects)} objects"
              f"{said and f' ({said})'}")
        for name, ways in counted.get("crossings", {}).items():
            print(f"  {name}: {ways['forward']} forward, {ways['back']} back over the line")

    def counts(self):
        names = self.predictor.class_names
        totals = self.tracker.totals()
        result = {"frames": self.writer.frames,
                  "objects": {names[index]: count for index, count in totals.items()}}
        if self.line:
            result["line"] = list(self.options.count_line)
            result["crossings"] = {names[index]: dict(zip(("forward", "back"), ways, strict=True))
                                   for index, ways in sorted(self.line.counts.items())}
        return result
