"""Where the exported networks of a weights file are kept, and when one is still current.

In the folder <weights>.engines beside the weights, or in the user's cache folder where that cannot
be written: <engine>-<version>-<key>, and int8-<key>, with the suffixes of the engine.  The key is
a hash of all that the content follows from, so a file that is found is current; what is stale is
removed when a new one is written.
"""
import contextlib
import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

from tools.errors import UserError
from tools.files import atomic_file
from tools.weights.weights_file import NETWORK_SETTINGS

CODE = Path(__file__).resolve().parent.parent.parent
SOURCES = ("model/*.py", "tools/export/graph.py", "tools/export/ncnn_graph.py",
           "tools/export/network.py", "tools/export/paddle_graph.py")
PARAMETERS = (".bin", ".pdiparams")        # the second files of the formats that have two


def export_key(weights, cfg):
    """A hash of the weights file, the network's settings and the code that writes the export."""
    digest = hashlib.sha256()
    settings = {key: getattr(cfg, key) for key in (*NETWORK_SETTINGS, "num_classes")}
    digest.update(json.dumps(settings).encode())
    for path in (Path(weights), *sorted(path for names in SOURCES for path in CODE.glob(names))):
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()[:20]


def cache_folders(weights):
    """The folder beside the weights, then one of their own in the user's cache."""
    weights = Path(weights).resolve()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    place = hashlib.sha256(str(weights).encode()).hexdigest()[:12]
    return [weights.with_name(f"{weights.name}.engines"), cache / "solov2" / place]


def find(weights, name):
    """The path of a cached export, of its first file if it has two; None if there is none."""
    paths = [path for folder in cache_folders(weights) for path in folder.glob(f"{name}.*")]
    return next((path for path in paths if path.suffix not in PARAMETERS), None)


def store(weights, name, folder):
    """Copy the files of `folder`, an export, to the first place that can be written.

    Says so if that is not the usual one.  Other exports of the same engine (the part of the name
    before the first "-") are removed there as stale.
    """
    files = sorted(Path(folder).iterdir(), key=lambda path: path.suffix not in PARAMETERS)
    notes = []
    for place in cache_folders(weights):
        try:
            for path in files:             # the one that is looked for comes last
                with open(path, "rb") as source, atomic_file(place / (name + path.suffix)) as file:
                    shutil.copyfileobj(source, file)
        except UserError as error:
            notes.append(str(error))
            continue
        remove_stale(place, name)
        if notes:
            print(f"note: the export is kept in '{place}' ({notes[0]})", file=sys.stderr)
        return
    print(f"note: the export could not be kept and will be made again ({'; '.join(notes)})",
          file=sys.stderr)


def remove_stale(folder, name):
    for path in folder.glob(f"{name.partition('-')[0]}-*"):
        if path.stem != name:
            with contextlib.suppress(OSError):                 # another process was faster
                path.unlink()
