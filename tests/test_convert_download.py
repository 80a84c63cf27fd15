"""Fetching from a local server that breaks off, redirects, ignores ranges and lies."""
import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from convert import __main__ as command
from convert.download import download
from convert.published import Published
from convert.rename import ConversionError

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
    thread = threading.Thread(target=server.serve_forever, daemon=True)
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
    fetch(server, "/good", tmp_path / "file")
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
    with pytest.raises(ConversionError, match=hint):
        fetch(server, path, tmp_path / "file", attempts=2)
    assert not (tmp_path / "file").exists()


def test_wrong_checksum(server, tmp_path):
    with pytest.raises(ConversionError, match="expected 00ff; removed"):
        fetch(server, "/good", tmp_path / "file", sha256="00ff")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("address", ["file:///etc/hosts", "ftp://host/file", "weights.pth"])
def test_only_http(address, tmp_path):
    with pytest.raises(ConversionError, match="http"):
        download(address, tmp_path / "file")


def test_nobody_answers(tmp_path):
    with pytest.raises(ConversionError, match="other means"):
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
