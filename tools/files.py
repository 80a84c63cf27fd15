"""Files that are written whole or not at all."""
import contextlib
import json
import os
import uuid
from pathlib import Path

from tools.errors import UserError


@contextlib.contextmanager
def atomic_file(path, durable=True):
    """A binary file that becomes `path` when the block ends well, and vanishes otherwise.

    It grows under a hidden name of its own beside `path`: a kill or a full disk leaves what was
    there before, and of several writers at once the last one stays.  Makes the folder.  `durable`:
    wait for the disk, so that a power failure cannot leave an empty file under the new name.
    UserError if it cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name[:40]}.{uuid.uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(f"cannot write '{path}': {error.strerror or error}; "
                        "what was there before is unchanged") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def remove_leftovers(folder):
    """Remove what killed writers left in a folder, in which nobody else may be writing now."""
    for path in Path(folder).glob(".*.tmp"):
        path.unlink(missing_ok=True)


def write_text(path, text):
    """Write `text` as UTF-8, atomically.  UserError if it cannot be written."""
    with atomic_file(path) as file:
        file.write(text.encode())


def write_json(path, content, indent=None):
    """Write JSON-serialisable `content`, atomically.  UserError if it cannot be written."""
    write_text(path, json.dumps(content, indent=indent))
