"""Small files made to hang the reader, to fill the memory or to write on the terminal.

Every kind in many places; each in a child process, refused in a second and a few times its size.
"""
import pickle
import struct
import sys
import zipfile

import numpy as np
import pytest

from convert.converter import convert
from convert.readers import read_checkpoint
from convert.writers import named, text, value, write_pth
from tests.checkpoint_files import lod_record, write_variables
from tests.test_convert_readers import storage, tensor_pickle, zip_of
from tools.weights.weights_file import read_weights

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
if sys.platform != "win32":
    from tests.fuzz.sandbox import run_all

SECONDS, TIMES, ROOM = 2.0, 10, 40 << 20                 # generous: the machine may be busy
ARRAY = (named("numpy.core.multiarray", "_reconstruct") + named("numpy", "ndarray")
         + b"K\0\x85C\1b\x87R")
DTYPE = named("numpy", "dtype") + text("f4") + b"K\0K\1\x87R"
REST = b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"
ORDERED = DTYPE + b"(K\3" + text("<") + REST


def deep(kind=b"\x86", levels=60):
    """A tuple (or list) that holds itself twice per level, at memo 255; leaves it on the stack."""
    make = (b")" if kind == b"\x86" else b"]") + b"r" + struct.pack("<I", 1000) + b"0"
    for level in range(1000, 1000 + levels):
        one = b"j" + struct.pack("<I", level)
        twice = one + one + b"\x86" if kind == b"\x86" else b"](" + one + one + b"e"
        make += twice + b"r" + struct.pack("<I", level + 1) + b"0"
    return make + b"j" + struct.pack("<I", 1000 + levels)


def entry(content):
    return b"\x80\x02}" + text("x") + content + b"s."


def array_state(shape=b"K\1\x85", dtype=ORDERED, fortran=b"\x89", raw=b"C\4abcd"):
    return ARRAY + b"(K\1" + shape + dtype + fortran + raw + b"tb"


def hangs(value):
    """Pickles with a value of ours wherever a value is looked at."""
    frombuffer = named("numpy.core.numeric", "_frombuffer")
    return {
        "dtype": entry(named("numpy", "dtype") + value + b"K\0K\1\x87R"),
        "byte order": entry(DTYPE + b"(K\3" + value + REST),
        "dtype state": entry(DTYPE + value + b"b"),
        "codec": entry(named("_codecs", "encode") + text("a") + value + b"\x86R"),
        "encoded": entry(named("_codecs", "encode") + value + text("latin1") + b"\x86R"),
        "shape": entry(array_state(shape=value)), "side": entry(array_state(shape=value + b"\x85")),
        "array type": entry(array_state(dtype=value)),
        "array order": entry(array_state(fortran=value)), "raw": entry(array_state(raw=value)),
        "array state": entry(ARRAY + value + b"b"),
        "frombuffer order": entry(frombuffer + b"(C\4abcd" + ORDERED + b"K\1\x85" + value + b"tR"),
        "frombuffer shape": entry(frombuffer + b"(C\4abcd" + ORDERED + value + text("C") + b"tR"),
        "scalar": entry(named("numpy.core.multiarray", "scalar") + ORDERED + value + b"\x86R"),
        "key": b"\x80\x02}" + value + b"Ns.", "ordered dict": entry(
            named("collections", "OrderedDict") + value + b"\x85R"),
        "key of an ordered dict": entry(named("collections", "OrderedDict") + b"](" + value
                                        + b"N\x86e\x85R"),
        "tuple": entry(named("builtins", "tuple") + value + b"\x85R"),
        "module": entry(value + text("x") + b"\x93"), "name": entry(text("os") + value + b"\x93"),
        "arguments": entry(named("numpy", "dtype") + value + b"R"),
        "callable": entry(value + b")R"),
        "target of a state": entry(value + b"Nb"), "persistent id": entry(value + b"Q"),
        "result": entry(value), "meta": b"\x80\x02}" + text("meta@@") + value + b"s."}


def torch_files(value):
    """The same for data.pkl of a zip, and for the five pickles of the older layout."""
    call = named("torch._utils", "_rebuild_tensor_v2")
    pickles = {
        "offset": tensor_pickle(storage(), offset=value),
        "shape": entry(call + b"(" + storage() + b"K\0" + value + b"K\1\x85\x89}tR"),
        "strides": entry(call + b"(" + storage() + b"K\0K\1\x85" + value + b"\x89}tR"),
        "storage": entry(call + b"(" + value + b"K\0K\1\x85K\1\x85\x89}tR"),
        "kind of storage": entry(b"(" + text("storage") + value + text("0") + text("cpu")
                                 + b"K\1tQ"),
        "key of a storage": entry(b"(" + text("storage") + named("torch", "FloatStorage") + value
                                  + text("cpu") + b"K\1tQ"),
        "word storage": entry(b"(" + value + named("torch", "FloatStorage") + text("0")
                              + text("cpu") + b"K\1tQ"),
        "size of a storage": entry(b"(" + text("storage") + named("torch", "FloatStorage")
                                   + text("0") + text("cpu") + value + b"tQ"),
        "set": entry(named("builtins", "set") + value + b"\x85R")}
    return pickles


def legacy(position, value):
    """The five pickles with one of them replaced."""
    pickles = [pickle.dumps(head, 2) for head in
               (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, {"a": 1}, ["0"])]
    pickles[position] = value
    return b"".join(pickles) + bytes(64)


def check_file(path):
    """What `python -m convert` and --weights do with a file, without the network."""
    convert(read_checkpoint(path))


def assert_refused(paths, function=check_file):
    paths = list(paths)
    assert paths
    for path, outcome in run_all(function, paths, hang=60):
        size = path.stat().st_size
        assert outcome.kind == "refused", f"{path.name}: {outcome}"
        assert outcome.seconds < SECONDS + size / 5e6, f"{path.name}: {outcome}"
        assert outcome.peak < TIMES * size + ROOM, f"{path.name}: {outcome}"
        assert all(line.isprintable() for line in outcome.text.split("\n")), outcome
        assert "written: " not in [line[:9] for line in outcome.text.split("\n")]
        assert len(outcome.text) < 1000


def written(folder, files):
    """Paths of files of these contents, each padded so that it is no file too short to look at."""
    for name, content in files.items():
        path = folder / name.replace(" ", "-")
        path.write_bytes(content + bytes(max(0, 64 - len(content))))
        yield path


@pytest.mark.parametrize("kind", [b"\x86", b"]"], ids=["tuple", "list"])
def test_values_that_hold_themselves_twice(kind, tmp_path):
    files = list(written(tmp_path, hangs(deep(kind))))
    for name, content in torch_files(deep(kind)).items():
        path = tmp_path / f"{name}.pth".replace(" ", "-")
        zip_of(path, {"a/data.pkl": content, "a/data/0": bytes(12)})
        files.append(path)
    files += written(tmp_path, {f"legacy {i}": legacy(i, b"\x80\x02" + deep(kind) + b".")
                                for i in range(1, 5)})
    assert_refused(files)
    assert_refused([path for path in files if path.suffix != ".pth"], read_weights)


def recalled(value, before, each, times, after):
    """A large value in the memo, and something done with it again and again."""
    return (b"\x80\x02" + value + b"r" + struct.pack("<I", 7) + b"0}" + text("x") + before
            + each.replace(b"@", b"j" + struct.pack("<I", 7)) * times + after + b"s.")


def bombs():
    size = 300_000
    words = b"X" + struct.pack("<I", size) + b"a" * size
    wide = "é".encode() * (size // 2)
    raw = b"B" + struct.pack("<I", size) + bytes(size)
    items = b"](" + b"N" * 20_000 + b"e"
    two = b"](" + (text("k") + b"N\x86") * 20_000 + b"e"
    call = {name: named(*name.split("/")) for name in (
        "builtins/tuple", "builtins/bytes", "_codecs/encode", "collections/OrderedDict",
        "builtins/list", "builtins/set", "numpy/dtype")}
    listed = b"](", b"e"
    return {
        "views of bytes": recalled(raw, listed[0], b"@", 3000, listed[1]),
        "tuples of text": recalled(words, listed[0], call["builtins/tuple"] + b"@\x85R", 500,
                                   listed[1]),
        "tuples of bytes": recalled(raw, listed[0], call["builtins/tuple"] + b"@\x85R", 500,
                                    listed[1]),
        "tuples of a list": recalled(items, listed[0], call["builtins/tuple"] + b"@\x85R", 500,
                                     listed[1]),
        "ordered dicts": recalled(two, listed[0], call["collections/OrderedDict"] + b"@\x85R", 500,
                                  listed[1]),
        "encoded": recalled(words, listed[0], call["_codecs/encode"] + b"@" + text("latin1")
                            + b"\x86R", 500, listed[1]),
        "wide text": recalled(b"X" + struct.pack("<I", len(wide)) + wide, listed[0],
                              call["_codecs/encode"] + b"@" + text("latin1") + b"\x86R", 500,
                              listed[1]),
        "bytes of a list": recalled(items, listed[0], call["builtins/bytes"] + b"@\x85R", 500,
                                    listed[1]),
        "arrays": recalled(raw, listed[0], array_state(
            shape=b"J" + struct.pack("<i", size // 4) + b"\x85", raw=b"@"), 300, listed[1]),
        "empty lists": b"\x80\x02}" + text("x") + b"](" + b"]" * 400_000 + b"es.",
        "empty dicts": b"\x80\x02}" + text("x") + b"](" + b"}" * 400_000 + b"es.",
        "memo": b"\x80\x04}" + text("x") + b"N" + b"\x94" * 400_000 + b"s.",
        "marks": b"\x80\x02" + b"(" * 400_000 + b".",
        "one dict per key": b"\x80\x02}" + text("x") + b"](" + b"}NNs" * 100_000 + b"es."}


def test_bombs(tmp_path):
    files = list(written(tmp_path, bombs()))
    assert_refused(files)
    assert_refused(files, read_weights)


def test_endless_protocol(tmp_path):
    """A list of 3000 references to one text of 1 MB, where a number is expected."""
    words = b"X" + struct.pack("<I", 1 << 20) + b"a" * (1 << 20)
    many = b"\x80\x02" + words + b"q\1" + b"0](" + b"h\1" * 3000 + b"e."
    assert_refused(written(tmp_path, {f"p{i}": legacy(i, many) for i in range(1, 5)}))


SHAPES = [(0, 2**39), (2**39, 0), (2**63, 0), (0,) * 9, (2**20, 2**20, 0), (1,) * 40, (2**31 + 1,),
          (0, 2**41, 2**41), (2**62, 2, 0)]


def number(n):
    return b"\x8a" + bytes([len(n.to_bytes(9, "little"))]) + n.to_bytes(9, "little")


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_shapes_beyond_numpy(shape, tmp_path):
    sides = b"(" + b"".join(map(number, shape)) + b"t"
    zip_of(tmp_path / "z.pth", {"a/data.pkl": entry(
        named("torch._utils", "_rebuild_tensor_v2") + b"(" + storage() + b"K\0" + sides
        + b"(" + b"K\1" * len(shape) + b"t\x89}tR"), "a/data/0": bytes(12)})
    description = b"\x08\x05" + b"".join(b"\x10" + varint(side) for side in shape)
    record = struct.pack("<IQIi", 0, 0, 0, len(description)) + description
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "w").write_bytes(record)
    assert_refused([*written(tmp_path, {
        "array": entry(array_state(shape=sides, raw=b"C\0")),
        "frombuffer": entry(named("numpy.core.numeric", "_frombuffer") + b"(C\0" + ORDERED + sides
                            + text("C") + b"tR")}), tmp_path / "z.pth", tmp_path / "folder"])


def varint(n):
    return bytes([n & 127 | 128]) + varint(n >> 7) if n > 127 else bytes([n])


def test_zip_positions_beyond_the_file(tmp_path):
    """Every field of the directory, the end and the zip64 records with extreme numbers."""
    write_pth(tmp_path / "good", "model", {"w": np.zeros(3, np.float32)}, {})
    good = (tmp_path / "good").read_bytes()
    end = good.rindex(b"PK\5\6")
    start, = struct.unpack_from("<I", good, end + 16)
    files = {}
    for place, width in [(end + 10, 2), (end + 16, 4), *((start + field, 4) for field in (
            20, 24, 42)), *((start + field, 2) for field in (28, 30, 32))]:
        for filling in (b"\xff", b"\x7f", b"\x80"):
            files[f"{place} {filling[0]}"] = (good[:place] + filling * width
                                              + good[place + width:])
    for position in (2**63, 2**64 - 1, 2**62, len(good)):
        locator = b"PK\6\7" + struct.pack("<IQI", 0, position, 1)
        files[f"locator {position}"] = good[:end] + locator + good[end:]
        record = b"PK\6\6" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 2, 2, 100, position)
        files[f"record {position}"] = (good[:end] + record + b"PK\6\7" + struct.pack(
            "<IQI", 0, end, 1) + good[end:])
        wide = struct.pack("<HHQQQ", 1, 24, 4, 4, position)
        name_length, = struct.unpack_from("<H", good, start + 28)
        entry64 = bytearray(good[start:start + 46 + name_length])
        entry64[20:28], entry64[42:46] = b"\xff" * 8, b"\xff" * 4
        entry64[30:32] = struct.pack("<H", len(wide))
        ending = bytearray(good[end:])
        ending[10:12] = b"\1\0"
        files[f"entry {position}"] = good[:start] + bytes(entry64) + wide + bytes(ending)
    assert_refused(written(tmp_path, files))


ESCAPE = "\x1b[2J\x1b]0;pwned\x07\nwritten: weights/ok.pdparams\r\x9b"


def test_escapes_are_not_written_to_the_terminal(tmp_path):
    """Tensor names, keys, globals, zip entries and records, tar members."""
    zip_of(tmp_path / "entry.pth", {f"../{ESCAPE}": b"x"})
    zip_of(tmp_path / "record.pth", {f"a{ESCAPE}/data.pkl": tensor_pickle(storage())})
    zip_of(tmp_path / "key.pth", {"a/data.pkl": tensor_pickle(storage(key=ESCAPE))})
    with zipfile.ZipFile(tmp_path / "packed.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"a{ESCAPE}/data.pkl", bytes(1000))
    write_variables(tmp_path / "v.tar", {"weight": np.zeros(3, np.float32)})
    tar = (tmp_path / "v.tar").read_bytes()
    files = {"global": entry(text(ESCAPE) + text(ESCAPE) + b"\x93"),
             "codec": entry(named("_codecs", "encode") + text("a") + text(ESCAPE) + b"\x86R"),
             "dtype": entry(named("numpy", "dtype") + text(ESCAPE) + b"K\0K\1\x87R"),
             "tensor": b"\x80\x02}" + text(ESCAPE) + array_state() + b"s.",
             "wrapped": b"\x80\x02}" + text("model") + b"}" + text(f"conv{ESCAPE}")
                        + array_state() + b"ss.",
             "tar": tar.replace(b"folder/weight", ("fol\x1b[2J/" + "w").encode() + b"\0\0\0\0")}
    assert_refused([*written(tmp_path, files), *tmp_path.glob("*.pth")])


@pytest.mark.parametrize("shape", [(2**31, 0, 3, 3), (0, 512, 3, 3), (3_000_000, 1, 1, 1),
                                   (2**31, 512, 0, 3)], ids=str)
def test_class_counts_are_bounded(shape, tmp_path):
    """2^31 classes of nothing and millions of a number each: no network is built for them."""
    array = np.zeros(shape if 0 in shape else (1,), np.float32)
    dump = pickle.dumps({"bbox_head.solo_cate.weight": array if 0 in shape else np.zeros(
        shape, np.float32), "mask_feat_head.conv_pred.0.conv.weight": np.zeros(3, np.float32)}, 4)
    assert_refused(written(tmp_path, {"classes": dump}))


def test_records_that_are_no_files(tmp_path):
    """A pipe never ends, and nobody waits for it."""
    import os

    os.mkfifo(tmp_path / "pipe")
    assert_refused([tmp_path / "pipe"])
    assert_refused([tmp_path / "pipe"], read_weights)
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "folder" / "pipe")
    (tmp_path / "folder" / "w").write_bytes(lod_record(np.zeros(3, np.float32)))
    assert_refused([tmp_path / "folder"])


def test_value_of_the_writers():
    """`value` of the writers and `number` here agree: both are read as the same tuple."""
    assert pickle.loads(b"\x80\x02" + value((3, 4)) + b".") == (3, 4)
    assert pickle.loads(b"\x80\x02(" + number(3) + number(2**40) + b"t.") == (3, 2**40)
