"""Which images an input stands for: a file, a folder, a pattern, awkward names, nothing."""
import pytest

from tools.errors import UserError
from tools.inference.sources import find_images


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def names_of(source, **kwargs):
    return [name for _, name in find_images(str(source), **kwargs)]


def test_folder_is_searched_to_the_bottom(tmp_path):
    touch(tmp_path, "b.JPG", "a.png", "sub/deep/c d.jpeg", "ünï.webp", "notes.txt", ".hidden.jpg",
          ".cache/e.jpg", "x[1].tif", "noext")
    assert names_of(tmp_path) == ["a.png", "b.JPG", "sub/deep/c d.jpeg", "x[1].tif", "ünï.webp"]
    assert all(path.startswith(str(tmp_path)) for path, _ in find_images(str(tmp_path)))


def test_one_file_of_any_name(tmp_path):
    touch(tmp_path, "a[0-9]*.jpg", "a1.jpg", "photo.raw")
    path = str(tmp_path / "a[0-9]*.jpg")
    assert find_images(path) == [(path, "a[0-9]*.jpg")]
    assert names_of(tmp_path / "photo.raw") == ["photo.raw"]


def test_patterns(tmp_path):
    touch(tmp_path, "in/a.jpg", "in/b.png", "in/sub/c.jpg", "in/d.txt", "in [1]/e.jpg",
          "in [1]/f.jpg")
    assert names_of(tmp_path / "in/*") == ["a.jpg", "b.png"]
    assert names_of(tmp_path / "in/**/*.jpg") == ["a.jpg", "sub/c.jpg"]
    assert names_of(tmp_path / "*/[ae].jpg") == ["in [1]/e.jpg", "in/a.jpg"]
    assert names_of(tmp_path / "in [1]/*.jpg") == ["e.jpg", "f.jpg"]
    assert names_of(tmp_path / "in [1]") == ["e.jpg", "f.jpg"]


def test_earlier_results_are_not_input(tmp_path):
    touch(tmp_path, "a.jpg", "res/a.jpg")
    assert names_of(tmp_path, exclude=str(tmp_path / "res")) == ["a.jpg"]
    assert names_of(tmp_path / "res", exclude=str(tmp_path)) == ["a.jpg"]
    assert names_of(tmp_path / "res", exclude=str(tmp_path / "res")) == ["a.jpg"]


def test_relative_paths(tmp_path, monkeypatch):
    touch(tmp_path, "in/a.jpg", "b.png")
    monkeypatch.chdir(tmp_path)
    assert names_of("in") == names_of("in/") == names_of("./in/*.jpg") == ["a.jpg"]
    assert names_of(".") == ["b.png", "in/a.jpg"] and names_of("*.png") == ["b.png"]


@pytest.mark.parametrize("source, message", [("absent", "'.*absent' does not exist"),
                                             ("absent.jpg", "does not exist"),
                                             ("*.jpg", r"no images in '.*\*.jpg'"),
                                             ("", "looked for .bmp .*.jpg")])
def test_no_images(tmp_path, source, message):
    touch(tmp_path, "notes.txt")
    with pytest.raises(UserError, match=message):
        find_images(str(tmp_path / source))
