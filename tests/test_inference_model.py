"""Exported models: what Paddle saves, in the old format and the new, converts bit for bit."""
import contextlib
import json
import struct
import tarfile

import numpy as np
import paddle
import pytest

from config import CONFIGS, get_config
from convert.converter import convert
from convert.errors import ConversionError
from convert.inference_model import input_settings, read_program
from convert.places import ProgramWalk, parameter_places
from convert.readers import read_checkpoint
from model.solov2 import build_solov2
from tests.checkpoint_files import lod_record, varint
from tests.golden.checkpoints import key_lists
from tools.engines.paddle_graph import static_program
from tools.errors import UserError

R18, ENHANCE = 8, 14
YML = """mode: paddle
Preprocess:
- is_scale: true
  mean:
  - 0.5
  - 0.456
  - 0.406
  std: &x
  - 0.229
  type: NormalizeImage
- keep_ratio: true
  target_size:
  - 800
  type: Resize
- type: Permute
label_list:
- cat
- 'traffic light'
"""


def save_with_paddle(folder, config):
    """Run our layers in static mode and save them with Paddle; {our name: array}.

    The parameters get automatic names, and their numbers begin anywhere.
    """
    with static_program():
        images = paddle.static.data("image", [None, 3, 128, 128], "float32")
        model = build_solov2(get_config(config))
        model.eval()
        outputs = model(images)
        executor = paddle.static.Executor(paddle.CPUPlace())
        executor.run(paddle.static.default_startup_program())
        scope = paddle.static.global_scope()
        rng, values = np.random.default_rng(3), {}
        for name, variable in model.state_dict().items():
            values[name] = rng.random(variable.shape, np.float32)
            scope.find_var(variable.name).get_tensor().set(values[name], paddle.CPUPlace())
        paddle.static.save_inference_model(
            f"{folder}/inference", [images], [*outputs["category_logits"], *outputs["kernels"],
                                              outputs["mask_features"]], executor)
    return values


@pytest.mark.parametrize("config", [R18, pytest.param(ENHANCE, marks=pytest.mark.slow)])
def test_what_paddle_exports(config, tmp_path):
    values = save_with_paddle(tmp_path, config)
    (tmp_path / "inference.yml").write_text(YML.replace("0.5\n", "0.485\n"))
    result = convert(read_checkpoint(tmp_path))
    assert result.config == CONFIGS[config] and "by the places" in result.lines[0]
    assert result.arrays.keys() == values.keys()
    for name, value in values.items():
        np.testing.assert_array_equal(result.arrays[name], value, err_msg=name)
    assert result.meta["input"]["normalize_first"]
    assert result.meta["input"]["resized_size_rule"] == "round"
    with tarfile.open(tmp_path / "SOLOv2_infer.tar", "w") as archive:
        for path in tmp_path.glob("inference.*"):
            archive.add(path, f"SOLOv2_infer/{path.name}")
    for path in (tmp_path / "SOLOv2_infer.tar", tmp_path / "inference.pdiparams"):
        again = convert(read_checkpoint(path))
        assert all(np.array_equal(again.arrays[name], value) for name, value in values.items())


class Small(paddle.nn.Layer):
    """Two convolutions of one shape, told apart by what they follow and what follows them."""

    def __init__(self):
        super().__init__()
        self.last = paddle.nn.Conv2D(4, 4, 1)            # created first, used last
        self.first, self.norm = paddle.nn.Conv2D(3, 4, 3), paddle.nn.BatchNorm2D(4)
        self.second = paddle.nn.Conv2D(4, 4, 1, bias_attr=False)
        self.group = paddle.nn.GroupNorm(2, 4)

    def forward(self, x):
        x = paddle.nn.functional.relu(self.norm(self.first(x)))
        return self.last(x + self.group(self.second(x)))


def test_old_and_new_format_give_the_same_places(tmp_path):
    """jit.save in both formats: .pdmodel with named slots, and the json of Paddle 3."""
    net = Small()
    net.eval()
    names = {tensor.name: name for name, tensor in net.state_dict().items()}
    guards = {"old": contextlib.nullcontext()}
    if hasattr(getattr(paddle, "pir_utils", None), "OldIrGuard"):      # Paddle 3
        guards = {"new": contextlib.nullcontext(), "old": paddle.pir_utils.OldIrGuard()}
    found = {}
    for name, guard in guards.items():
        with guard:
            paddle.jit.save(net, f"{tmp_path}/{name}", input_spec=[
                paddle.static.InputSpec([None, 3, 8, 8], "float32", "x")])
        source = read_checkpoint(tmp_path / f"{name}.pdiparams")
        places = parameter_places(ProgramWalk(source.program).convolutions)
        found[name] = {place: names[parameter] for place, parameter in places.items()}
        assert sorted(found[name].values()) == sorted(names.values())
        for parameter, ours in names.items():
            np.testing.assert_array_equal(source.arrays[parameter], net.state_dict()[ours].numpy())
    assert (tmp_path / "old.pdmodel").exists()
    assert all(places == found["old"] for places in found.values())


def field(number, content):
    """A protobuf field: an int or bytes."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def old_program(shapes):
    """A .pdmodel with these parameters and no operators."""
    block = field(1, 0) + field(2, 0)
    for name, shape in shapes.items():
        tensor = field(1, 5) + b"".join(field(2, side) for side in shape)
        kind = field(1, 7) + field(3, field(1, tensor) + field(2, 0))
        block += field(3, field(1, name.encode()) + field(2, kind) + field(3, 1))
    return field(1, block)


def new_program(shapes):
    """The json of Paddle 3 with these parameters and no operators."""
    ops = [{"#": "p", "A": [0, 1, 1, name], "DA": [], "OA": [], "QA": [], "O": {
        "%": i, "TT": {"#": "0.t_dtensor", "D": [{"#": "0.t_f32"}, list(shape), "NCHW", [], 0]}}}
           for i, (name, shape) in enumerate(shapes.items())]
    return json.dumps({"base_code": {"magic": "pir"}, "program": {
        "regions": [{"#": "r", "blocks": [{"#": "b", "args": [], "ops": ops}]}]}}).encode()


def write_model(folder, arrays, program=new_program):
    shapes = {name: array.shape for name, array in arrays.items()}
    name = "inference.json" if program is new_program else "inference.pdmodel"
    (folder / name).write_bytes(program(shapes))
    (folder / "inference.pdiparams").write_bytes(
        b"".join(lod_record(arrays[name]) for name in sorted(arrays)))


@pytest.mark.parametrize("program", [new_program, old_program])
def test_published_names(program, tmp_path):
    """A program whose parameters have the names of the published .pdparams file."""
    rng = np.random.default_rng(0)
    arrays = {name: rng.random(shape, np.float32) for name, shape, _ in
              key_lists()["paddledet2__solov2_r50_enhance_coco"]["tensors"]
              if not name.startswith(("solov2_head.solo_", "mask_head.conv_pred."))}
    write_model(tmp_path, arrays, program)
    result = convert(read_checkpoint(tmp_path))
    assert result.config == CONFIGS[ENHANCE]
    np.testing.assert_array_equal(result.arrays["fpn.output.0.weight"],
                                  arrays["neck.fpn_res2_sum.weight"])


def test_settings_of_the_yml():
    settings, names = input_settings(YML)
    assert settings["normalize_first"] and names == ("cat", "traffic light")
    assert settings["pixel_mean"] == (127.5, 116.28, 103.53) and "pixel_std" not in settings
    assert input_settings("") == ({}, ())


SMALL = {"conv2d_0.w_0": np.ones((2, 3, 1, 1), np.float32), "conv2d_0.b_0": np.ones(2, np.float32)}
DAMAGE = {
    "parameters cut": lambda folder: cut(folder / "inference.pdiparams"),
    "program cut": lambda folder: cut(folder / "inference.json"),
    "no program": lambda folder: (folder / "inference.json").unlink(),
    "another shape": lambda folder: (folder / "inference.json").write_bytes(
        new_program({"conv2d_0.w_0": (2, 3, 1), "conv2d_0.b_0": (2,)})),
    "one more": lambda folder: (folder / "inference.json").write_bytes(
        new_program({**{name: array.shape for name, array in SMALL.items()}, "x": (1,)})),
    "endless shape": lambda folder: (folder / "inference.json").write_bytes(
        new_program({"conv2d_0.w_0": (2**62, 0, 2**62)})),
    "deep json": lambda folder: (folder / "inference.json").write_bytes(b"{" + b"[" * 100_000),
    "wrong json": lambda folder: (folder / "inference.json").write_bytes(b'{"program": 5}'),
    "two models": lambda folder: (folder / "b.pdiparams").write_bytes(b"x")}


def cut(path):
    path.write_bytes(path.read_bytes()[:-7])


@pytest.mark.parametrize("name", ["whole", *DAMAGE])
def test_what_cannot_be_converted(name, tmp_path):
    """Also a whole model that is no SOLOv2."""
    write_model(tmp_path, SMALL)
    DAMAGE.get(name, lambda folder: None)(tmp_path)
    with pytest.raises(UserError) as error:
        convert(read_checkpoint(tmp_path))
    assert ("automatic names" in str(error.value)) == (name == "whole")


def test_damaged_protobuf():
    """Every byte of a program with another value, and every beginning of it."""
    good = old_program({name: array.shape for name, array in SMALL.items()})
    assert read_program(good).parameters == {name: array.shape for name, array in SMALL.items()}
    others = [good[:i] for i in range(len(good))]
    others += [good[:i] + bytes([value]) + good[i + 1:] for i in range(len(good))
               for value in (0, 7, 0x7F, 0x80, 0xFF)]
    for content in others:
        with contextlib.suppress(ConversionError):
            read_program(content)
    with pytest.raises(ConversionError):
        read_program(field(1, struct.pack("<Q", 2**63)))
