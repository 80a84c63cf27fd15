"""A zip file as a source: unpacked below the output folder, nothing outside it, not endlessly."""
import shutil
import zipfile
from pathlib import Path

from tools.data.importing.source import parts_of, resolved
from tools.errors import UserError
from tools.files import atomic_file

FREE_RATIO = 100                   # times the size of the zip, and
FREE_BYTES = 2**30                 # so many bytes more, that it may unpack to
UTF8 = 0x800                       # the flag of an entry whose name is UTF-8
FOLDER = "unpacked"


def unpack(path, output):
    """The folder that a zip file was unpacked to, and the names of entries that were left out.

    UserError for a damaged zip, one with a password, one that unpacks to far more than it is, and
    where something was unpacked before.
    """
    folder, refused = Path(output) / FOLDER, []
    if folder.exists():
        raise UserError(f"'{folder}' is there already: remove it, or choose another output folder")
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            check_size(path, entries, folder)
            for entry in entries:
                name = entry_name(entry)
                parts = parts_of(name)
                if ".." in parts or name.startswith(("/", "\\")) or not parts:
                    refused.append(name)
                    continue
                with archive.open(entry) as source, \
                        atomic_file(folder.joinpath(*resolved(parts)), durable=False) as target:
                    shutil.copyfileobj(source, target, 2**20)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, NotImplementedError) as error:
        raise UserError(f"'{path}' is no zip file that can be read: {error}") from None
    except RuntimeError as error:                      # a password
        raise UserError(f"'{path}' cannot be unpacked: {error}") from None
    return folder, refused


def entry_name(entry):
    """The name of an entry: macOS writes UTF-8 without saying so, which reads as code page 437."""
    try:
        return entry.filename if entry.flag_bits & UTF8 else \
            entry.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return entry.filename


def check_size(path, entries, folder):
    packed, unpacked = Path(path).stat().st_size, sum(entry.file_size for entry in entries)
    if unpacked > FREE_RATIO * packed + FREE_BYTES:
        raise UserError(f"'{path}' ({packed} bytes) would unpack to {unpacked} bytes; unpack it "
                        "yourself if that is right, and give the folder")
    place = next(parent for parent in [folder, *folder.absolute().parents] if parent.exists())
    if unpacked > shutil.disk_usage(place).free:
        raise UserError(f"'{path}' unpacks to {unpacked} bytes, more than is free in '{place}'")
