"""Where the exported networks of a weights file are kept, and when one is still current.

In the folder <weights>.engines beside the weights, or in the user's cache folder where that cannot
be written: <engine>-<version>-<key>.onnx, and int8-<key>.xml with its .bin.  The key is a hash of
all that the content follows from, so a file that is found is current; what is stale is removed
when a new one is written.
"""
import contextlib
import hashlib
import json
import os
import sys
from pathlib import Path

from tools.errors import UserError
from tools.files import atomic_file
from tools.training.checkpoint import NETWORK_SETTINGS

CODE = Path(__file__).resolve().parent.parent.parent
SOURCES = ("model/*.py", "tools/export/graph.py", "tools/export/network.py")


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


def int8_name(weights, cfg):
    """The name of the 8-bit network, without .xml and .bin."""
    return f"int8-{export_key(weights, cfg)}"


def cache_folders(weights):
    """The folder beside the weights, then one of their own in the user's cache."""
    weights = Path(weights).resolve()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    place = hashlib.sha256(str(weights).encode()).hexdigest()[:12]
    return [weights.with_name(f"{weights.name}.engines"), cache / "solov2" / place]


def find(weights, name):
    """The path of a cached file, None if there is none."""
    paths = [folder / name for folder in cache_folders(weights)]
    return next((path for path in paths if path.is_file()), None)


def store(weights, name, content):
    """Write bytes to the first folder that can be written; says so if it is not the usual one.

    Other files of the same engine (the part of the name before the first "-") are removed as stale.
    """
    notes = []
    for folder in cache_folders(weights):
        try:
            with atomic_file(folder / name) as file:
                file.write(content)
        except UserError as error:
            notes.append(str(error))
            continue
        for stale in folder.glob(f"{name.partition('-')[0]}-*"):
            if stale.stem != Path(name).stem:
                with contextlib.suppress(OSError):         # another process was faster
                    stale.unlink()
        if notes:
            print(f"note: the export is kept in '{folder}' ({notes[0]})", file=sys.stderr)
        return
    print(f"note: the export could not be kept and will be made again ({'; '.join(notes)})",
          file=sys.stderr)
