"""Kept exports: the key follows from what they depend on; damaged ones are made again, and said."""
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from config import get_config
from tests.builders import TINY, realistic
from tests.test_engines import ANY, KINDS
from tools.engines import cache, code
from tools.engines.check import flat
from tools.engines.open import open_engine
from tools.errors import UserError
from tools.weights.weights_file import meta_of, save_weights, to_arrays

IMAGES = np.random.default_rng(0).normal(size=(1, 3, 64, 96)).astype(np.float32)


@pytest.fixture(scope="module")
def network():
    """(config, model) of a tiny network."""
    cfg = get_config("quickstart", **TINY, num_classes=2)
    return cfg, realistic(cfg)


@pytest.fixture
def opened(network, tmp_path, monkeypatch):
    """opened(engine name) -> the engine, for weights in a folder of their own."""
    cfg, model = network
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    path = str(tmp_path / "own.pdparams")
    save_weights(path, to_arrays(model.state_dict()), meta_of(cfg, ["circle", "square"]))
    return lambda name: open_engine(name, "cpu", path, cfg, lambda: model)[0]


def truncate(path):
    os.truncate(path, path.stat().st_size // 2)


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


def empty(path):
    path.write_bytes(b"")


def damaged_and_opened(name, damage, path, opened, capsys):
    """Of the export in `path` one file gets damaged."""
    expected = flat(opened(name)(IMAGES))
    damage(path())
    capsys.readouterr()
    outputs = flat(opened(name)(IMAGES))
    told = capsys.readouterr().err
    assert "is damaged (" in told and "exporting" in told
    for value, before in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(value, before, rtol=1e-4, atol=1e-5)
    opened(name)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("damage", [truncate, flip, empty, Path.unlink], ids=lambda f: f.__name__)
def test_a_damaged_export_is_made_again(damage, number, opened, tmp_path, capsys):
    damaged_and_opened(ANY, damage, lambda: files(tmp_path)[number], opened, capsys)


@pytest.mark.parametrize("name", KINDS)
def test_so_it_is_with_every_engine(name, opened, tmp_path, capsys):
    damaged_and_opened(name, flip, lambda: files(tmp_path)[-1], opened, capsys)


def files(folder):
    return sorted((folder / "own.pdparams.engines").glob("*/*"), reverse=True)


@pytest.mark.parametrize("text", ["[]", "{}", "null", "[" * 100000, '{"a": 1}', "\x80"])
def test_checksums_that_are_none(text, opened, tmp_path, capsys):
    opened(ANY)
    checksums, = (tmp_path / "own.pdparams.engines").glob("*/" + cache.CHECKSUMS)
    checksums.write_bytes(text.encode("latin-1"))
    opened(ANY)
    assert "is damaged (" in capsys.readouterr().err


def test_a_file_too_many_is_damage_too(opened, tmp_path, capsys):
    opened(ANY)
    folder, = (tmp_path / "own.pdparams.engines").iterdir()
    (folder / "network.extra").write_text("")
    opened(ANY)
    assert "'network.extra' has changed" in capsys.readouterr().err


def test_what_a_killed_process_left_is_removed_in_time(opened, tmp_path):
    place = tmp_path / "own.pdparams.engines"
    old, young = (place / f".{ANY}-1-a.{digit * 32}.tmp" for digit in "12")
    for path in (old, young):
        path.mkdir(parents=True)
    os.utime(old, (1e9, 1e9))
    (place / f"{ANY}-3.0-flat.json").write_text("an export of an earlier version")
    opened(ANY)
    left = {path.name for path in place.iterdir()}
    assert young.name in left and old.name not in left and f"{ANY}-3.0-flat.json" not in left


@pytest.mark.parametrize("name", [ANY])
def test_no_place_to_write(name, opened, tmp_path, monkeypatch, capsys):
    """Folder, user cache and TMPDIR: one sentence from the engine, dygraph with auto."""
    (tmp_path / "own.pdparams.engines").write_text("a file where the folder should be")
    (tmp_path / "user").write_text("a file where the folder should be")
    assert opened(name)(IMAGES)["mask_features"].shape == (1, 8, 16, 24)
    assert "could not be kept and will be made again" in capsys.readouterr().err

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(cache.tempfile, "mkdtemp", full)
    with pytest.raises(UserError, match="no place for the export: .*No space left on device"):
        opened(name)
    assert opened("auto").name == "dygraph"


@pytest.mark.parametrize("name", [ANY])
def test_a_disk_that_fills_up_while_writing(name, opened, tmp_path, monkeypatch, capsys):
    """The first file of the first place fails: the export goes to the second."""
    monkeypatch.setattr(cache, "sha256_of", guarded(cache.sha256_of))
    opened(name)
    monkeypatch.undo()
    assert "cannot write" in capsys.readouterr().err


def test_places_that_one_may_not_even_look_into(tmp_path, monkeypatch, capsys, opened):
    """As of another user; and no home at all, as in a container with a user of its own."""
    def forbidden(*args, **kwargs):
        raise PermissionError(13, "Permission denied")
    monkeypatch.setattr(os, "stat", forbidden)
    assert cache.find(tmp_path / "own.pdparams", "ncnn-1") is None
    monkeypatch.undo()
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert [place.name for place in cache.cache_folders(tmp_path / "a")] == ["a.engines"]
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ("x" * 300)))
    assert opened(ANY).name == ANY


def test_a_damaged_export_is_no_matter_where_there_is_a_whole_one(opened, tmp_path, monkeypatch,
                                                                  capsys):
    """As in a folder that one may not write: the whole one is in the user's cache."""
    opened(ANY)
    shutil.copytree(tmp_path / "own.pdparams.engines", cache.cache_folders(
        tmp_path / "own.pdparams")[1])
    empty(files(tmp_path)[0])
    capsys.readouterr()
    opened(ANY)
    assert capsys.readouterr().err == ""


def guarded(call):
    """`call`, which fails once like the writing of a file on a full disk."""
    failed = []

    def wrapper(path):
        if Path(path).name.startswith("network") and not failed:
            failed.append(path)
            raise OSError(28, "No space left on device")
        return call(path)
    return wrapper


def copy_of_the_code(folder):
    for package in ("model", "tools/engines"):
        shutil.copytree(code.ROOT / package, folder / package,
                        ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.mark.parametrize("module, path, changes", [
    ("int8", "tools/engines/int8.py", True), ("int8", "tools/engines/onnx_graph.py", True),
    ("int8", "tools/engines/openvino.py", True), ("openvino", "tools/engines/int8.py", False),
    ("onnxruntime", "tools/engines/onnx_graph.py", True),
    ("openvino", "tools/engines/onnx_graph.py", True),
    ("ncnn", "tools/engines/onnx_graph.py", False), ("ncnn", "tools/engines/ncnn_graph.py", True),
    ("ncnn", "tools/engines/network.py", True), ("ncnn", "model/head.py", True),
    ("ncnn", "model/losses.py", False), ("ncnn", "model/decode.py", False),
    ("paddle_inference", "tools/engines/paddle_graph.py", True)])
def test_the_key_follows_from_the_code_of_the_writer(module, path, changes, tmp_path):
    root, modules = copy_of_the_code(tmp_path), (f"tools.engines.{module}", "model.solov2")
    before = code.code_hash(*modules, root=root)
    source = (root / path).read_text()
    (root / path).write_text(source + "\nNOTHING_NEW = 1\n")
    assert (code.code_hash(*modules, root=root) != before) == changes
    (root / path).write_text('"""Another docstring."""\n' + source.partition('"""\n')[2]
                             + "\n# a comment\n")
    assert code.code_hash(*modules, root=root) == before


def test_the_key_follows_from_weights_and_settings(network, tmp_path):
    cfg, _ = network
    weights = tmp_path / "a"
    weights.write_bytes(b"weights")
    first = cache.export_key(weights, cfg, "tools.engines.ncnn")
    assert cache.export_key(weights, cfg.replace(seed=7), "tools.engines.ncnn") == first
    assert cache.export_key(weights, cfg.replace(num_classes=3), "tools.engines.ncnn") != first
    weights.write_bytes(b"Weights")
    assert cache.export_key(weights, cfg, "tools.engines.ncnn") != first
