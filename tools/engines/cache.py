"""Where the exported networks of a weights file are kept, and when one is still current.

In the folder <weights>.engines beside the weights, or in the user's cache folder where that cannot
be written: a folder <engine>-<version>-<key> each.  The key is a hash of all that the content
follows from, so an export that is found is current; what is stale is removed when a new one is
made.  An export appears whole or not at all (its folder is renamed into place) and carries the
checksums of its files: one that does not fit them is removed, with a note.
"""
import atexit
import contextlib
import hashlib
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from tools.engines.code import code_hash
from tools.errors import UserError
from tools.files import remove_abandoned, temporary_folder
from tools.weights.weights_file import NETWORK_SETTINGS

CHECKSUMS = "checksums.json"               # {file name: sha256}, beside the files


def export_key(weights, cfg, module):
    """A hash of the weights file, the network's settings and the code that writes the export.

    module: dotted name of the one that writes it.
    """
    settings = {key: getattr(cfg, key) for key in (*NETWORK_SETTINGS, "num_classes")}
    parts = [json.dumps(settings), code_hash(module, "model.solov2"), sha256_of(weights)]
    return hashlib.sha256("".join(parts).encode()).hexdigest()[:20]


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def cache_folders(weights):
    """The folder beside the weights, then one of their own in the cache of a user who has one."""
    weights = Path(weights).resolve()
    place = hashlib.sha256(str(weights).encode(errors="surrogateescape")).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    beside = weights.with_name(f"{weights.name}.engines")
    return [beside, cache / "solov2" / place] if cache.is_absolute() else [beside]


def find(weights, name):
    """The folder of a whole export; None if there is none.  Damaged ones are removed, and said if
    there is no other."""
    notes = []
    for folder in (place / name for place in cache_folders(weights)):
        if not os.path.isdir(folder):                  # Path.is_dir raises where one may not look
            continue
        fault = fault_of(folder)
        if not fault:
            return folder
        notes.append(f"note: the export in '{folder}' is damaged ({fault}) and not used")
        shutil.rmtree(folder, ignore_errors=True)
    for note in notes:
        print(note, file=sys.stderr)
    return None


def discard(weights, name):
    """Remove an export, if there is one."""
    for place in cache_folders(weights):
        shutil.rmtree(place / name, ignore_errors=True)


def fault_of(folder):
    """What is wrong with an export, in words; "" if it is whole."""
    try:
        expected = json.loads(Path(folder, CHECKSUMS).read_text(encoding="utf-8"))
        present = {path.name: sha256_of(path) for path in files_of(folder)}
    except (OSError, ValueError, RecursionError) as error:
        return f"its checksums cannot be read: {error}"
    if not isinstance(expected, dict) or not expected:
        return "it has no checksums"
    different = sorted(name for name in {*expected, *present}
                       if expected.get(name) != present.get(name))
    return f"'{different[0][:80]}' has changed or is missing" if different else ""


def files_of(folder):
    return sorted(path for path in Path(folder).iterdir() if path.name != CHECKSUMS)


def make(weights, name, write):
    """The folder of a new export, which write(folder) fills and checks, in the first place where
    it can be written: beside the weights, in the user's cache, or for this process alone.

    Says so if that is not the usual place.  Other exports of the same engine (the part of the name
    before the first "-") are removed there as stale.  UserError if it cannot be written anywhere.
    """
    notes = []
    for place in cache_folders(weights):
        try:
            folder = write_whole(place / name, write)
        except OSError as error:
            notes.append(f"cannot write '{place}': {error.strerror or error}")
            continue
        remove_stale(place, name)
        if notes:
            print(f"note: the export is kept in '{place}' ({notes[0]})", file=sys.stderr)
        return folder
    try:
        folder = Path(tempfile.mkdtemp(prefix="solov2-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        write(folder)
    except OSError as error:
        notes.append(str(error))
        raise UserError(f"no place for the export: {'; '.join(notes)}") from None
    print(f"note: the export could not be kept and will be made again ({'; '.join(notes)})",
          file=sys.stderr)
    return folder


def write_whole(folder, write):
    """`folder` after write() has filled it under a name of its own; OSError if it cannot be."""
    with temporary_folder(folder) as unfinished:
        write(unfinished)
        checksums = {path.name: sha256_of(path) for path in files_of(unfinished)}
        Path(unfinished, CHECKSUMS).write_text(json.dumps(checksums), encoding="utf-8")
        try:
            unfinished.rename(folder)
        except OSError:
            if fault_of(folder):                           # else another process was faster
                raise
    return folder


def remove_stale(place, name):
    """Remove the other exports of the engine, and unfinished ones that a killed process left."""
    for path in place.glob(f"{name.partition('-')[0]}-*"):
        if path.name != name:
            remove(path)
    remove_abandoned(place)


def remove(path):
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):             # another user's
            path.unlink()
