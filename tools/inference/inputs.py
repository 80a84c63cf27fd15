"""What a command line names: images, folders, patterns, lists, addresses, videos, cameras."""
import glob
import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tools.errors import UserError, shown
from tools.files import irregular
from tools.inference.frames import VIDEO_SUFFIXES, is_video, open_video
from tools.inference.pixels import is_address
from tools.inference.sources import IMAGE_SUFFIXES, is_image, is_within, split_pattern, walk
from tools.inference.streams import LiveStream, is_live

SUPPORTED = (f"images ({' '.join(IMAGE_SUFFIXES)}), videos ({' '.join(VIDEO_SUFFIXES)}), folders, "
             "patterns such as 'photos/*.jpg', a .txt list, - for names from stdin, http(s) "
             "addresses, camera numbers (0, 1, ..) and rtsp:// streams")
# Files that are no pictures; the content of those with an unknown suffix is looked at.
OTHER_SUFFIXES = (".csv", ".doc", ".docx", ".gz", ".html", ".json", ".mp3", ".npy", ".npz", ".onnx",
                  ".pdf", ".pdparams", ".pth", ".py", ".svg", ".tar", ".wav", ".xml", ".yaml",
                  ".yml", ".zip")
STDIN = "-"


@dataclass
class Inputs:
    """What there is to segment, as (source, name) pairs: `name` is what its results are called.

    A source is a path or an address, of a video also the number of a camera as text.
    """

    images: list = field(default_factory=list)
    videos: list = field(default_factory=list)
    lists: list = field(default_factory=list)          # paths of files that named others
    notes: list = field(default_factory=list)          # sentences: what was left out by rule
    problems: list = field(default_factory=list)       # sentences: what was asked for and is not

    def __post_init__(self):
        self.seen, self.names, self.left_out = set(), set(), Counter()

    def add(self, source, name):
        """Keep a source as an image or a video, once, under a name that no other has."""
        source, name = str(source), str(name)
        key = source if is_address(source) or is_live(source) else os.path.realpath(source)
        if key in self.seen:
            return
        self.seen.add(key)
        if name.lower() in self.names and not is_address(source):
            name = f"{Path(os.path.abspath(source)).parent.name}/{Path(name).name}"
        path, number = Path(name), 1
        while name.lower() in self.names:
            number += 1
            name = path.with_suffix(f".{number}{path.suffix}").as_posix()
        self.names.add(name.lower())
        kind = self.videos if is_video(path_of(source)) or is_live(source) else self.images
        kind.append((source, name))

    def leave_out(self, path):
        """Count a file of a folder or pattern that is neither an image nor a video."""
        if kind := irregular(path):
            self.problems.append(f"'{shown(path, 300)}' is {kind}: only regular files are read")
        else:
            self.left_out[os.path.splitext(path)[1].lower() or "no suffix"] += 1


def find_inputs(sources, recursive=False, exclude=""):
    """The Inputs that `sources`, texts of a command line, stand for; UserError if nothing is left.

    recursive: folders with their sub-folders; exclude: a folder whose files are no input where it
    lies in one that is searched, as results of an earlier run.  What exists is never read as a
    pattern, and order is kept; the files of a folder or pattern are sorted.  Hidden files are left
    out.
    """
    inputs = Inputs()
    for source in sources:
        expand(str(source), inputs, recursive, exclude)
    if inputs.left_out:
        counted = ", ".join(f"{count} {suffix}" for suffix, count in inputs.left_out.most_common(8))
        inputs.notes.append(f"left out: {counted}")
    supported = f"supported are {SUPPORTED}"
    if not inputs.images and not inputs.videos:
        outside = f", outside '{exclude}'" if exclude else ""
        nothing = f"no images in {', '.join(map(repr, map(shown, map(str, sources[:3]))))}{outside}"
        raise UserError("; ".join([*(inputs.problems or [nothing]), *inputs.notes, supported]))
    if inputs.problems or inputs.left_out:
        inputs.notes.append(supported)
    return inputs


def expand(source, inputs, recursive, exclude):
    """Add to `inputs` what one source stands for."""
    if source == STDIN:
        add_listed(sys.stdin.read(), Path(), inputs, recursive, exclude)
    elif is_address(source):
        inputs.add(source, address_name(source))
    elif os.path.isfile(source):
        add_file(source, inputs, recursive, exclude)
    elif os.path.isdir(source):
        add_folder(source, inputs, recursive, exclude)
    elif camera := camera_number(source):
        inputs.add(camera, f"camera{camera}.mp4")
    elif is_live(source):
        inputs.add(source, f"{address_name(source)}.mp4")
    elif os.path.lexists(source):
        inputs.problems.append(f"'{shown(source, 300)}' is "
                               f"{irregular(source) or 'a link that leads nowhere'}: only regular "
                               "files are read")
    elif glob.has_magic(source):
        add_pattern(source, inputs, exclude)
    else:
        inputs.problems.append(f"'{shown(source, 300)}' does not exist")


def add_file(path, inputs, recursive, exclude):
    """A list, a video or an image, whatever its suffix, unless that is of something else."""
    suffix = os.path.splitext(path)[1].lower()
    if suffix == ".txt":
        inputs.lists.append(path)
        add_listed(read_list(path), Path(path).parent, inputs, recursive, exclude)
    elif suffix in OTHER_SUFFIXES:
        inputs.problems.append(f"'{shown(path, 300)}' is no image")
    else:
        inputs.add(path, os.path.basename(path))


def read_list(path):
    """The text of a list of inputs."""
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"'{path}' cannot be read as a list of inputs, a line of UTF-8 for each: "
                        f"{error}") from None


def add_listed(text, folder, inputs, recursive, exclude):
    """Add what the lines of a text name, relative to the current folder or to `folder`."""
    for line in text.replace("\0", "\n").splitlines():
        line = line.strip("\r\n")
        beside = folder / line
        if not line.strip() or line.lstrip().startswith("#") or str(beside) in inputs.lists:
            continue
        known = is_address(line) or is_live(line) or os.path.exists(line) or next(
            glob.iglob(line), None)
        expand(line if known or not next(glob.iglob(str(beside)), beside.exists()) else str(beside),
               inputs, recursive, exclude)


def add_folder(folder, inputs, recursive, exclude):
    """The images and videos of a folder, and with `recursive` of its sub-folders."""
    exclude = exclude if is_within(exclude, folder) else ""
    below, paths = 0, []
    for path in walk(folder):
        if is_within(path, exclude):
            continue
        if recursive or os.path.dirname(path) == os.path.join(folder, "").rstrip(os.sep):
            paths.append(path)
        else:
            below += is_image(path) or is_video(path)
    add_paths(paths, folder, inputs)
    if below:
        inputs.notes.append(f"{below} images in the sub-folders of '{folder}' are left out: "
                            "--recursive takes them")


def add_pattern(pattern, inputs, exclude):
    """The images and videos that match a pattern of Python's glob, ** included."""
    root, rest = split_pattern(pattern)
    paths = [str(root / name) for name in glob.glob(str(rest), root_dir=root, recursive=True)]
    before = len(inputs.images) + len(inputs.videos)
    exclude = exclude if is_within(exclude, root) else ""
    add_paths([path for path in paths if not os.path.isdir(path) and not is_within(path, exclude)],
              root, inputs)
    if len(inputs.images) + len(inputs.videos) == before:
        inputs.problems.append(f"no images in '{shown(pattern, 300)}'")


def add_paths(paths, root, inputs):
    """Those of `paths` that are images or videos, sorted, named relative to `root`."""
    for path in sorted(paths):
        if is_image(path) or is_video(path) and os.path.isfile(path):
            inputs.add(path, Path(path).relative_to(root).as_posix())
        else:
            inputs.leave_out(path)


def path_of(source):
    """What a suffix is looked for in: the path of an address, else the source itself."""
    return urlsplit(source).path if is_address(source) else source


def camera_number(source):
    """The text of a camera's number, "" for what is none: 0, 1, /dev/video0."""
    text = source.removeprefix("/dev/video")
    return text if text.isdecimal() and len(text) < 4 else ""


def address_name(address):
    """A file name for what an address leads to."""
    parts = urlsplit(address)
    name = unquote(parts.path).rstrip("/").rpartition("/")[2] or parts.hostname or "address"
    return "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in name)[-80:]


def is_one_image(source):
    """Whether a value from Python stands for one image, rather than for many or none."""
    if isinstance(source, (str, Path)):
        text = str(source)
        return is_address(text) and not is_endless(text) or not (
            os.path.isdir(text) or is_endless(text) or text.lower().endswith(".txt")
            or glob.has_magic(text) and not os.path.lexists(text))
    return not isinstance(source, (list, tuple, int, Iterator))


def is_endless(source):
    """Whether a value stands for a video, a camera or a stream."""
    text = str(source)
    return isinstance(source, int) or isinstance(source, (str, Path)) and not os.path.isdir(text) \
        and (is_video(path_of(text)) or is_live(text) and not os.path.exists(text))


def each_image(images):
    """Yield paths, addresses, frames and whatever else `images` holds; see Predictor.stream."""
    if isinstance(images, (str, Path, int)):
        if is_one_image(images):
            yield images
            return
        inputs = find_inputs([images])
        yield from (source for source, _ in inputs.images)
        for source, _ in inputs.videos:
            yield from (frame.image for frame in open_frames(source))
        return
    for image in images:
        many = isinstance(image, (str, Path)) and not is_one_image(image)
        yield from each_image(image) if many else (image,)


def open_frames(source, start=0.0, end=None, every=1):
    """The Frames of a video file, a camera or a stream; see open_video."""
    return LiveStream(source, end, every) if is_live(source) \
        else open_video(source, start, end, every)
