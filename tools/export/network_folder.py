"""A folder with an exported network and what its user has to know: whole, or as it was."""
import os
from pathlib import Path

from tools.errors import UserError
from tools.files import remove_abandoned, temporary_folder, write_json


def save_folder(folder, write, metadata):
    """write(empty folder) -> the same files in `folder`, and solov2.json beside them.

    What `write` returns, a dict or None, goes into solov2.json too.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_abandoned(folder)
        with temporary_folder(folder / "export") as unfinished:
            more = write(unfinished)
            for path in sorted(unfinished.iterdir()):
                os.replace(path, folder / path.name)
    except OSError as error:
        raise UserError(f"cannot write '{folder}': {error.strerror or error}") from None
    write_json(folder / "solov2.json", {**metadata, **(more or {})})
