"""Files that are written whole or not at all, and never over a file that was read as an input."""
import contextlib
import hashlib
import json
import os
import re
import shutil
import stat
import time
import uuid
from pathlib import Path

try:
    import fcntl
except ImportError:                # Windows
    fcntl = None

from tools.errors import UserError, shown

KINDS = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a named pipe"), (stat.S_ISSOCK, "a socket"),
         (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"))
UNFINISHED = set()                 # paths of temporary files that are being written
TEMPORARY = re.compile(r"\..*\.[0-9a-f]{32}\.tmp")
ABANDONED = 60                     # seconds after which a temporary file may be a killed writer's
ABANDONED_FOLDER = 3600            # ... and a folder, whose writer holds no lock
CLEARED = set()                    # folders in which this process has looked for such
PROBE = 1 << 16                    # bytes, more than a file's last block on a full disk may take
READ_AT_ONCE = 1 << 22
INPUTS = {}                        # (device, inode) -> what this process reads as an input


def note_input(path, what):
    """From now on this process never writes over `path`; `what`: its name in the refusal."""
    with contextlib.suppress(OSError, ValueError):
        found = os.stat(path)
        INPUTS[found.st_dev, found.st_ino] = what


def refuse_input(path):
    """UserError where writing `path` would replace a file noted by `note_input`.

    Called before long work with the path of its result; every writer of this file calls it too.
    """
    try:
        found = os.stat(os.path.realpath(path))        # links lead to what they stand for
    except (OSError, ValueError):
        return
    what = INPUTS.get((found.st_dev, found.st_ino))
    if what:
        raise UserError(f"'{shown(str(path))}' is {what}, which would be replaced: "
                        "choose another place for the result")


def refuse_others(path, begins):
    """UserError where writing `path` would replace a file that begins with none of `begins`.

    begins: bytes that the files of the caller begin with.  An empty file is nobody's work.
    """
    refuse_input(path)
    if not os.path.exists(path):
        return
    kind = irregular(path)
    if not kind:
        with open(path, "rb") as file:
            head = file.read(max(map(len, begins)))
        if not head or head.startswith(tuple(begins)):
            return
    raise UserError(f"'{shown(str(path))}' exists{f', is {kind}' if kind else ''} and was not "
                    "written by this command: choose another place for the result, or move it away")


def irregular(path):
    """What `path` is if it exists and is no regular file ("a named pipe"), else "".

    Opening a pipe or a device may wait for ever.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return ""
    if stat.S_ISREG(mode):
        return ""
    return next((kind for matches, kind in KINDS if matches(mode)), "no regular file")


@contextlib.contextmanager
def atomic_file(path, durable=True):
    """A binary file that becomes `path` when the block ends well, and vanishes otherwise.

    It grows under a hidden name of its own beside `path`: a kill or a full disk leaves what was
    there before, and of several writers at once the last one stays.  Makes the folder.  `durable`:
    wait for the disk, so that a power failure cannot leave an empty file under the new name.
    UserError if it cannot be written or is an input of this process (`note_input`).
    """
    path = Path(path)
    refuse_input(path)
    temporary = temporary_name(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.parent not in CLEARED:         # once: it may hold a million files
            CLEARED.add(path.parent)
            remove_abandoned(path.parent)
        UNFINISHED.add(temporary)
        with open(temporary, "xb") as file:
            hold(file, temporary)
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
        UNFINISHED.discard(temporary)


def temporary_name(path):
    """A new hidden name beside `path`, a Path; TEMPORARY matches it."""
    return path.with_name(f".{path.name[:40]}.{uuid.uuid4().hex}.tmp")


@contextlib.contextmanager
def temporary_folder(path):
    """A new hidden folder beside `path`, as a Path; gone after the block, unless it was renamed."""
    path = temporary_name(path)
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def open_alone(path):
    """The file open for reading and writing, locked; None if another process holds it."""
    file = open(path, "a+b")
    if hold(file, path):
        return file
    file.close()
    return None


def hold(file, path):
    """Lock an open file until it is closed; whether that worked and it still has this name."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except (OSError, AttributeError):                  # held, renamed by who held it; Windows
        return False


def remove_abandoned(folder):
    """Remove what killed writers left in a folder: no process holds it, nor has for a minute.

    Folders: those that nobody has touched for an hour.
    """
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if not TEMPORARY.fullmatch(entry.name) or entry.is_symlink():
                continue
            age = time.time() - entry.stat().st_mtime
            if entry.is_dir() and age > ABANDONED_FOLDER:
                shutil.rmtree(entry.path, ignore_errors=True)
            elif entry.is_file() and age > ABANDONED and (file := open_alone(entry.path)):
                os.unlink(entry.path)
                file.close()


def check_room(path):
    """OSError if the disk has no room for more than `path`, a file that a library has just written.

    For libraries that do not notice a full disk: where they had none left, there is none now.
    """
    size = os.path.getsize(path)
    try:
        with open(path, "ab") as file:
            file.write(bytes(PROBE))
            file.flush()
            os.fsync(file.fileno())
    finally:
        os.truncate(path, size)


def remove_unfinished():
    """Remove what this process has not finished writing, before it ends in the middle of it."""
    for path in list(UNFINISHED):
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def remove_leftovers(folder):
    """Remove what killed writers left in a folder, in which nobody else may be writing now."""
    for path in Path(folder).glob(".*.tmp"):
        path.unlink(missing_ok=True)


def key_of_file(path):
    """A hash of a file's bytes, hexadecimal; UserError where it cannot be read."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while data := file.read(READ_AT_ONCE):
                digest.update(data)
    except OSError as error:
        raise UserError(f"'{path}' cannot be read: {error.strerror}") from None
    return digest.hexdigest()


def write_text(path, text):
    """Write `text` as UTF-8, atomically; what is no letter (half a surrogate) becomes "?".

    UserError if it cannot be written.
    """
    with atomic_file(path) as file:
        file.write(text.encode(errors="replace"))


def write_json(path, content, indent=None):
    """Write JSON-serialisable `content`, atomically.  UserError if it cannot be written."""
    write_text(path, json.dumps(content, indent=indent))
