"""What a command line names: every kind of input, names that differ, and what is left out."""
import io
import os
import socket
import sys

import pytest

from tools.errors import UserError
from tools.inference.inputs import each_image, find_inputs, is_endless, is_one_image


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """in/{a.jpg b.PNG clip.mp4 notes.md sub/a.jpg sub/c.webp}, list.txt; the current folder."""
    for name in ("in/a.jpg", "in/b.PNG", "in/clip.mp4", "in/notes.md", "in/sub/a.jpg",
                 "in/sub/c.webp", "more/a.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(inputs):
    return [name for _, name in inputs.images], [name for _, name in inputs.videos]


@pytest.mark.parametrize("sources, images, videos", [
    (["in/a.jpg"], ["a.jpg"], []),
    (["in/b.PNG", "in/a.jpg"], ["b.PNG", "a.jpg"], []),                   # the order given
    (["in/a.jpg", "more/a.jpg", "in/sub/a.jpg"], ["a.jpg", "more/a.jpg", "sub/a.jpg"], []),
    (["in/a.jpg", "./in/../in/a.jpg", "in/*.jpg"], ["a.jpg"], []),        # once
    (["in"], ["a.jpg", "b.PNG"], ["clip.mp4"]),
    (["in/"], ["a.jpg", "b.PNG"], ["clip.mp4"]),
    (["in/**/*.jpg"], ["a.jpg", "sub/a.jpg"], []),
    (["in/*"], ["a.jpg", "b.PNG"], ["clip.mp4"]),
    (["in/clip.mp4", "in/a.jpg"], ["a.jpg"], ["clip.mp4"]),
    (["https://host/x/photo.jpg?w=3", "http://host/clip.mp4"], ["photo.jpg"], ["clip.mp4"]),
    (["https://host/x/photo.jpg", "https://other/photo.jpg"], ["photo.jpg", "photo.2.jpg"], []),
    (["https://host"], ["host"], []), (["https://host/%2e%2e/a%2fb.jpg"], ["b.jpg"], []),
    (["0"], [], ["camera0.mp4"]), (["/dev/video1"], [], ["camera1.mp4"]),
    (["rtsp://host:554/live"], [], ["live.mp4"]), (["list.txt"], ["a.jpg", "a.2.jpg"], []),
    (["notes.raw"], ["notes.raw"], [])])
def test_kinds_of_inputs(folder, sources, images, videos):
    (folder / "notes.raw").write_bytes(b"x")
    (folder / "list.txt").write_bytes("\ufeff# photos\r\nin/a.jpg\r\n\r\nhttps://host/a.jpg\r\n"
                                      .encode())
    assert names(find_inputs(sources)) == (images, videos)


def test_sub_folders_on_request(folder):
    plain, deep = find_inputs(["in"]), find_inputs(["in"], recursive=True)
    assert "2 images in the sub-folders of 'in' are left out: --recursive" in plain.notes[0]
    assert names(deep)[0] == ["a.jpg", "b.PNG", "sub/a.jpg", "sub/c.webp"]
    assert deep.notes[0] == "left out: 1 .md" and "supported are images (.bmp" in deep.notes[1]
    with pytest.raises(UserError, match="--recursive takes them"):
        (folder / "outer").mkdir()
        (folder / "more").rename(folder / "outer/more")
        find_inputs(["outer"])


def test_names_from_stdin_and_beside_a_list(folder, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("in/a.jpg\nmore/a.jpg\n"))
    assert names(find_inputs(["-", "in/b.PNG"]))[0] == ["a.jpg", "more/a.jpg", "b.PNG"]
    monkeypatch.setattr(sys, "stdin", io.StringIO("in/a.jpg\0in/b.PNG\0"))        # find -print0
    assert names(find_inputs(["-"]))[0] == ["a.jpg", "b.PNG"]
    (folder / "in/list.txt").write_text("b.PNG\nlist.txt\nsub/*.webp\nsub\n")
    found = find_inputs(["in/list.txt"])
    assert names(found)[0] == ["b.PNG", "c.webp", "a.jpg"] and found.lists == ["in/list.txt"]


def test_what_is_missing_is_named_and_the_rest_is_done(folder):
    (folder / "in/notes.pdf").write_bytes(b"%PDF")
    found = find_inputs(["absent.jpg", "in/a.jpg", "no/*.png", "in/notes.pdf"])
    assert names(found)[0] == ["a.jpg"]
    assert found.problems == ["'absent.jpg' does not exist", "no images in 'no/*.png'",
                              "'in/notes.pdf' is no image"]
    for text in ("videos (", "folders", "patterns", ".txt list", "stdin", "addresses", "camera",
                 "rtsp://"):
        assert text in found.notes[-1]


@pytest.mark.parametrize("source, message", [
    ("absent", "'absent' does not exist"), ("*.jpg", "no images in"), ("empty", "no images in"),
    ("a.pdf", "'a.pdf' is no image; supported are images"), ("bad.txt", "cannot be read as a list"),
    ("empty.txt", "no images in"), ("", "'' does not exist"),
    ("a\x1bJ", r"'a\\x1bJ' does not")])
def test_nothing_is_an_error(folder, source, message):
    (folder / "empty").mkdir()
    (folder / "a.pdf").write_bytes(b"%PDF")
    (folder / "bad.txt").write_bytes(b"\xff\xfe\x00")
    (folder / "empty.txt").write_bytes(b"")
    with pytest.raises(UserError, match=message):
        find_inputs([source])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_pipes_sockets_and_devices_are_skipped_by_name(folder):
    os.mkfifo(folder / "in/pipe.jpg")
    (folder / "in/loose.jpg").symlink_to("nowhere")
    (folder / "in/loop.jpg").symlink_to("loop.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "in/socket.png"))
        found = find_inputs(["in", "/dev/null", "in/pipe.jpg"], exclude="in/out")
    assert names(found) == (["a.jpg", "b.PNG"], ["clip.mp4"])
    said = " ".join(found.problems)
    for text in ("'in/pipe.jpg' is a named pipe", "'in/socket.png' is a socket",
                 "'/dev/null' is a device", "only regular files"):
        assert text in said


def test_results_of_an_earlier_run_are_no_input(folder):
    assert names(find_inputs(["in"], True, exclude="in/sub"))[0] == ["a.jpg", "b.PNG"]
    assert names(find_inputs(["in/*/*"], exclude="in/other"))[0] == ["sub/a.jpg", "sub/c.webp"]


def test_from_python(folder):
    for one in ("in/a.jpg", folder / "in/a.jpg", "absent.jpg", b"x", None, "https://host/a.jpg"):
        assert is_one_image(one)
    for many in ("in", folder, "in/*.jpg", "in/clip.mp4", 0, [], (), iter([]), "list.txt", "0",
                 "rtsp://host/x", "https://host/x.mp4"):
        assert not is_one_image(many), many
    assert is_endless("in/clip.mp4") and is_endless(0) and not is_endless("in")
    assert list(each_image(["in/a.jpg", b"x", "more", "in/sub/*.webp"])) == [
        "in/a.jpg", b"x", "more/a.jpg", "in/sub/c.webp"]
    assert next(each_image(iter([b"1"]))) == b"1"
