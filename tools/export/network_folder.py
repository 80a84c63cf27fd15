"""A folder with an exported network and what its user has to know: whole, or as it was."""
import os
from pathlib import Path

from tools.errors import UserError
from tools.files import remove_abandoned, temporary_folder, write_json

ABOUT = "solov2.json"
STEMS = ("network", "head", "model")         # of the files of all formats


def save_folder(folder, write, metadata):
    """write(empty folder) -> the same files in `folder`, and solov2.json beside them.

    What `write` returns, a dict or None, goes into solov2.json too.  An earlier export in `folder`,
    of whatever format, is replaced; other files stay.
    """
    folder = Path(folder)
    try:
        there = folder.is_dir()
        if not there and os.path.lexists(folder):
            raise UserError(f"'{folder}' is no folder, which this format needs: choose another "
                            "--output")
        with temporary_folder(folder / "export" if there else folder) as unfinished:
            more = write(unfinished)
            write_json(unfinished / ABOUT, {**metadata, **(more or {})})
            if there:
                replace_export(folder, unfinished)
            else:
                unfinished.rename(folder)
    except OSError as error:
        raise UserError(f"cannot write '{folder}': {error.strerror or error}") from None


def replace_export(folder, new):
    """Move the files of the folder `new` into `folder`, in place of an earlier export."""
    remove_abandoned(folder)
    names = {path.name for path in new.iterdir()}
    if Path(folder, ABOUT).is_file():
        for path in folder.iterdir():
            if path.stem in STEMS and path.name not in names and path.is_file():
                path.unlink()
    for name in sorted(names):
        os.replace(new / name, folder / name)
