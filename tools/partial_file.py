"""The file that a download grows, and of which version of the original it is a part."""
import contextlib
import hashlib
import json
import os
from pathlib import Path

from tools.errors import UserError, printable
from tools.files import open_alone, temporary_name

KEYS = {"address": str, "version": str, "total": (int, type(None))}


class Partial:
    """A binary file that is being downloaded.

    `version`: ETag or date that the server gave for it, "" if none; `total`: its size in the end,
    None if unknown.  Both are kept in a note beside the file, so that a later run can continue it.
    """

    def __init__(self, file, path, target, address):
        self.file, self.path, self.target, self.address = file, path, target, address
        self.note = Path(f"{path}.json")
        note = self.read_note()
        self.version, self.total = note.get("version", ""), note.get("total")
        self.size = file.seek(0, os.SEEK_END)
        self.title = printable(target.name)

    def read_note(self):
        """What the note says, {} if there is none that fits."""
        try:
            note = json.loads(self.note.read_bytes()[:10_000])
            fits = all(isinstance(note[key], kind) for key, kind in KEYS.items())
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return {}
        return note if fits and note["address"] == self.address else {}

    def describe(self, version, total):
        if (version, total) != (self.version, self.total):
            self.version, self.total = version, total
            self.note.write_text(json.dumps({"address": self.address, "version": version,
                                             "total": total}))

    def restart(self):
        """Begin again with nothing."""
        self.file.seek(0)
        self.file.truncate()
        self.size, self.version, self.total = 0, "", None
        self.note.unlink(missing_ok=True)

    def write(self, chunk):
        self.file.write(chunk)
        self.size += len(chunk)

    def sha256(self):
        self.file.seek(0)
        digest = hashlib.sha256()
        while chunk := self.file.read(1 << 20):
            digest.update(chunk)
        return digest.hexdigest()

    def remove(self):
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)

    def finish(self):
        """Give the file its name."""
        self.file.flush()
        os.fsync(self.file.fileno())
        os.replace(self.path, self.target)
        self.note.unlink(missing_ok=True)


@contextlib.contextmanager
def open_partial(path, address):
    """The Partial of a download to `path`: `path`.part, or a name of its own while another process
    is at that one.  UserError if it cannot be written."""
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        name = Path(f"{path}.part")
        file = open_alone(name)
        own = file is None
        if own:
            name = temporary_name(path)
            file = open(name, "x+b")
        with file:
            partial = Partial(file, name, path, address)
            try:
                yield partial
            finally:
                if own or not partial.size:
                    partial.remove()
    except OSError as error:
        raise UserError(f"cannot write '{path}': {error.strerror or error}; what was there before "
                        "is unchanged, and the same command continues") from None
