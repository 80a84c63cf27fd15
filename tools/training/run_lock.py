"""A run owns its folder, by a lock of the system that ends with its process, however that ends.

The lock is on a small file beside the folder, so that the folder itself can be renamed.  It is a
record lock: reader processes do not inherit it, and it works on NFS too.
"""
import errno
import json
import os
import socket
from pathlib import Path

from tools.errors import UserError, shown

try:
    import fcntl
except ImportError:                    # Windows
    fcntl = None

NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
TAKEN = (errno.EACCES, errno.EAGAIN)
HELD = {}                              # {path: open lock file} of this process


def lock_path(run_dir):
    folder = Path(run_dir)
    return folder.parent / f".{folder.name}.lock"


def own_folder(run_dir, say=print):
    """Lock the folder of a run until this process ends; UserError if another process has it.

    Says so where there are no locks; then nothing keeps a second run away.
    """
    path = lock_path(run_dir)
    key = os.path.abspath(path)
    if key in HELD:                    # by an earlier Trainer of this process
        return
    if fcntl is None:
        say(f"note: no locks on this system: start no second run into {run_dir} meanwhile")
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "a+", encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write '{path}': {error.strerror}") from None
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = read_owner(file)
        file.close()
        refuse_or_note(error, run_dir, owner, say)
        return
    file.truncate(0)
    file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}) + "\n")
    file.flush()
    HELD[key] = file                   # closing any file on `path` would end the lock


def refuse_or_note(error, run_dir, owner, say):
    if error.errno in TAKEN:
        raise UserError(f"another run{owner} is writing into '{run_dir}'; wait for its end, stop "
                        "it, or give this one a folder of its own (-o output_dir=FOLDER)") from None
    if error.errno not in NO_LOCKS:
        raise UserError(f"cannot lock '{lock_path(run_dir)}': {error.strerror}") from None
    say(f"note: the file system of {run_dir} has no locks ({error.strerror}): start no second run "
        "into it meanwhile")


def read_owner(file):
    """ " (process 12 on HOST)" of a lock file, "" where it does not say."""
    try:
        file.seek(0)
        owner = json.loads(file.read(1000))
        return f" (process {shown(owner['pid'])} on {shown(owner['host'])})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""
