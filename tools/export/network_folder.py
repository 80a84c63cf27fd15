"""A folder with the network for OpenVINO or ncnn, for users; decoding is left to the example."""
import os
import tempfile
from pathlib import Path

from tools.errors import UserError
from tools.files import write_json


def save_folder(folder, write, metadata):
    """write(empty folder) -> the same files in `folder`, and solov2.json beside them."""
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".", suffix=".tmp") as unfinished:
            write(unfinished)
            for path in sorted(Path(unfinished).iterdir()):
                os.replace(path, folder / path.name)
    except OSError as error:
        raise UserError(f"cannot write '{folder}': {error.strerror or error}") from None
    write_json(folder / "solov2.json", metadata)
