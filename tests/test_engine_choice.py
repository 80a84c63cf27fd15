"""Which engine `auto` takes: the fastest as measured, once per machine; never one that differs."""
import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from config import get_config
from tests.builders import TINY, realistic
from tests.test_engines import ANY
from tools.engines import cache, choice
from tools.engines.choice import read_choice
from tools.engines.exports import Exports
from tools.engines.measured import Choice
from tools.engines.open import EXPORTED, open_engine
from tools.errors import UserError
from tools.vulkan import VulkanDevice
from tools.weights.weights_file import meta_of, save_weights, to_arrays


class Clocked:
    """An engine that takes no time but says how much; nothing is exported."""

    calls = []

    def __init__(self, name, seconds, half=0.0):
        self.name, self.seconds, self.half_seconds = name, seconds, half
        self.needs, self.package, self.__module__ = (), "numpy", "tools.engines.ncnn"
        self.requirements = "requirements.txt"

    def half(self):
        return "bf16" if self.half_seconds else ""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """machine(kinds...) -> open(precision): auto on a machine where these engines are installed."""
    cfg = get_config("quickstart", **TINY, num_classes=2)
    path = str(tmp_path / "own.pdparams")
    model = realistic(cfg)
    save_weights(path, to_arrays(model.state_dict()), meta_of(cfg, ["a", "b"]))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    measured = []

    def engine(self, kind, precision="float32", device="cpu"):
        return kind, precision

    def seconds_per_run(engine, images):
        if isinstance(engine, tuple):                                    # not dygraph
            measured.append(f"{engine[0].name} {engine[1]}")
        return one_run(engine, images)

    def one_run(engine, images):
        if not isinstance(engine, tuple):
            return 2.0
        kind, precision = engine
        return kind.seconds if precision == "float32" else kind.half_seconds

    def start(*fast, last=()):
        monkeypatch.setattr(choice, "FAST", fast)
        monkeypatch.setattr(choice, "LAST", last)
        return lambda precision="float32": open_engine("auto", "cpu", path, cfg, lambda: model,
                                                       precision)
    monkeypatch.setattr(Exports, "engine", engine)
    monkeypatch.setattr(choice, "seconds_per_run", seconds_per_run)
    monkeypatch.setattr(choice, "one_run", one_run)
    monkeypatch.setattr(choice, "difference", lambda half, engine: 0.2)
    monkeypatch.setattr(choice, "fastest_gpu", lambda: None)
    start.measured = measured
    return start


def test_the_fastest_is_taken_and_remembered(machine, capsys):
    open_auto = machine(Clocked("ncnn", 1.96), Clocked("openvino", 1.69),
                        Clocked("onnxruntime", 1.79))
    (kind, precision), note = open_auto()
    assert (kind.name, precision, note) == ("openvino", "float32", "")
    assert capsys.readouterr().err.splitlines() == [
        "engine: openvino 1.69 s, onnxruntime 1.79 s, ncnn 1.96 s -> openvino"]
    (kind, _), _ = open_auto()
    assert kind.name == "openvino" and len(machine.measured) == 3
    assert capsys.readouterr().err == ""


def test_a_gpu_of_vulkan_is_pointed_to_when_engines_are_measured(machine, monkeypatch, capsys):
    monkeypatch.setattr(choice, "fastest_gpu", lambda: VulkanDevice(1, "Radeon\x1b[2J", False))
    start = machine(Clocked("ncnn", 0.5), Clocked("openvino", 0.3))
    start()
    assert r"the GPU Radeon\x1b[2J: --device gpu runs" in capsys.readouterr().err
    start()
    assert not capsys.readouterr().err


@pytest.mark.parametrize("steady, fast, taken", [(1.02, 1.0, "ncnn"), (1.05, 1.0, "openvino")])
def test_of_equal_ones_the_steadiest_is_taken(steady, fast, taken, machine, capsys):
    (kind, _), _ = machine(Clocked("ncnn", steady), Clocked("openvino", fast))()
    assert kind.name == taken
    assert capsys.readouterr().err.endswith(f"ncnn {steady:.2f} s -> {taken}\n")


def test_half_precision_is_offered_and_taken_on_request(machine):
    open_auto = machine(Clocked("ncnn", 0.5), Clocked("openvino", 0.6, half=0.1))
    (kind, precision), note = open_auto()
    assert (kind.name, precision) == ("ncnn", "float32")
    assert note == ("half precision would run 5.0 times as fast on this processor: "
                    "--precision half")
    (kind, precision), note = open_auto("half")
    assert (kind.name, precision, note) == ("openvino", "half", "")


@pytest.mark.parametrize("half", [0.0, 0.7])
def test_half_precision_that_gains_nothing_is_float32(half, machine):
    open_auto = machine(Clocked("openvino", 0.6, half))
    (kind, precision), note = open_auto("half")
    assert precision == "float32" and note.startswith("nothing gains from half precision")


def test_half_precision_that_is_wrong_is_not_taken(machine, monkeypatch):
    monkeypatch.setattr(choice, "difference", lambda half, engine: float("nan"))
    (_, precision), _ = machine(Clocked("openvino", 0.6, half=0.1))("half")
    assert precision == "float32"


def test_without_a_fast_engine_the_rest_is_measured(machine):
    (kind, _), _ = machine(last=(Clocked("paddle-inference", 1.5),))()
    assert kind.name == "paddle-inference"
    engine, _ = machine(last=(Clocked("ncnn", 2.5),))()
    assert engine.name == "dygraph"


def test_what_is_not_installed_and_what_cannot_run_is_said(machine, tmp_path):
    absent = Clocked("openvino", 1.0)
    absent.needs = ("a_package_that_nobody_has",)
    _, note = machine(absent, Clocked("ncnn", 1.0))()
    assert note == "not installed: openvino; pip install -r requirements.txt"
    absent.name, absent.requirements = "onnxruntime", "requirements-extras.txt"
    _, note = machine(absent, Clocked("ncnn", 1.0))()
    assert note == "not installed: onnxruntime; pip install -r requirements-extras.txt"


def test_auto_says_where_ncnn_lacks_an_operation(tmp_path, monkeypatch):
    pytest.importorskip("ncnn", reason="ncnn is not installed (requirements.txt)")
    monkeypatch.setattr(choice, "FAST", (EXPORTED["ncnn"],))
    monkeypatch.setattr(choice, "LAST", ())
    cfg = get_config("quickstart", **TINY, backbone_groups=2, backbone_dcn=1)
    model, path = realistic(get_config("quickstart", **TINY)), tmp_path / "w"
    path.write_bytes(b"weights")
    engine, reasons = open_engine("auto", "cpu", str(path), cfg, lambda: model)
    assert (engine.name, reasons) == ("dygraph", "ncnn has no deformable convolution with groups")


@pytest.mark.parametrize("content", [
    b"", b"[]", b"{}", b"\xff", b"[" * 99999, b'{"seconds": {}, "failures": {}}',
    b'{"seconds": {"openvino float32": "1"}, "failures": {}}',
    b'{"seconds": {"openvino float32": -1.0}, "failures": {}}',
    b'{"seconds": {"openvino float32": NaN}, "failures": {}}',
    b'{"seconds": {"rm -rf float32": 1.0}, "failures": {}}',
    b'{"seconds": {"ncnn float32": 1.0}, "failures": {"ncnn": 3}}',
    b'{"seconds": {"ncnn half": 1.0}, "failures": {}}', b'{"seconds": [], "failures": {}}'])
def test_a_damaged_choice_is_measured_again(content, tmp_path):
    (tmp_path / "choice").write_bytes(content)
    assert read_choice(tmp_path / "choice") is None


def test_a_choice_is_read_as_it_was_written(tmp_path):
    content = {"seconds": {"ncnn float32": 1.5, "openvino half": 0.5}, "failures": {"ncnn": "no"}}
    (tmp_path / "choice").write_text(json.dumps(content))
    found = read_choice(tmp_path / "choice")
    assert found.seconds == content["seconds"] and found.failures == content["failures"]
    assert found.gain() == 3 and Choice({"ncnn float32": 1.0}, {}).gain() == 0


@pytest.mark.parametrize("taken, counted", [(3.0, 1), (0.09, 3), (0.001, 9)])
def test_more_runs_while_they_are_short(taken, counted, monkeypatch):
    now, calls = [0.0], []

    def engine(images):
        calls.append(images)
        now[0] += taken
    monkeypatch.setattr(choice.time, "perf_counter", lambda: now[0])
    assert choice.seconds_per_run(engine, None) == pytest.approx(taken)
    assert len(calls) == 1 + counted


@pytest.mark.parametrize("ncnn, openvino, runs", [
    ([1.4, 1.3, 0.9], [1.2, 1.6, 1.1], 4), ([9.0, 1.0, 1.0], [1.0, 1.0, 1.0], 0)])
def test_close_ones_run_in_turn(ncnn, openvino, runs, monkeypatch):
    """A busy moment made ncnn look slower; one that is far behind is not run again."""
    times, order = {"ncnn": ncnn[1:], "openvino": openvino[1:]}, []

    def one_run(kind, images):
        order.append(kind.name)
        return times[kind.name].pop(0)
    kinds = Clocked("ncnn", 0), Clocked("openvino", 0)
    monkeypatch.setattr(choice, "FAST", kinds)
    monkeypatch.setattr(choice, "one_run", one_run)
    seconds = {"ncnn float32": ncnn[0], "openvino float32": openvino[0]}
    choice.run_again(SimpleNamespace(engine=lambda kind: kind), None, seconds)
    assert order == ["openvino", "ncnn"] * (runs // 2)
    assert seconds == ({"ncnn float32": 0.9, "openvino float32": 1.1} if runs else
                       {"ncnn float32": 9.0, "openvino float32": 1.0})


def test_the_real_thing_is_kept_beside_the_exports(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(choice, "FAST", (EXPORTED[ANY],))
    monkeypatch.setattr(choice, "LAST", ())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    cfg = get_config("quickstart", **TINY, num_classes=2)
    path = str(tmp_path / "own.pdparams")
    model = realistic(cfg)
    save_weights(path, to_arrays(model.state_dict()), meta_of(cfg, ["a", "b"]))
    engine, _ = open_engine("auto", "cpu", path, cfg, lambda: model)
    assert engine.name == ANY and capsys.readouterr().err.endswith(f" -> {ANY}\n")
    kept = [file.name for file in cache.cache_folders(path)[0].iterdir()]
    assert len(kept) == 2 and any(name.startswith("choice-") for name in kept)
    open_engine("auto", "cpu", path, cfg, None)        # neither built nor measured
    assert capsys.readouterr().err == ""
    assert np.isfinite(engine(np.zeros((1, 3, 64, 64), np.float32))["mask_features"]).all()


@pytest.fixture
def broken(tmp_path, monkeypatch):
    """broken(source) -> open(name): where openvino is installed, as a package with this source."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    monkeypatch.setattr(choice, "FAST", (EXPORTED["openvino"], EXPORTED[ANY]))
    monkeypatch.setattr(choice, "LAST", ())
    cfg = get_config("quickstart", **TINY, num_classes=2)
    path, model = str(tmp_path / "own.pdparams"), realistic(cfg)
    save_weights(path, to_arrays(model.state_dict()), meta_of(cfg, ["a", "b"]))

    def install(source):
        (tmp_path / "packages").mkdir()
        (tmp_path / "packages" / "openvino.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path / "packages")
        monkeypatch.delitem(sys.modules, "openvino", raising=False)
        return lambda name, precision="float32": open_engine(name, "cpu", path, cfg, lambda: model,
                                                             precision)
    yield install
    sys.modules.pop("openvino", None)


@pytest.mark.skipif(ANY == "openvino", reason="there is no other engine")
@pytest.mark.parametrize("source, words", [
    ("raise OSError('libtbb.so.12: cannot open')", "libtbb.so.12: cannot open"),
    ("raise ImportError('the ABI of numpy')", "the ABI of numpy"),
    ("raise SystemError('odd')", "SystemError odd"), ("1 +", "SyntaxError"),
    ("", "no attribute '__version__'"), ("__version__ = None", "no attribute 'partition'"),
    ("__version__ = '9'", "AttributeError module 'openvino' has no attribute"),
    ("__version__ = '9'\ndef Core(): raise KeyError('CPU')", "KeyError 'CPU'")])
def test_a_broken_package_is_one_sentence_and_auto_takes_another(source, words, broken):
    open_it = broken(source)
    engine, note = open_it("auto")
    assert engine.name == ANY and words in note
    engine, note = open_it("auto")                             # as remembered
    assert engine.name == ANY and words in note
    for precision in ("float32", "half"):
        with pytest.raises(UserError) as caught:
            open_it("openvino", precision)
        assert words in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("error", [RuntimeError("no memory"), MemoryError(), TypeError("odd")])
def test_an_engine_that_fails_while_it_is_measured(error, machine, monkeypatch):
    open_auto, real = machine(Clocked("openvino", 1.0), Clocked("ncnn", 2.0)), \
        choice.seconds_per_run

    def fails(engine, images):
        if engine[0].name == "openvino":
            raise error
        return real(engine, images)
    monkeypatch.setattr(choice, "seconds_per_run", fails)
    (kind, _), note = open_auto()
    assert kind.name == "ncnn" and "engine 'openvino'" in note and "cannot run the network" in note


def test_measured_again_in_place_of_what_was_kept(machine, tmp_path, monkeypatch, capsys):
    kind = Clocked("ncnn", 1.0)
    machine(kind)()
    exports = Exports(str(tmp_path / "own.pdparams"), get_config("quickstart", **TINY), None, 1)
    choice.measured_anew(exports)
    kind.seconds = 3.0
    assert choice.remembered(exports).seconds == {"ncnn float32": 1.0}
    choice.measured_anew(exports)
    assert choice.remembered(exports).seconds == {"ncnn float32": 3.0}
