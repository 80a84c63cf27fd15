"""Engines: each agrees with dygraph on every config, and the cached exports are current."""
import gc
import threading
from functools import lru_cache

import cv2
import numpy as np
import pytest

from config import CONFIGS, get_config
from tests.builders import SLIM, TINY, realistic, run_python
from tools.engines import cache, choice, network
from tools.engines import exports as engine_exports
from tools.engines.check import HALF_TOLERANCE, deviation, flat
from tools.engines.dygraph import Dygraph
from tools.engines.exports import version_of
from tools.engines.ncnn import Ncnn
from tools.engines.onnxruntime import OnnxRuntime
from tools.engines.open import EXPORTED, open_engine
from tools.engines.openvino import OpenVino
from tools.errors import UserError
from tools.inference.predictor import Predictor
from tools.weights.weights_file import NETWORK_SETTINGS, meta_of, save_weights, to_arrays


def installed(name):
    return engine_exports.installed(EXPORTED[name])


KINDS = [pytest.param(name, marks=pytest.mark.skipif(not installed(name), reason=(
    f"{' or '.join(kind.needs)} is not installed (requirements.txt)")))
    for name, kind in EXPORTED.items()]
ANY = next(name for name in EXPORTED if installed(name))            # ncnn, the quickest to export
SIZES = ((1, 3, 96, 160), (2, 3, 32, 64))                           # in turn, by one engine


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """(config, path of weights) of a tiny network that finds something everywhere."""
    cfg = get_config("quickstart", **TINY, num_classes=2)
    model = realistic(cfg)
    model.head.category_pred.bias.set_value(np.float32([0.5, -8]))
    path = str(tmp_path_factory.mktemp("weights") / "tiny.pdparams")
    save_weights(path, to_arrays(model.state_dict()), meta_of(cfg, ["circle", "square"]))
    return cfg, path


def networks():
    """{network settings: config} of all configs, narrow; 101 layers have the blocks of 50."""
    configs = {}
    for name in CONFIGS:
        cfg = get_config(name, **SLIM)
        cfg = cfg.replace(backbone_depth=min(cfg.backbone_depth, 50))
        configs.setdefault(tuple(getattr(cfg, key) for key in NETWORK_SETTINGS), cfg)
    return configs.values()


@lru_cache(maxsize=1)
def reference(cfg):
    """(a network of the config, [(images, its outputs)])."""
    model = realistic(cfg)
    inputs = [np.random.default_rng(1).normal(size=size).astype(np.float32) for size in SIZES]
    return model, [(images, Dygraph(model)(images)) for images in inputs]


@pytest.mark.parametrize("cfg", networks(), ids=lambda cfg: cfg.name)
@pytest.mark.parametrize("name", KINDS)
def test_raw_outputs_agree_with_dygraph(cfg, name, tmp_path):
    kind = EXPORTED[name]
    if reason := kind.cannot_run(cfg, version_of(kind)):
        pytest.skip(reason)
    model, runs = reference(cfg)
    kind.write(model, tmp_path)
    engine = kind(tmp_path, 2)
    for images, raw in runs:
        outputs = engine(images)
        assert [value.shape for value in flat(outputs)] == [value.shape for value in flat(raw)]
        assert deviation(outputs, raw) < 1e-4


def test_what_an_engine_cannot_run_is_a_reason():
    groups = get_config("solov2_x101_dcn_fpn_3x")
    assert "deformable convolution with groups" in Ncnn.cannot_run(groups, "1.0.20261020")
    head_only = get_config("quickstart", head_dcn=2, head_dcn_convs=(1,))
    assert "1.23.2 has no deformable" in OnnxRuntime.cannot_run(head_only, "1.23.2")
    assert OnnxRuntime.cannot_run(get_config("quickstart"), "1.23.2") == ""
    assert OnnxRuntime.cannot_run(groups, "1.31.0") == OnnxRuntime.cannot_run(groups, "2.0") == ""
    assert not any(kind.cannot_run(get_config(3), "1.30.0") for kind in EXPORTED.values())


@pytest.mark.parametrize("name", KINDS)
def test_results_agree_with_dygraph(name, tiny):
    cfg, weights = tiny
    image = np.random.default_rng(2).integers(0, 256, (70, 90, 3), np.uint8)
    expected, found = (Predictor(cfg, weights, "cpu", kind)(image) for kind in ("dygraph", name))
    assert len(found) == len(expected) > 0
    np.testing.assert_array_equal(found.class_indices, expected.class_indices)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-4)
    assert (found.masks != expected.masks).mean() < 1e-3


@pytest.mark.parametrize("name", KINDS)
def test_outputs_survive_the_next_call_and_the_engine(name, tiny):
    engine = Predictor(*tiny, "cpu", name).engine
    images = np.random.default_rng(3).normal(size=(1, 3, 64, 64)).astype(np.float32)
    outputs = engine(images)
    before = [value.copy() for value in flat(outputs)]
    engine(-images)
    del engine
    gc.collect()
    for value, copy in zip(flat(outputs), before, strict=True):
        np.testing.assert_array_equal(value, copy)


OPEN = ("from tools import runtime; runtime.configure()\n"
        "import numpy as np\n"
        "from config import get_config\n"
        "from model.solov2 import build_solov2\n"
        "from tools.engines.open import EXPORTED\n"
        "kind, folder = EXPORTED['{name}'], '{folder}'\n")


@pytest.mark.slow
@pytest.mark.parametrize("name", [kind for kind in KINDS
                                  if kind.values[0] in (Ncnn.name, OpenVino.name)])
def test_memory_of_r50_at_its_full_size(name, tmp_path):
    """From a kept export, an image after the other; the bound is that of docs/speed.md."""
    code = OPEN.format(name=name, folder=tmp_path)
    run_python(code + "kind.write(build_solov2(get_config(3)), folder)")
    done = run_python(code + "engine = kind(folder, 2)\n"
                             "images = np.ones((1, 3, 800, 1344), np.float32)\n"
                             "for _ in range(3): outputs = engine(images)\n"
                             "print(runtime.peak_memory())")
    assert 0.5 < int(done.stdout.split()[-1]) / 2 ** 30 < 1.8


@pytest.fixture
def own_weights(tiny, tmp_path, monkeypatch):
    """(config, weights) in a folder of their own, and a user cache of their own."""
    cfg, weights = tiny
    path = tmp_path / "own.pdparams"
    path.write_bytes(open(weights, "rb").read())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    return cfg, str(path)


def exports(weights):
    """The names of the cached exports, without suffix."""
    return sorted({path.name for folder in cache.cache_folders(weights)
                   for path in folder.glob("*")})


@pytest.mark.parametrize("name", [ANY])
def test_an_export_is_made_once_and_again_when_stale(name, own_weights, capsys):
    cfg, weights = own_weights
    Predictor(cfg, weights, "cpu", name)
    first = exports(weights)
    assert len(first) == 1 and "exporting" in capsys.readouterr().err
    Predictor(cfg, weights, "cpu", name)
    assert exports(weights) == first and "exporting" not in capsys.readouterr().err
    save_weights(weights, to_arrays(realistic(cfg, seed=1).state_dict()), meta_of(cfg, ["a", "b"]))
    Predictor(cfg, weights, "cpu", name)
    assert len(exports(weights)) == 1 and exports(weights) != first


@pytest.mark.parametrize("name", [ANY])
def test_a_folder_that_cannot_be_written(name, own_weights, capsys):
    cfg, weights = own_weights
    beside, user = cache.cache_folders(weights)
    beside.write_text("a file where the folder should be")
    Predictor(cfg, weights, "cpu", name)
    assert f"the export is kept in '{user}'" in capsys.readouterr().err
    Predictor(cfg, weights, "cpu", name)
    assert "exporting" not in capsys.readouterr().err and len(exports(weights)) == 1


@pytest.mark.parametrize("name", KINDS[:2])
def test_two_exports_at_once(name, own_weights):
    cfg, weights = own_weights
    arrived, found = threading.Barrier(2), []

    def build_model():
        arrived.wait(60)                       # both have seen that there is no export
        return realistic(cfg)

    def run():
        found.append(open_engine(name, "cpu", weights, cfg, build_model)[0])

    workers = [threading.Thread(target=run) for _ in range(2)]
    [worker.start() for worker in workers]
    [worker.join() for worker in workers]
    assert len(found) == 2 and len(exports(weights)) == 1


@pytest.mark.parametrize("name", KINDS)
def test_half_precision_is_used_or_said_to_be_missing(name, tiny):
    cfg, weights = tiny
    engine, note = open_engine(name, "cpu", weights, cfg, lambda: realistic(cfg), "half")
    exact, _ = open_engine(name, "cpu", weights, cfg, lambda: realistic(cfg))
    images = np.random.default_rng(3).normal(size=(1, 3, 64, 64)).astype(np.float32)
    error = deviation(engine(images), exact(images))
    if EXPORTED[name].half():
        assert note == "" and 1e-4 < error < HALF_TOLERANCE
    else:
        assert note == f"{name} has no half precision on this processor: float32" and error == 0


def test_bf16_of_openvino_where_the_processor_lacks_it(tiny, monkeypatch):
    """The hint alone, forced: what runs then is still the network."""
    pytest.importorskip("openvino", reason="openvino is not installed (requirements.txt)")
    cfg, weights = tiny
    exact, _ = open_engine("openvino", "cpu", weights, cfg, lambda: realistic(cfg))
    monkeypatch.setattr(OpenVino, "half", staticmethod(lambda: "bf16"))
    engine, note = open_engine("openvino", "cpu", weights, cfg, lambda: realistic(cfg), "half")
    images = np.random.default_rng(3).normal(size=(1, 3, 96, 160)).astype(np.float32)
    assert note == "" and deviation(engine(images), exact(images)) < HALF_TOLERANCE


def test_an_export_that_differs_is_refused_and_not_kept(own_weights, monkeypatch):
    cfg, weights = own_weights
    monkeypatch.setattr(choice, "FAST", (EXPORTED[ANY],))
    monkeypatch.setattr(choice, "LAST", ())
    folded = network.folded
    monkeypatch.setattr(network, "folded", lambda conv, norm=None: [
        part if part is None else part * np.float32(1.001) for part in folded(conv, norm)])
    with pytest.raises(UserError, match=f"'{ANY}' .* differs from dygraph by"):
        Predictor(cfg, weights, "cpu", ANY)
    assert exports(weights) == []
    predictor = Predictor(cfg, weights, "cpu", "auto")
    assert predictor.engine.name == "dygraph" and "differs" in predictor.engine_choice


def test_results_that_are_not_numbers_are_refused_and_errors_are_told(own_weights, monkeypatch):
    cfg, weights = own_weights
    monkeypatch.setattr(engine_exports, "difference", lambda engine, reference: float("nan"))
    with pytest.raises(UserError, match=f"'{ANY}' .* differs from dygraph by nan"):
        Predictor(cfg, weights, "cpu", ANY)

    def fail(engine, reference):
        raise NotImplementedError("no such operator")

    monkeypatch.setattr(engine_exports, "difference", fail)
    with pytest.raises(UserError, match=f"'{ANY}' .* cannot run .*: no such operator"):
        Predictor(cfg, weights, "cpu", ANY)
    assert exports(weights) == []


def test_an_engine_that_cannot_be_used_is_an_error(tiny):
    with pytest.raises(UserError, match="unknown engine 'tensorrt': expected auto, ncnn, onnx"):
        open_engine("tensorrt", "cpu", tiny[1], tiny[0], None)
    with pytest.raises(UserError, match="runs on the CPU, not on 'gpu:0': add --device cpu"):
        open_engine("openvino", "gpu:0", tiny[1], tiny[0], None)
    with pytest.raises(UserError, match="unknown precision 'bf16': expected float32, half, int8"):
        open_engine("auto", "cpu", tiny[1], tiny[0], None, "bf16")
    with pytest.raises(UserError, match="int8 is OpenVINO's on the CPU"):
        open_engine("ncnn", "cpu", tiny[1], tiny[0], None, "int8")
    with pytest.raises(UserError, match="calibration images are for --precision int8"):
        open_engine("auto", "cpu", tiny[1], tiny[0], None, "half", (["a.jpg"], None))
    with pytest.raises(UserError, match="'openvino' does not run on 'vulkan:0'"):
        open_engine("openvino", "vulkan:0", tiny[1], tiny[0], None)


@pytest.mark.parametrize("error", [RuntimeError("no\nmemory"), MemoryError(), KeyError("blob")])
def test_an_engine_that_fails_at_an_image_is_one_sentence(error, tiny, monkeypatch):
    predictor = Predictor(*tiny, "cpu", ANY)

    def fail(self, images):
        raise error
    monkeypatch.setattr(EXPORTED[ANY], "__call__", fail)
    with pytest.raises(UserError, match=f"engine '{ANY}' .* cannot run the network: .+") as caught:
        predictor(np.zeros((40, 50, 3), np.uint8))
    assert "\n" not in str(caught.value)


def test_odd_words_for_devices_and_precisions(tiny):
    for device in (None, 0, "cuda", "GPU"):
        with pytest.raises(UserError, match=f"unknown device '{device}': expected auto, cpu, gpu"):
            Predictor(*tiny, device)
    with pytest.raises(UserError, match="'openvino-int8' computes in 8 bits, not in half"):
        Predictor(*tiny, "cpu", "openvino-int8", "half")
    with pytest.raises(UserError, match="unknown precision 'fp16'"):
        Predictor.open("quickstart", precision="fp16")


def test_calibration_leaves_out_what_cannot_be_read_and_keeps_what_was_made(
        own_weights, tmp_path, capsys):
    pytest.importorskip("nncf", reason="nncf is not installed (requirements-extras.txt)")
    cfg, weights = own_weights
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    cv2.imwrite(str(good), np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8))
    bad.write_bytes(good.read_bytes()[:100])
    Predictor(cfg, weights, "cpu", precision="int8", calibration=[bad, good])
    told = capsys.readouterr().err
    assert "left out of the calibration: " in told and "bad.png" in told and "from 1 images" in told
    with pytest.raises(UserError, match="none of the calibration images can be read: .*bad.png"):
        Predictor(cfg, weights, "cpu", precision="int8", calibration=bad)
    assert Predictor(cfg, weights, "cpu", precision="int8").engine.precision == "int8"
