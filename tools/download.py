"""Files over HTTP(S): `fetch` into memory, `download` to disk, whole or not at all.

The server is not trusted.  What it sends is limited in size, what it says of itself is checked, and
a thread of its own talks to it: names that are never resolved, headers that drip in and bodies that
stand still cost no more than PATIENCE seconds, and Ctrl-C works at any moment.
"""
import http.client
import queue
import threading
import time
import urllib.error
import urllib.request
from urllib.parse import quote, urlsplit

from tools.errors import UserError, shown
from tools.partial_file import open_partial
from tools.progress import Progress

ATTEMPTS = 5                       # without PROGRESS bytes between them
PROGRESS = 1 << 20
PATIENCE = 30                      # seconds in which MIN_RATE must be reached
MIN_RATE = 1000                    # bytes per second
CHUNK = 1 << 16
MAX_FILE = 4 << 30                 # bytes; the largest published checkpoint has 0.6 GB
MAX_FETCH = 64 << 20               # bytes that `fetch` holds in memory
# ValueError: what urllib and http.client make of senseless headers
NETWORK_ERRORS = (OSError, http.client.HTTPException, ValueError)


class Broken(Exception):
    """A connection that failed; another one may do better."""


class Connection:
    """with Connection(address, headers, seconds) as connection: status, headers, chunks().

    `seconds`: for everything, or None if any time is fine as long as bytes arrive at MIN_RATE.
    Raises Broken, also in chunks().
    """

    def __init__(self, address, headers, seconds=None):
        self.request = urllib.request.Request(
            quote(address, safe="!#$%&'()*+,/:;=?@[]~"),
            headers={"User-Agent": "solov2", **headers})
        self.end = None if seconds is None else time.monotonic() + seconds
        self.box, self.left = queue.Queue(16), threading.Event()

    def __enter__(self):
        self.rest(start=True)
        threading.Thread(target=receive, args=(self.request, self.box, self.left),
                         daemon=True).start()
        self.status, self.headers, self.reason = self.take()
        return self

    def __exit__(self, *_):
        self.left.set()

    def rest(self, start=False, arrived=0):
        """Seconds that are left to wait; begins anew when enough bytes have arrived in time."""
        now = time.monotonic()
        self.arrived = arrived if start else self.arrived + arrived
        if start or self.arrived >= PATIENCE * MIN_RATE:
            self.arrived, self.limit = 0, now + PATIENCE
        return min(self.limit, self.end or self.limit) - now

    def take(self):
        """What the thread received next: (status, headers, reason), bytes, or an error to raise."""
        try:
            item = self.box.get(timeout=max(0.01, self.rest()))
        except queue.Empty:
            raise Broken("the server is too slow, or silent") from None
        if isinstance(item, Exception):
            raise Broken(shown(str(getattr(item, "reason", None) or item), 200))
        return item

    def chunks(self):
        """The bytes of the body, piece by piece."""
        while chunk := self.take():
            if self.rest(arrived=len(chunk)) < 0:
                raise Broken("the server is too slow")
            yield chunk


def receive(request, box, left):
    """Put what a request gets into `box`: the head, the pieces of the body and b"", or an error."""
    try:
        with open_address(request) as answer:
            put((answer.status, answer.headers, answer.reason), box, left)
            if answer.status < 300:
                while chunk := answer.read1(CHUNK):
                    put(chunk, box, left)
                put(b"", box, left)
    except NETWORK_ERRORS as error:
        put(error, box, left)
    except Broken:
        pass                                             # nobody waits any longer


def put(item, box, left):
    while not left.is_set():
        try:
            return box.put(item, timeout=0.2)
        except queue.Full:
            continue
    raise Broken("left")


def open_address(request):
    """The answer, behind proxies and redirects, also one that is an error.  HTTP and HTTPS only."""
    opener = urllib.request.OpenerDirector()
    for handler in (urllib.request.ProxyHandler, urllib.request.HTTPHandler,
                    urllib.request.HTTPSHandler, urllib.request.HTTPRedirectHandler,
                    urllib.request.HTTPErrorProcessor, urllib.request.HTTPDefaultErrorHandler,
                    urllib.request.UnknownHandler):
        opener.add_handler(handler())
    try:
        return opener.open(request, timeout=PATIENCE)
    except urllib.error.HTTPError as error:
        return error


def check_address(address):
    """UserError unless `address` begins with http:// or https:// and names a host."""
    try:
        parts = urlsplit(address)
        good = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        good = False
    if not good:
        raise UserError(f"cannot fetch '{shown(address)}': expected an http or https address")


def number(text):
    """A count of bytes in a header, None where there is none.  UserError if it is no count."""
    if text is None or text == "*":
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise UserError(f"the server states a senseless size, '{shown(text, 40)}'")
    return int(text)


def size_of_answer(connection):
    """(first byte, size of the whole file or None) of what the server sends."""
    if connection.headers.get("Content-Encoding", "identity") != "identity":
        raise UserError("the server sends the file compressed, which nobody asked for")
    if connection.status == 206:
        span, _, total = connection.headers.get("Content-Range", "").removeprefix(
            "bytes ").partition("/")
        return number(span.partition("-")[0]), number(total)
    return 0, number(connection.headers.get("Content-Length"))


def version_of(headers):
    """What If-Range takes: the strong ETag or the date of the file, "" if the server gives none."""
    etag = headers.get("ETag", "")
    version = etag if etag.startswith('"') else headers.get("Last-Modified", "")
    return version if version.isascii() and version.isprintable() and len(version) < 200 else ""


def check_size(size, limit):
    if size is not None and size > limit:
        raise UserError(f"it has more than {limit >> 20} MiB; nothing that large is expected here")


def fetch(address, limit=MAX_FETCH, seconds=60):
    """The bytes behind an http(s) address.

    UserError if it cannot be had, is larger than `limit` bytes or takes more than `seconds`.
    """
    check_address(address)
    content = bytearray()
    try:
        with Connection(address, {}, seconds) as connection:
            check_status(connection)
            start, total = size_of_answer(connection)
            check_size(total, limit)
            if start != 0:
                raise UserError("the server sends only a part of it")
            for chunk in connection.chunks():
                content += chunk
                check_size(len(content), limit)
        if total not in (None, len(content)):
            raise Broken(f"the connection ended after {len(content)} of {total} bytes")
    except (Broken, UserError) as error:
        raise UserError(f"cannot fetch '{shown(address, 200)}': {error}") from None
    return bytes(content)


def check_status(connection):
    """UserError for an answer that another attempt would get too, Broken for a busy server."""
    if connection.status in (200, 206):
        return
    text = f"the server says {connection.status} {shown(connection.reason)}"
    if connection.status in (408, 429) or connection.status >= 500:
        raise Broken(text)
    raise UserError(text)


def download(address, path, sha256="", limit=MAX_FILE, attempts=ATTEMPTS, pause=1.0):
    """Fetch `address` to `path`; returns the sha256 of the content.

    An interrupted download (`path`.part) is continued if the server still has the same version of
    the file, which its ETag or date tells, or a checksum is known.  `sha256`: how the checksum must
    begin, "" if unknown.  `limit`: bytes.  UserError when the server fails, the length is not the
    one it stated, or the checksum is wrong; then there is no new file at `path`.
    """
    check_address(address)
    with open_partial(path, address) as partial:
        try:
            keep_trying(address, partial, bool(sha256), limit, attempts, pause)
            found = partial.sha256()
            if not found.startswith(sha256.lower()):
                partial.remove()
                raise UserError(f"it has the sha256 {found}, expected {shown(sha256)}; removed")
        except UserError as error:
            raise UserError(f"cannot fetch {shown(address, 300)}: {error}") from None
        partial.finish()
    return found


def keep_trying(address, partial, checked, limit, attempts, pause):
    """Complete `partial` in several connections if need be."""
    attempt = 1
    while True:
        before = partial.size
        try:
            return continue_file(address, partial, checked, limit)
        except Broken as error:
            if partial.size - before >= PROGRESS:
                attempt = 1
            if attempt >= attempts:
                raise UserError(f"{error}; {partial.size} bytes are kept, the same command "
                                "continues; or fetch the file by other means") from None
        time.sleep(pause * attempt)
        attempt += 1


def continue_file(address, partial, checked, limit):
    """One connection: continue or begin the file.  Broken if it ends too early."""
    if not (partial.version or checked):
        partial.restart()                                # nothing would tell a mixture of versions
    headers = {}
    if partial.size:
        headers = {"Range": f"bytes={partial.size}-"}
        headers.update({"If-Range": partial.version} if partial.version else {})
    with Connection(address, headers) as connection:
        if connection.status == 416 and partial.size:    # nothing behind what we have
            return check_complete(connection, partial, checked)
        check_status(connection)
        start, total = size_of_answer(connection)
        check_size(total, limit)
        fit(partial, start, total, version_of(connection.headers))
        rest = None if total is None else max(0, total - start)
        with Progress(rest, f"{'rest of ' if start else ''}{partial.title}", "byte") as progress:
            for chunk in connection.chunks():
                partial.write(chunk)
                progress.advance(len(chunk))
                if partial.size > limit:
                    partial.restart()
                    check_size(limit + 1, limit)
    if total is not None and partial.size != total:
        if partial.size > total:
            partial.restart()
        raise Broken(f"the connection ended after {partial.size} of {total} bytes")
    if not partial.size:
        raise UserError("it is empty")


def check_complete(connection, partial, checked):
    """Whether the server means that we have everything; begins again if not."""
    stated = connection.headers.get("Content-Range", "").strip()
    if stated == f"bytes */{partial.size}" and (checked or partial.total == partial.size):
        return
    partial.restart()
    raise Broken("the partial file does not fit; beginning again")


def fit(partial, start, total, version):
    """Make the partial file ready for bytes from `start` on; Broken if they are of another file."""
    if start == 0:
        partial.restart()
    elif start != partial.size:
        partial.restart()
        raise Broken("the server continued at another place")
    elif (partial.version and version != partial.version) or partial.total not in (None, total):
        partial.restart()
        raise Broken("the file has changed on the server; beginning again")
    partial.describe(version, total)

