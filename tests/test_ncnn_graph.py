"""The files for ncnn: layers by its rules, and numbers that it reads as they were meant."""
import numpy as np
import paddle
import pytest

from config import get_config
from model.layers import append_coordinates
from model.solov2 import build_solov2
from tests.builders import SLIM
from tools.engines.check import deviation
from tools.engines.dygraph import Dygraph
from tools.engines.ncnn import Ncnn, coordinates
from tools.engines.ncnn_graph import NcnnGraph, write_network


def layers_of(path):
    """[(kind, inputs, outputs, {key: value})] of a .param file, whose two counts are checked."""
    magic, counts, *lines = path.read_text().splitlines()
    assert magic == "7767517"
    layers = []
    for words in map(str.split, lines):
        inputs = 4 + int(words[2])
        outputs = inputs + int(words[3])
        layers.append((words[0], words[4:inputs], words[inputs:outputs],
                       dict(word.split("=") for word in words[outputs:])))
    assert counts == f"{len(layers)} {sum(len(outputs) for _, _, outputs, _ in layers)}"
    return layers


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """{net: (its layers as written, bytes of the numbers)}."""
    folder = tmp_path_factory.mktemp("ncnn")
    write_network(folder, build_solov2(get_config("quickstart", **SLIM)))
    return {name: (layers_of(folder / f"{name}.param"), (folder / f"{name}.bin").stat().st_size)
            for name in ("network", "head")}


@pytest.mark.parametrize("name, results", [
    ("network", {*(f"level_{number}" for number in range(5)), "mask_features"}),
    ("head", {"category_logits", "kernels"})])
def test_each_value_is_given_before_it_is_taken_and_taken_once(written, name, results):
    given, taken = set(), []
    for _, inputs, outputs, _ in written[name][0]:
        assert given.issuperset(inputs)
        taken += inputs
        given.update(outputs)
    assert len(taken) == len(set(taken)) > 10
    assert given.difference(taken) == results


@pytest.mark.parametrize("name", ["network", "head"])
def test_numbers_are_those_of_the_layers(written, name):
    layers, size = written[name]
    total = 0
    for kind, _, _, parameters in layers:
        if kind.startswith("Convolution"):
            total += 4 + 4 * (int(parameters["6"]) + int(parameters["5"]) * int(parameters["0"]))
        elif kind == "GroupNorm":
            total += 4 * 2 * int(parameters["1"])
    assert size == total


def test_each_weight_is_kept_once(tmp_path):
    """Not once per level that the head is run on."""
    model = build_solov2(get_config("quickstart", **SLIM))
    write_network(tmp_path, model)
    numbers = sum(parameter.size for parameter in model.parameters())
    assert sum(path.stat().st_size for path in tmp_path.glob("*.bin")) < 4.1 * numbers


def test_relu_is_part_of_the_convolution_before_it_alone(written):
    before = {}
    for name, (layers, _) in written.items():
        kinds = {outputs[0]: kind for kind, _, outputs, _ in layers}
        before[name] = {kinds[inputs[0]] for kind, inputs, _, _ in layers if kind == "ReLU"}
    assert before == {"network": {"BinaryOp", "GroupNorm"}, "head": {"GroupNorm"}}
    activated = [parameters["9"] for layers, _ in written.values()
                 for _, _, _, parameters in layers if "9" in parameters]
    assert activated == ["1"] * (1 + 8)               # the stem, the first one of each basic block


def test_the_image_size_is_in_the_coordinates_only(written):
    inputs = [outputs[0] for kind, _, outputs, _ in written["network"][0]
              if kind == "Input"]
    assert inputs == ["images", "coordinates/8", "coordinates/16", "coordinates/32"]


def test_a_map_of_fixed_size_has_no_coordinates():
    graph = NcnnGraph("images")
    small = graph("GlobalAveragePool", "images")
    with pytest.raises(ValueError, match="NaN"):
        graph.coordinates(small)


def test_a_slice_of_anything_but_channels_is_refused():
    with pytest.raises(ValueError, match=r"axes \[2\]"):
        NcnnGraph("images")("Slice", "images", [0], [1], [2])


@pytest.mark.parametrize("height, width", [(1, 1), (3, 5), (40, 7)])
def test_coordinates_are_those_of_the_model(height, width):
    expected = append_coordinates(paddle.zeros([1, 1, height, width]))[0, 1:].numpy()
    np.testing.assert_allclose(coordinates(height, width), expected, atol=1e-7)


def test_coordinates_by_hand():
    np.testing.assert_allclose(coordinates(3, 5), [[[-1, -0.5, 0, 0.5, 1]] * 3,
                                                   [[-1] * 5, [0] * 5, [1] * 5]], atol=1e-7)


def test_wide_convolutions_agree_with_dygraph(tmp_path):
    """64 to 512 channels, where ncnn takes the Winograd transform; sides that 4 does not divide."""
    pytest.importorskip("ncnn", reason="ncnn is not installed (requirements.txt)")
    paddle.seed(0)
    model = build_solov2(get_config("solov2_light_448_r18_fpn_3x"))
    Ncnn.write(model, tmp_path)
    engine = Ncnn(tmp_path, 2)
    images = np.random.default_rng(0).normal(size=(1, 3, 96, 224)).astype(np.float32)
    assert deviation(engine(images), Dygraph(model)(images)) < 1e-4


def test_files_that_ncnn_cannot_read(tmp_path):
    pytest.importorskip("ncnn", reason="ncnn is not installed (requirements.txt)")
    (tmp_path / "network.param").write_text("7767517\n1 1\nNoLayer a 0 1 a\n")
    (tmp_path / "network.bin").write_bytes(b"")
    with pytest.raises(RuntimeError, match="cannot read '.*network.param'"):
        Ncnn(tmp_path, 2)
