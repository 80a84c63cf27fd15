"""Reading every layout, and refusing what is damaged or hostile."""
import pickle
import struct
import zipfile

import numpy as np
import paddle
import pytest

from convert.errors import ConversionError
from convert.readers import read_checkpoint
from convert.writers import named, text, value, write_pdparams, write_pdparams_static, write_pth
from tests.checkpoint_files import lod_record, small_tensors, write_legacy_pth, write_variables
from tools.errors import UserError

TENSORS = small_tensors()
FLOATS = {name: array for name, array in TENSORS.items() if array.dtype == np.float32}


def assert_same(arrays, expected):
    assert list(arrays) == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].dtype == array.dtype and arrays[name].shape == array.shape


@pytest.mark.parametrize("write", [write_pth, write_legacy_pth])
@pytest.mark.parametrize("wrapper, extras", [("state_dict", {"meta": {"epoch": 3}}), ("model", {})])
def test_pth(write, wrapper, extras, tmp_path):
    path = tmp_path / "model.pth"
    write(path, wrapper, TENSORS, extras)
    source = read_checkpoint(path)
    assert_same(source.arrays, TENSORS)
    assert source.extras == list(extras) and source.layout.startswith("torch")


@pytest.mark.parametrize("write", [write_pth, write_legacy_pth])
def test_pth_wrappers(write, tmp_path):
    """state_dict before model; `module.` goes; class names come from mmdetection's meta."""
    path = tmp_path / "model.pth"
    write(path, "state_dict", {f"module.{name}": array for name, array in TENSORS.items()},
          {"model": {}, "meta": {"CLASSES": ("cat", "dog")}})
    source = read_checkpoint(path)
    assert_same(source.arrays, TENSORS)
    assert source.class_names == ("cat", "dog") and source.extras == ["model", "meta"]
    write(path, "state_dict", TENSORS, {"meta": {"dataset_meta": {"classes": ("a",)}}})
    assert read_checkpoint(path).class_names == ("a",)


def test_pth_without_a_wrapper(tmp_path):
    write_pth(tmp_path / "a.pth", "state_dict", TENSORS, {})
    with zipfile.ZipFile(tmp_path / "a.pth") as archive:
        pickled = archive.read("archive/data.pkl")
    start = pickled.index(b"ccollections")
    bare = b"\x80\x02" + pickled[start:-2] + b"."        # without the outer dict
    with zipfile.ZipFile(tmp_path / "a.pth") as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    zip_of(tmp_path / "b.pth", {**records, "archive/data.pkl": bare})
    assert list(read_checkpoint(tmp_path / "b.pth").arrays) == list(TENSORS)


@pytest.mark.parametrize("write", [write_pdparams, write_pdparams_static])
def test_pdparams(write, tmp_path):
    path = tmp_path / "model.pdparams"
    write(path, TENSORS)
    assert_same(read_checkpoint(path).arrays, TENSORS)
    assert set(pickle.loads(path.read_bytes())) >= set(TENSORS)      # our own file: an oracle


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_pickles(protocol, tmp_path):
    """What fluid.save, paddle.save and detectron2's .pkl files hold."""
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({"model": TENSORS, "__author__": "x"}, protocol))
    source = read_checkpoint(path)
    assert_same(source.arrays, TENSORS)
    assert source.extras == ["__author__"]
    path.write_bytes(pickle.dumps({"w": ("linear_0.w_0", FLOATS["norm.bias"])}, protocol))
    assert_same(read_checkpoint(path).arrays, {"w": FLOATS["norm.bias"]})


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("nested", [False, True])
def test_what_paddle_saves(protocol, nested, tmp_path):
    """The real paddle.save of a state dict, bare and in a dict of other things."""
    path = str(tmp_path / "model.pdparams")
    layer = paddle.nn.Sequential(paddle.nn.Conv2D(3, 4, 3), paddle.nn.BatchNorm2D(4))
    state = layer.state_dict()
    paddle.save({"model": state, "epoch": 3} if nested else state, path, protocol=protocol)
    assert_same(read_checkpoint(path).arrays, {name: t.numpy() for name, t in state.items()})


@pytest.mark.parametrize("name", ["variables.tar", "variables"])
def test_variables(name, tmp_path):
    write_variables(tmp_path / name, FLOATS)
    if name == "variables":
        (tmp_path / name / "README").write_text("not a variable, and left out")
    assert_same(dict(sorted(read_checkpoint(tmp_path / name).arrays.items())),
                dict(sorted(FLOATS.items())))


def test_packed_sides(tmp_path):
    """protobuf may pack the sides of a shape into one field."""
    record = bytearray(lod_record(np.ones((2, 3), np.float32)))
    record[20:26] = b"\x08\x05\x12\x02\x02\x03"
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "w").write_bytes(record)
    assert read_checkpoint(tmp_path / "v").arrays["w"].shape == (2, 3)


def zip_of(path, records, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in records.items():
            archive.writestr(name, content)


def tensor_pickle(storage, offset=b"K\0", shape=(3,), strides=(1,)):
    """data.pkl with one tensor."""
    return (b"\x80\x02}(" + text("w") + named("torch._utils", "_rebuild_tensor_v2") + b"(" + storage
            + offset + value(shape) + value(strides) + b"\x89}tR" + b"u.")


def storage(kind="FloatStorage", key="0", size=3):
    return (b"(" + text("storage") + named("torch", kind) + text(key) + text("cpu") + value(size)
            + b"tQ")


GOOD = {"archive/data.pkl": tensor_pickle(storage()), "archive/data/0": bytes(12)}
HOSTILE_ZIPS = {
    "compressed": (GOOD, zipfile.ZIP_DEFLATED, "compressed"),
    "outside": ({**GOOD, "../evil": b"x"}, 0, "refused the zip entry"),
    "absolute": ({**GOOD, "/etc/evil": b"x"}, 0, "refused the zip entry"),
    "no pickle": ({"archive/data/0": bytes(12)}, 0, "no data.pkl"),
    "big-endian": ({**GOOD, "archive/byteorder": b"big"}, 0, "big-endian"),
    "no storage": ({"archive/data.pkl": GOOD["archive/data.pkl"]}, 0, "no record"),
    "short storage": ({**GOOD, "archive/data/0": bytes(8)}, 0, "8 bytes instead of 3"),
    "shape": ({**GOOD, "archive/data.pkl": tensor_pickle(storage(), shape=(4,))}, 0, "outside"),
    "huge": ({**GOOD, "archive/data.pkl": tensor_pickle(storage(), shape=(2**30, 2**30),
                                                        strides=(0, 0))}, 0, "outside"),
    "offset": ({**GOOD, "archive/data.pkl": tensor_pickle(storage(), b"K\1")}, 0, "outside"),
    "negative": ({**GOOD, "archive/data.pkl": tensor_pickle(storage(), b"J\xff\xff\xff\xff")}, 0,
                 "refused a tensor"),
    "kind": ({**GOOD, "archive/data.pkl": tensor_pickle(storage("system"))}, 0, "refused"),
    "module": ({**GOOD, "archive/data.pkl": b"\x80\x02cos\nsystem\n" + text("true") + b"\x85R."}, 0,
               "refused 'os.system'")}


@pytest.mark.parametrize("name", HOSTILE_ZIPS)
def test_hostile_zip(name, tmp_path):
    records, compression, hint = HOSTILE_ZIPS[name]
    zip_of(tmp_path / "m.pth", records, compression)
    with pytest.raises(UserError, match=hint) as error:
        read_checkpoint(tmp_path / "m.pth")
    assert "m.pth" in str(error.value)


def test_views_of_storages(tmp_path):
    """Strides and offsets, as a transposed or sliced tensor has them."""
    content = np.arange(6, dtype=np.float32).tobytes()
    zip_of(tmp_path / "m.pth", {"a/data.pkl": tensor_pickle(
        storage(size=6), b"K\1", (2, 2), (1, 3)), "a/data/0": content})
    assert read_checkpoint(tmp_path / "m.pth").arrays["w"].tolist() == [[1, 4], [2, 5]]


def test_a_flipped_bit_in_a_zip_is_noticed(tmp_path):
    write_pth(tmp_path / "m.pth", "model", TENSORS, {})
    content = bytearray((tmp_path / "m.pth").read_bytes())
    content[content.index(TENSORS["stem.weight"].tobytes()) + 40] ^= 1
    (tmp_path / "m.pth").write_bytes(content)
    with pytest.raises(ConversionError, match="checksum"):
        read_checkpoint(tmp_path / "m.pth")


@pytest.mark.parametrize("change, hint", [
    (lambda tar: tar.replace(b"folder/stem.weight", b"../../stem.weight\0"), "header"),
    (lambda tar: tar[:1024], "truncated"),
    (lambda tar: tar.replace(b"\x08\x05", b"\x08\x06"), "type 6"),
    (lambda tar: tar.replace(b"\x10\x07", b"\x10\x09"), "needs 36 bytes")])
def test_hostile_tar(change, hint, tmp_path):
    write_variables(tmp_path / "v.tar", FLOATS)
    (tmp_path / "v.tar").write_bytes(change((tmp_path / "v.tar").read_bytes()))
    with pytest.raises(ConversionError, match=hint):
        read_checkpoint(tmp_path / "v.tar")


@pytest.mark.parametrize("content, hint", [
    (b"", "0 bytes"), (b"<html>" + bytes(100), "begins with"),
    (pickle.dumps([np.zeros(30)], 4), "holds a list"),
    (pickle.dumps({"a": list(range(100))}, 4), "no tensors"),
    (pickle.dumps({"a": np.zeros(30), "meta@@": "{"}, 4), "description is damaged"),
    (struct.pack("<4s100s", b"PK\3\4", b""), "no directory")])
def test_not_a_checkpoint(content, hint, tmp_path):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(UserError, match=hint):
        read_checkpoint(tmp_path / "file")


def test_missing_file():
    with pytest.raises(ConversionError, match="no checkpoint"):
        read_checkpoint("nowhere.pth")
