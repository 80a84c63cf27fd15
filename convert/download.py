"""Fetching a file over HTTP: progress, resume, checks; under its name only when complete."""
import hashlib
import http.client
import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from tqdm import tqdm

from convert.rename import ConversionError

ATTEMPTS = 5
TIMEOUT = 30                       # seconds without a byte
CHUNK = 1 << 16
NETWORK_ERRORS = (urllib.error.URLError, http.client.HTTPException, OSError)


def download(address, path, sha256="", attempts=ATTEMPTS, pause=1.0):
    """Fetch `address` to `path`; an interrupted download (`path`.part) is continued.

    `sha256`: how the checksum of the content must begin, "" if unknown.  ConversionError when the
    server fails, the length is not the one it stated, or the checksum is wrong; then there is no
    file at `path`.
    """
    if urlsplit(address).scheme not in ("http", "https"):
        raise ConversionError(f"cannot fetch '{address}': expected an http or https address")
    part = Path(f"{path}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    stated = set()                                       # lengths that the server stated so far
    for attempt in range(1, attempts + 1):
        try:
            fetch(address, part, stated)
            break
        except urllib.error.HTTPError as error:
            if error.code < 500 or attempt == attempts:
                raise ConversionError(f"cannot fetch {address}: the server says {error.code} "
                                      f"{error.reason}") from None
        except NETWORK_ERRORS as error:
            if attempt == attempts:
                kept = part.stat().st_size if part.exists() else 0
                raise ConversionError(
                    f"cannot fetch {address}: {getattr(error, 'reason', None) or error}; "
                    f"{kept} bytes are kept, the same command continues; or fetch the file by "
                    "other means, then: python -m convert FILE") from None
        time.sleep(pause * attempt)
    check(part, sha256, address)
    os.replace(part, path)


def fetch(address, part, stated):
    """One connection: continue or begin `part`.  Raises a network error if it ends too early."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(address, headers={"User-Agent": "solov2-convert"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416:                            # nothing behind what we have
            raise
        if error.headers.get("Content-Range") == f"bytes */{have}" and stated <= {have}:
            return
        part.unlink()
        raise http.client.HTTPException("the partial file does not fit; beginning again") from None
    with answer:
        start, total = extent(answer, have)
        stated |= {total} - {None}
        if start not in (0, have):
            part.unlink()
            raise http.client.HTTPException("the server continued at another place")
        with open(part, "ab" if start else "wb") as file, tqdm(
                total=total, initial=start, unit="B", unit_scale=True, desc=part.stem,
                file=sys.stderr, disable=None) as bar:
            while chunk := answer.read(CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
    size = part.stat().st_size
    if stated - {size}:
        raise http.client.HTTPException(f"the connection ended after {size} of {max(stated)} bytes")


def extent(answer, have):
    """(first byte, size of the whole file or None) of what the server sends."""
    if answer.status == 206:
        span = answer.headers.get("Content-Range", "").removeprefix("bytes ")
        span, _, total = span.partition("/")
        first = span.partition("-")[0]
        return (int(first) if first.isdigit() else -1), (int(total) if total.isdigit() else None)
    length = answer.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def check(part, sha256, address):
    """Refuse an empty file or a wrong checksum, and remove it: continuing would not help."""
    if part.stat().st_size == 0:
        part.unlink()
        raise ConversionError(f"{address} is empty")
    if not sha256:
        return
    with open(part, "rb") as file:
        found = hash_of(file)
    if not found.startswith(sha256.lower()):
        part.unlink()
        raise ConversionError(f"{address} has the sha256 {found}, expected {sha256}; removed")


def hash_of(file):
    digest = hashlib.sha256()
    while chunk := file.read(1 << 20):
        digest.update(chunk)
    return digest.hexdigest()
