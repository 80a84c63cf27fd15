"""Sources that are damaged, foreign or mean harm: a sentence, or named and skipped."""
import base64
import io
import json
import os
import subprocess
import sys
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from tests.builders import ROOT
from tests.importing_data import Imported, photo, write
from tools.data.coco_json import read_coco_columns
from tools.data.importing.bitmaps import png_mask
from tools.data.importing.flat_yaml import read_yaml
from tools.data.importing.formats import FORMATS
from tools.data.importing.label_studio import brush_mask
from tools.data.importing.safe_xml import parse_xml
from tools.data.importing.source import Source, decoded, parts_of, split_of, split_of_file
from tools.errors import UserError

POINTS = [[10, 10], [40, 10], [40, 40]]


def labelme(name="a.jpg", label="cat", **more):
    return {"shapes": [{"label": label, "points": POINTS, "shape_type": "polygon",
                        "group_id": None, **more}],
            "imagePath": name, "imageData": None, "imageHeight": 60, "imageWidth": 80}


def one_image(tmp_path, **more):
    photo(tmp_path / "in" / "a.jpg")
    write(tmp_path / "in" / "a.json", labelme(**more))
    return tmp_path / "in"


@pytest.mark.parametrize("content, text", [
    ({}, "has no files in it"), ({"a.txt": "hello"}, "nothing in .* looks like annotations"),
    ({"a.json": "[]"}, "docs/own_data.md"), ({"a.json": "{"}, "looks like annotations"),
    ({"a.xml": "<annotations><image"}, "is not XML"),
    ({"a.json": "[" * 100_000}, "looks like annotations")])
def test_nothing_to_import_is_one_sentence(tmp_path, content, text):
    (tmp_path / "in").mkdir()
    for name, body in content.items():
        write(tmp_path / "in" / name, body)
    with pytest.raises(UserError, match=text):
        Imported(tmp_path / "in", tmp_path / "out")


def test_command_line(tmp_path):
    def run(*arguments):
        done = subprocess.run([sys.executable, "-m", "tools.data.importing", *map(str, arguments)],
                              cwd=ROOT, capture_output=True, text=True, timeout=120,
                              env={**os.environ, "PYTHONIOENCODING": "ascii"})
        return done.returncode, done.stdout + done.stderr

    one_image(tmp_path, label="\u732b\x1b[2J")
    code, text = run(tmp_path / "in", "--output", tmp_path / "out")
    assert code == 0 and "format: labelme (json files" in text and "\x1b" not in text
    assert f"train_json={tmp_path}/out/train.json train_images={tmp_path}/in val_json=" in text
    code, text = run(tmp_path / "gone", "--output", tmp_path / "out")
    assert code == 2 and text.startswith("error: ") and text.count("\n") == 1
    code, text = run(tmp_path / "in", "--output", tmp_path / "out", "--format", "cvat")
    assert code == 2 and text.splitlines()[-1].startswith("error: no image could be used")


def test_the_reader_of_coco_json_names_the_command(tmp_path):
    path = write(tmp_path / "a.json", labelme())
    for wrong in (path, tmp_path, write(tmp_path / "data.yaml", "names: [a]")):
        with pytest.raises(UserError, match="python -m tools.data.importing"):
            read_coco_columns(wrong)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_encodings(tmp_path, encoding):
    root = one_image(tmp_path)
    label = "\u77f3\u69b4\u679c"                       # no UTF-8 when it is in GB 18030
    text = json.dumps(labelme(label=label), ensure_ascii=False, indent=1).replace("\n", "\r\n")
    (root / "a.json").write_bytes(text.encode(encoding))
    assert Imported(root, tmp_path / "out").objects()[0][0] == label


def test_names_of_any_script_with_spaces_and_percent(tmp_path):
    names = ["\u5199\u771f 1.jpg", "a%20b.jpg", "caf\u00e9 & co.jpg", "[x](1).jpg", "#1.jpg"]
    for number, name in enumerate(names):
        photo(tmp_path / "in" / "my photos" / name, seed=number)
        write(tmp_path / "in" / "my labels" / f"{number}.json",
              labelme(name if number else "%E5%86%99%E7%9C%9F%201.jpg"))
    found = Imported(tmp_path / "in", tmp_path / "out")
    assert found.code == 0
    assert sorted(entry["file_name"] for entry in found.jsons["train"]["images"]) == sorted(names)


def test_links_in_a_circle_and_files_that_are_none(tmp_path):
    root = one_image(tmp_path)
    (root / "again").symlink_to(root)
    (root / "dangling.json").symlink_to(root / "nowhere")
    os.mkfifo(root / "pipe.json")
    assert Imported(root, tmp_path / "out").code == 0


def test_ambiguous_images_are_named(tmp_path):
    for folder in ("x", "y"):
        photo(tmp_path / "in" / folder / "a.jpg")
    write(tmp_path / "in" / "labels" / "a.json", labelme())
    write(tmp_path / "in" / "labels" / "b.json", labelme("y/a.jpg"))
    found = Imported(tmp_path / "in", tmp_path / "out")
    assert "1 images whose name fits several files" in found.problems
    assert [entry["file_name"] for entry in found.jsons["train"]["images"]] == ["a.jpg"]


def zipped(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def test_zip_files(tmp_path):
    picture, text = photo(tmp_path / "a.jpg").read_bytes(), json.dumps(labelme())
    path = zipped(tmp_path / "in.zip", {"set/a.jpg": picture, "set/a.json": text,
                                        "../evil.json": text, "/root.json": text})
    found = Imported(path, tmp_path / "out")
    assert found.code == 1 and "2 entries of the zip file that lead out" in found.problems
    assert not (tmp_path / "evil.json").exists() and len(found.objects()) == 1
    with pytest.raises(UserError, match="is there already"):
        Imported(path, tmp_path / "out")


def test_zip_bomb(tmp_path, monkeypatch):
    monkeypatch.setattr("tools.data.importing.zip_file.FREE_BYTES", 2**16)
    path = zipped(tmp_path / "in.zip", {"a.json": bytes(2**24)})
    with pytest.raises(UserError, match="would unpack to 16777216 bytes"):
        Imported(path, tmp_path / "out")


def test_damaged_zip(tmp_path):
    path = zipped(tmp_path / "in.zip", {"a.json": os.urandom(1000)})
    data = bytearray(path.read_bytes())
    data[60:80] = bytes(20)
    path.write_bytes(data)
    with pytest.raises(UserError, match="no zip file that can be read"):
        Imported(path, tmp_path / "out")


def png_bytes(size):
    """A PNG head that states a size, and no pixels."""
    sides = size[1].to_bytes(4, "big") + size[0].to_bytes(4, "big")
    head = b"IHDR" + sides + bytes([8, 0, 0, 0, 0])
    return (b"\x89PNG\r\n\x1a\n" + (13).to_bytes(4, "big") + head
            + zlib.crc32(head).to_bytes(4, "big"))


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n", png_bytes((2**31 - 1, 2**31 - 1)),
                                  png_bytes((10, 10)), bytes(range(90, 140))])
def test_damaged_pictures(data):
    with pytest.raises(ValueError, match="picture|pixels"):
        png_mask(data)


@pytest.mark.parametrize("rle", [[], [0] * 5, [255] * 40, list(range(200)), ["x"], None, [1e9]])
def test_damaged_brushes(rle):
    with pytest.raises((ValueError, TypeError, OverflowError)):
        brush_mask(rle, (6, 8))


@pytest.mark.parametrize("data", [b"", b"<a>", b"<a/><b/>", b"\xff\xfe<", b"<?xml version='1.0' "
                                  b"encoding='what'?><a/>", b"<!DOCTYPE a SYSTEM 'x'><a/>"])
def test_damaged_xml(data):
    with pytest.raises(UserError, match="x.xml"):
        parse_xml(data, "x.xml")


def test_small_functions():
    assert decoded("\ufeffa".encode("utf-16-le")) == "\ufeffa".encode("utf-16-le").decode("utf-16")
    assert parts_of("C:\\a\\..\\b c.jpg") == ["a", "..", "b c.jpg"]
    assert parts_of("s3://bucket/x/y.jpg") == ["x", "y.jpg"]
    assert [split_of(name) for name in ("train2017/a.jpg", "x/Valid/a", "strain/a", "train.jpg")] \
        == ["train", "val", "", ""]
    assert [split_of_file(name) for name in ("instances_val2017.json", "train/x.json",
                                             "trainval.json")] == ["val", "train", ""]


@pytest.mark.parametrize("text, expected", [
    ("names: [a, 'b, c', \"d\"]  # x", {"names": ["a", "b, c", "d"]}),
    ("names:\n    0: a\n    1: 'it''s'\ntrain: [x,\n y]", {"names": {"0": "a", "1": "it's"},
                                                           "train": ["x", "y"]}),
    ("names: {0: a, 1: b}\nnc: 2", {"names": {"0": "a", "1": "b"}, "nc": "2"}),
    ("train: a#b\n- x\n", {"train": ["x"]}), ("", {}), ("[[[[", {}), ("::::", {})])
def test_yaml(text, expected):
    assert read_yaml(text) == expected


def mutate(rng, value, depth=0):
    """A json value with something in it replaced by something of another kind."""
    if rng.random() < 0.03:
        return [None, True, -1, 1e308, "", "x" * 50, [], {}, [[]], {"a": 1}][rng.integers(10)]
    if isinstance(value, dict):
        return {key: mutate(rng, item, depth + 1) for key, item in value.items()
                if rng.random() > 0.02}
    if isinstance(value, list):
        return [mutate(rng, item, depth + 1) for item in value if rng.random() > 0.02]
    return value


SAMPLES = sorted(path for path in (ROOT / "tests" / "importing_samples").rglob("*.json"))


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.parts[-2] + "/" + path.name)
def test_any_value_may_be_of_another_kind(tmp_path, sample, capsys):
    """Twenty mutants of each sample: an import, or one sentence."""
    rng, content = np.random.default_rng(5), json.loads(sample.read_text())
    photo(tmp_path / "in" / "a.jpg", (36, 48))
    for _ in range(20):
        write(tmp_path / "in" / sample.name, mutate(rng, content))
        try:
            Imported(tmp_path / "in", tmp_path / "out")
        except UserError as error:
            assert "\n" not in str(error)


def test_each_format_stands_for_itself(tmp_path):
    """--format NAME on a source of another format: a sentence or nothing, never a traceback."""
    root = one_image(tmp_path)
    write(root / "b.xml", "<annotations/>")
    write(root / "c.csv", "a,b\n1,2\n")
    write(root / "d.txt", "1 2 3\n")
    image = Image.fromarray(np.zeros((60, 80), np.uint8))
    file = io.BytesIO()
    image.save(file, "png")
    (root / "masks").mkdir()
    (root / "masks" / "a.png").write_bytes(file.getvalue())
    assert Source(root).ending(".png") == ["masks/a.png"]
    for reader in FORMATS:
        try:
            Imported(root, tmp_path / "out", "--format", reader.NAME)
        except UserError as error:
            assert "\n" not in str(error)


def test_huge_base64_is_not_believed(tmp_path):
    text = base64.b64encode(png_bytes((60000, 60000))).decode()
    root = one_image(tmp_path, shape_type="mask", mask=text)
    with pytest.raises(UserError, match="1 objects whose mask is damaged"):
        Imported(root, tmp_path / "out")
