"""Fetching from a local server that breaks off, redirects, ignores ranges, drips and lies."""
import errno
import hashlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from convert import __main__ as command
from convert.errors import ConversionError
from convert.published import Published
from tools import download as downloads
from tools.download import download
from tools.errors import UserError

CONTENT = bytes(range(256)) * 2000


class Server(BaseHTTPRequestHandler):
    """Behaves as the path says; `server.log` lists (path, Range header)."""

    def log_message(self, *_):
        pass

    def do_GET(self):  # noqa: N802  (the name that http.server calls)
        asked = self.headers.get("Range")
        self.server.log.append((self.path, asked))
        start = int(asked[6:-1]) if asked else 0
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "/good")
            self.end_headers()
        elif self.path == "/missing":
            self.send_error(404)
        elif self.path == "/busy" and len(self.server.log) < 3:
            self.send_error(503)
        elif start >= len(CONTENT):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(CONTENT)}")
            self.end_headers()
        else:
            self.answer(start)

    def answer(self, start):
        ranges = self.path not in ("/no-ranges", "/empty")
        content = CONTENT[start:] if ranges else CONTENT
        if self.path == "/empty":
            content = b""
        self.send_response(206 if start and ranges else 200)
        if start and ranges:
            first = start + 5 if self.path == "/other-place" else start
            self.send_header("Content-Range", f"bytes {first}-{len(CONTENT) - 1}/{len(CONTENT)}")
        length = len(content) + (1000 if self.path == "/lies" else 0)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        breaks = self.path in ("/breaks", "/no-ranges") and len(self.server.log) < 3
        self.wfile.write(content[:len(content) // 3] if breaks else content)


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    server.log = []
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def fetch(server, path, target, **settings):
    download(f"http://127.0.0.1:{server.server_address[1]}{path}", target, pause=0, **settings)


@pytest.mark.parametrize("path", ["/good", "/redirect", "/breaks", "/no-ranges", "/busy"])
def test_arrives(path, server, tmp_path):
    fetch(server, path, tmp_path / "file", sha256=hashlib.sha256(CONTENT).hexdigest().upper())
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    if path == "/breaks":                                # continued, not begun again
        ranges = [asked for _, asked in server.log]
        assert ranges[0] is None and ranges[1] == f"bytes={len(CONTENT) // 3}-"


def test_continues_where_an_earlier_run_ended(server, tmp_path):
    (tmp_path / "file.part").write_bytes(CONTENT[:1000])
    fetch(server, "/good", tmp_path / "file", sha256=hashlib.sha256(CONTENT).hexdigest())
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.log == [("/good", "bytes=1000-")]
    (tmp_path / "file.part").write_bytes(CONTENT)        # complete, but not renamed
    fetch(server, "/good", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_begins_again_where_the_partial_file_does_not_fit(server, tmp_path):
    (tmp_path / "file.part").write_bytes(CONTENT + b"more")
    fetch(server, "/good", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT
    (tmp_path / "file.part").write_bytes(CONTENT[:10])
    fetch(server, "/other-place", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize("path, hint", [
    ("/missing", "404"), ("/lies", "the same command continues"), ("/empty", "is empty")])
def test_fails_without_a_file(path, hint, server, tmp_path):
    with pytest.raises(UserError, match=hint):
        fetch(server, path, tmp_path / "file", attempts=2)
    assert not (tmp_path / "file").exists()


def test_wrong_checksum(server, tmp_path):
    with pytest.raises(UserError, match="expected 00ff; removed"):
        fetch(server, "/good", tmp_path / "file", sha256="00ff")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("address", ["file:///etc/hosts", "ftp://host/file", "weights.pth", "http:",
                                     "data:,x", "http://[::1", "HTTPS", "//host/file"])
def test_only_http(address, tmp_path):
    with pytest.raises(UserError, match="http"):
        download(address, tmp_path / "file")


def test_nobody_answers(tmp_path):
    with pytest.raises(UserError, match="other means"):
        download("http://127.0.0.1:9/file", tmp_path / "file", attempts=1)


def test_command_fetches_then_converts(server, tmp_path, monkeypatch):
    """What arrives here is no checkpoint: refused, but kept as the download it is."""
    monkeypatch.chdir(tmp_path)
    port = server.server_address[1]
    monkeypatch.setattr(command, "published_for", lambda config, family: Published(
        config, "ppdet", "model.pdparams", f"http://127.0.0.1:{port}/good", 30.0))
    with pytest.raises(ConversionError, match="is no checkpoint.*delete it"):
        command.main(["--config", "2", "--download"])
    assert (tmp_path / "weights" / "published" / "model.pdparams").read_bytes() == CONTENT
    assert len(list((tmp_path / "weights").rglob("*.*"))) == 1


class Versions(BaseHTTPRequestHandler):
    """Has another file after its first answer, which breaks off.

    The path says what it tells about versions: /etag, /date, /nothing, or /blind, where it gives
    the rest of the new file whatever If-Range asks, with its tag.
    """

    def log_message(self, *_):
        pass

    def do_GET(self):  # noqa: N802
        number = len(self.server.log)
        self.server.log.append(self.headers.get("If-Range"))
        content, tag = bytes([65 + min(number, 1)]) * 3000, f'"v{min(number, 1)}"'
        start = int((self.headers.get("Range") or "bytes=0-")[6:-1])
        if self.path != "/blind" and self.headers.get("If-Range") != tag:
            start = 0
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-2999/3000")
        if self.path in ("/etag", "/blind"):
            self.send_header("ETag", tag)
        elif self.path == "/date":
            self.send_header("Last-Modified", f"Sat, 28 Nov 2026 10:00:0{min(number, 1)} GMT")
        self.send_header("Content-Length", str(3000 - start))
        self.end_headers()
        self.wfile.write(content[start:2000 if number == 0 else 3000])


@pytest.mark.parametrize("path", ["/etag", "/date", "/nothing", "/blind"])
@pytest.mark.parametrize("runs", [1, 2])
def test_never_a_mixture_of_two_versions(path, runs, server, tmp_path):
    server.RequestHandlerClass = Versions
    if runs == 2:                                        # the second continues the first
        with pytest.raises(UserError, match="2000 bytes are kept"):
            fetch(server, path, tmp_path / "file", attempts=1)
    fetch(server, path, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"B" * 3000
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert (server.log[1] is None) == (path == "/nothing")


class Raw:
    """A server that sends `head` and then `body` again and again, with a pause before each byte
    of the head (`drip`) and before each body."""

    def __init__(self, head, body=b"", drip=0.0, pause=0.0):
        self.settings = head, body, drip, pause
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.socket.getsockname()[1]}/file"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.answer, args=(connection,), daemon=True).start()

    def answer(self, connection):
        head, body, drip, pause = self.settings
        try:
            with connection:
                connection.recv(65536)
                pieces = [bytes([byte]) for byte in head] if drip else [head]
                for piece in pieces:
                    time.sleep(drip)
                    connection.sendall(piece)
                while body:
                    time.sleep(pause)
                    connection.sendall(body)
        except OSError:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


OK = b"HTTP/1.1 200 OK\r\n"
LIES = {
    "length of no digits": OK + b"Content-Length: abc\r\n\r\n",
    "length beyond reason": OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\nabc",
    "length 2^62": OK + b"Content-Length: 4611686018427387904\r\n\r\nabc",
    "negative length": OK + b"Content-Length: -5\r\n\r\n",
    "digits that are none": OK + "Content-Length: \xb2\xb2\r\n\r\n".encode("latin1"),
    "chunk of no size": OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc",
    "chunk without an end": OK + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc",
    "negative chunk": OK + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nabc",
    "no http": b"SSH-2.0-OpenSSH\r\n", "nothing": b"", "status": b"HTTP/1.1 banana OK\r\n\r\n",
    "status 999": b"HTTP/1.1 999 x\r\n\r\n", "status 204": b"HTTP/1.1 204 x\r\n\r\n",
    "partial": b"HTTP/1.1 206 x\r\nContent-Range: bytes banana/\xb2\r\n\r\nabc",
    "many headers": OK + b"A: b\r\n" * 200 + b"\r\n",
    "long header": OK + b"A" * 70000 + b"\r\n\r\n",
    "compressed": OK + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
    "to ftp": b"HTTP/1.1 302 x\r\nLocation: ftp://127.0.0.1/x\r\n\r\n",
    "to a file": b"HTTP/1.1 302 x\r\nLocation: file:///etc/hosts\r\n\r\n",
    "to nowhere": b"HTTP/1.1 302 x\r\nLocation: http://[::1\r\n\r\n",
    "to a space": b"HTTP/1.1 302 x\r\nLocation: http://a b:c/\r\n\r\n",
    "to a long name": b"HTTP/1.1 302 x\r\nLocation: http://" + b"a" * 300 + b"/\r\n\r\n",
    "to itself": b"HTTP/1.1 302 x\r\nLocation: /file\r\n\r\n",
    "escapes": b"HTTP/1.1 404 \x1b[2J\x1b]0;x\x07 written: all is well\r\n\r\n"}


@pytest.mark.parametrize("name", LIES)
def test_lies(name, tmp_path):
    with Raw(LIES[name]) as server:
        for get in (lambda: download(server.address, tmp_path / "f", attempts=2, pause=0),
                    lambda: downloads.fetch(server.address)):
            with pytest.raises(UserError) as error:
                get()
            assert str(error.value).isprintable() and len(str(error.value)) < 600
    assert not (tmp_path / "f").exists()


@pytest.mark.parametrize("body", [b"x" * 10_000])
@pytest.mark.parametrize("head", [OK + b"\r\n", OK + b"Content-Length: 3000000\r\n\r\n",
                                  OK + b"Transfer-Encoding: chunked\r\n\r\n"])
def test_no_end(head, body, tmp_path):
    if b"chunked" in head:
        body = b"2710\r\n" + body + b"\r\n"
    with Raw(head, body) as server:
        with pytest.raises(UserError, match="has more than 1 MiB"):
            download(server.address, tmp_path / "f", limit=1 << 20)
        with pytest.raises(UserError, match="has more than 1 MiB"):
            downloads.fetch(server.address, limit=1 << 20)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("head, drip", [
    (OK + b"\r\n", 0), (b"", 0), (OK + b"A: b\r\n" * 90 + b"\r\n", 0.05)])
def test_slow_servers_are_left(head, drip, tmp_path, monkeypatch):
    """A byte now and then, silence, and headers that drip: each could go on for ever."""
    monkeypatch.setattr(downloads, "PATIENCE", 1)
    started = time.monotonic()
    with Raw(head, b"x", drip, 0.05 if head else 60) as server:
        with pytest.raises(UserError, match="slow|silent"):
            download(server.address, tmp_path / "f", attempts=1)
        with pytest.raises(UserError, match="slow|silent"):
            downloads.fetch(server.address, seconds=0.5)
    assert time.monotonic() - started < 20


def test_fetch(server):
    address = f"http://127.0.0.1:{server.server_address[1]}"
    assert downloads.fetch(f"{address}/redirect") == CONTENT
    with pytest.raises(UserError, match="404"):
        downloads.fetch(f"{address}/missing")
    with pytest.raises(UserError, match="has more than 0 MiB"):
        downloads.fetch(f"{address}/good", limit=1000)
    with pytest.raises(UserError, match="ended after"):
        downloads.fetch(f"{address}/lies")


def test_many_downloads_of_one_file(server, tmp_path):
    errors = []

    def one():
        try:
            fetch(server, "/good", tmp_path / "file")
        except UserError as error:
            errors.append(error)

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and (tmp_path / "file").read_bytes() == CONTENT
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


CHILD = """
import resource, sys
from tools import download
download.PATIENCE = 60
if len(sys.argv) > 3:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
try:
    download.download(sys.argv[1], sys.argv[2], attempts=1)
except download.UserError as error:
    sys.exit(f"error: {error}")
"""


def child(*arguments):
    return subprocess.Popen([sys.executable, "-c", CHILD, *map(str, arguments)],
                            stderr=subprocess.PIPE, text=True)


def test_killed_and_continued(server, tmp_path):
    tag = b'ETag: "a"\r\n'
    with Raw(OK + tag + b"Content-Length: 10000000\r\n\r\n", CONTENT[:2000], pause=0.05) as slow:
        process = child(slow.address, tmp_path / "file")
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            time.sleep(0.05)
            if (tmp_path / "file.part").exists() and (tmp_path / "file.part").stat().st_size:
                break
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["file.part", "file.part.json"]
    fetch(server, "/good", tmp_path / "file")            # another server: begins again
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_full_disk(server, tmp_path):
    """A limit on the size of files stands for it."""
    (tmp_path / "file").write_bytes(b"before")
    address = f"http://127.0.0.1:{server.server_address[1]}/good"
    process = child(address, tmp_path / "file", 100_000)
    _, message = process.communicate(timeout=120)
    assert process.returncode == 1 and "cannot write" in message and "Traceback" not in message
    assert (tmp_path / "file").read_bytes() == b"before"


def test_disk_fills_while_the_partial_file_grows(server, tmp_path, monkeypatch):
    def full(self, chunk):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tools.partial_file.Partial.write", full)
    with pytest.raises(UserError, match="cannot write.*No space"):
        fetch(server, "/good", tmp_path / "file")
    assert not (tmp_path / "file").exists()


def test_progress_in_a_log(server, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("tools.progress.LINE_EVERY", 0)
    fetch(server, "/good", tmp_path / "file")
    assert f"file: {len(CONTENT)} of {len(CONTENT)} bytes (100 %)" in capsys.readouterr().err
