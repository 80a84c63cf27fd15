"""What all command lines share: the config flags, the list of configs, exit codes."""
import argparse
import sys
from signal import SIGINT, SIGTERM

from config import DEFAULT_CONFIG, get_config, list_configs, parse_overrides
from config.base import ConfigError
from tools.errors import UserError, is_of_disk, printable, shown
from tools.files import note_input
from tools.runtime import limit_threads
from tools.stopping import AT_END, CODES, Stopped, interruptible, leave
from tools.version import VERSION

BAD_INPUT = 2
TERMINATED = CODES[SIGTERM]        # what a training returns that has saved its state after SIGTERM


def build_parser(description):
    """An ArgumentParser with the shared flags, whose --help ends with the list of configs."""
    parser = argparse.ArgumentParser(description=description, epilog=f"configs:\n{list_configs()}",
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add_version(parser)
    add_config_arguments(parser)
    return parser


def add_version(parser):
    """Add --version."""
    parser.add_argument("--version", action="version", version=VERSION)


def parse_nothing(description, argv=None):
    """Take --help and --version only, for commands without settings."""
    parser = argparse.ArgumentParser(description=description)
    add_version(parser)
    parser.parse_args(argv)


def add_config_arguments(parser):
    """Add --config, -o/--override and --device."""
    parser.add_argument("--config", default=DEFAULT_CONFIG, metavar="N|NAME",
                        help="number or name of a config (default: %(default)s)")
    parser.add_argument("-o", "--override", nargs="+", action="extend", default=[],
                        metavar="KEY=VALUE",
                        help="replace settings of the config, e.g. -o batch_size=4 seed=7")
    parser.add_argument("--device", default="auto", metavar="DEVICE",
                        help="auto, cpu, gpu, gpu:N, or vulkan:N to predict (default: %(default)s)")


def add_prediction_arguments(parser):
    """Add --weights, --engine and --batch-size, for scripts that only predict."""
    parser.add_argument("--weights", metavar="FILE",
                        help="weights file (default: the config's own)")
    parser.add_argument("--engine", default="auto", metavar="ENGINE",
                        help="what runs the network: ncnn, openvino, onnxruntime, "
                             "paddle-inference, dygraph, openvino-int8, or auto, the fastest exact "
                             "one that is installed and works here, as measured at its first use "
                             "(default: %(default)s)")
    parser.add_argument("--precision", choices=("float32", "half", "int8"), default="float32",
                        help="half: bf16 or float16 where the device computes in it; int8: "
                             "OpenVINO's 8 bits (default: %(default)s)")
    parser.add_argument("--calibration", default="", metavar="FOLDER",
                        help="some ten to 300 typical images: makes the 8-bit network, once")
    parser.add_argument("--threads", type=positive_int, metavar="N",
                        help="of the processor (default: all that this process may use)")
    parser.add_argument("--batch-size", type=positive_int, default=1, metavar="N",
                        help="images of one padded size that the network sees at once; the results "
                             "are the same, but for an engine's rounding (default: %(default)s)")
    parser.add_argument("--tta", action="store_true",
                        help="test-time augmentation: every image also mirrored and at other sizes "
                             "(tta_scales), for a higher AP at about four times the time")
    parser.add_argument("--tile", type=tile_size, metavar="PIXELS",
                        help="look at squares of this side one by one, and at the whole image, for "
                             "small objects in large images; auto: the test size, in images that "
                             "are much larger")
    parser.add_argument("--overlap", type=float, metavar="PART",
                        help="of neighbouring tiles (default: tile_overlap of the config)")


def engine_options(args):
    """What --engine, --precision, --calibration and --threads mean for a Predictor."""
    if args.threads:
        limit_threads(args.threads)
    return {"engine": args.engine, "precision": args.precision, "calibration": args.calibration}


def add_video_arguments(parser):
    """Add what is said of videos, cameras and streams."""
    group = parser.add_argument_group("videos, cameras and streams")
    group.add_argument("--every", type=positive_int, default=1, metavar="N",
                       help="look at one of N frames (default: %(default)s, all)")
    group.add_argument("--start", type=seconds, default=0.0, metavar="TIME",
                       help="begin there: seconds, m:s or h:m:s")
    group.add_argument("--end", type=seconds, metavar="TIME", help="stop there")
    group.add_argument("--show", action="store_true", help="also show it in a window")
    group.add_argument("--count-line", type=line_ends, metavar="X1,Y1,X2,Y2",
                       help="count the objects that cross this line, in pixels")


def seconds(text):
    """An argparse type: 90, 1:30 or 0:01:30.5 -> 90.5."""
    try:
        parts = [float(part) for part in text.split(":")]
    except ValueError:
        parts = [-1.0]
    if len(parts) > 3 or not all(0 <= part < float("inf") for part in parts):
        raise argparse.ArgumentTypeError(f"expected seconds, m:s or h:m:s, got '{text}'")
    return sum(part * 60 ** power for power, part in enumerate(reversed(parts)))


def line_ends(text):
    """An argparse type: four numbers of pixels."""
    try:
        ends = tuple(float(part) for part in text.split(","))
    except ValueError:
        ends = ()
    if len(ends) != 4 or ends[:2] == ends[2:] or not all(abs(end) < 1e6 for end in ends):
        raise argparse.ArgumentTypeError(f"expected x1,y1,x2,y2, two different ends of a line in "
                                         f"pixels, got '{text}'")
    return ends


def tile_size(text):
    """An argparse type: the side of a tile, -1 for auto."""
    if text == "auto":
        return -1
    if not text.isdecimal() or int(text) < 32:
        raise argparse.ArgumentTypeError(f"expected auto or pixels, 32 at least, got '{text}'")
    return int(text)


def positive_int(text):
    """An argparse type."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on, got {text}")
    return number


def load_config(args):
    """The config that --config and -o ask for.  Raises ConfigError.

    Scripts with --weights only read them: no result will replace that file.
    """
    cfg = get_config(args.config)
    cfg = cfg.replace(**parse_overrides(cfg, args.override))
    if hasattr(args, "weights"):
        note_input(args.weights or cfg.weights_path, "the weights file that was read")
    flags = {"tta": getattr(args, "tta", False) or None, "tile_size": getattr(args, "tile", None),
             "tile_overlap": getattr(args, "overlap", None)}
    return cfg.replace(**{key: value for key, value in flags.items() if value is not None})


def sentence_of(error):
    """What to tell a user of an exception; "" for those that are mistakes of ours."""
    if isinstance(error, (UserError, ConfigError)):
        return str(error)
    if is_of_disk(error):
        place = f"'{shown(str(error.filename))}'" if error.filename else "the disk"
        return f"{place}: {error.strerror}; what was written whole before is unchanged"
    return ""


def run(main, argv=None):
    """Call `main(argv)` and exit with what it returns (None: 0).

    Bad input (UserError, ConfigError) and a disk that cannot be written are one line on stderr and
    exit code 2.  Ctrl-C and SIGTERM end the process within 3 s with code 130 or 143, without
    waiting for threads in the middle of an image, and leave no half-written file.
    What the terminal's encoding cannot show is written escaped, rather than ending the work.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    code = signal = 0
    try:
        with interruptible():
            code = main(argv) or 0
    except Exception as error:
        sentence, code = sentence_of(error), BAD_INPUT
        if not sentence:
            raise
        print("error: " + printable(sentence, keep="\n"), file=sys.stderr)
    except Stopped as stop:
        signal = stop.signal
    except KeyboardInterrupt:
        signal = SIGINT
    if code == TERMINATED:
        signal = SIGTERM
    if signal:                     # after the except block, which kept open data loaders alive
        leave(signal)
    for function in AT_END:
        function(code)
    sys.exit(code)
