"""Exports with decoding: the predictor's results, from files that need none of our code."""
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import paddle
import pytest

from config import get_config
from tests.builders import TINY, realistic
from tests.test_engines import installed
from tools.data.transforms import pad_to_divisor
from tools.engines.check import flat
from tools.errors import UserError
from tools.export import __main__ as export
from tools.export import predict_example, predict_numpy_example
from tools.inference.predictor import Predictor
from tools.weights.weights_file import meta_of, save_weights, to_arrays

ROOT = Path(__file__).resolve().parent.parent
FORMATS = [pytest.param("onnx", marks=pytest.mark.skipif(
    not installed("onnxruntime"), reason="onnx or onnxruntime is not installed")), "paddle"]
FOLDERS = [pytest.param(name, marks=pytest.mark.skipif(
    not installed(name), reason=f"{name} or onnx is not installed"))
    for name in ("ncnn", "openvino")]


def save(folder, name, **settings):
    """Weights of a tiny network that finds something everywhere, and its config."""
    cfg = get_config("quickstart", **TINY, num_classes=2, **settings)
    model = realistic(cfg, seed=3)
    model.head.category_pred.bias.set_value(np.float32([0.5, -1]))
    bias = np.random.default_rng(0).normal(0, 1, 8).astype(np.float32)
    model.head.kernel_pred.bias.set_value(bias)
    path = str(folder / f"{name}.pdparams")
    save_weights(path, to_arrays(model.state_dict()), meta_of(cfg, ["circle", "square"]))
    return cfg, path


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return save(tmp_path_factory.mktemp("weights"), "tiny")


def exported(weights, kind, tmp_path, *override):
    """(run, about, predictor) of an export by the command line."""
    cfg, path = weights
    output = tmp_path / f"model.{kind}"
    settings = [f"{key}={value}" for key, value in TINY.items()]
    export.main(["--weights", path, "--format", kind, "--output", str(output),
                 "-o", *settings, *override])
    run, about = predict_example.load(str(output))
    return run, about, Predictor(cfg.replace(max_candidates=about["max_candidates"]), path, "cpu",
                                  "dygraph")


@pytest.mark.parametrize("settings", [
    {}, {"resize_library": "pil", "channel_order": "bgr"},
    {"nms_kernel": "linear", "update_threshold": 1e-4},
    {"resized_size_rule": "fractional", "normalize_first": True}], ids=str)
@pytest.mark.parametrize("kind", FORMATS)
def test_the_example_finds_what_the_predictor_finds(kind, settings, tmp_path):
    saved = save(tmp_path, "tiny", **settings)
    run, about, predictor = exported(saved, kind, tmp_path, "max_candidates=774",
                                     *(f"{key}={value}" for key, value in settings.items()))
    assert about["class_names"] == ["circle", "square"] and about["config"] == "quickstart"
    for size in ((50, 91), (120, 40), (1, 300)):
        image = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
        scores, class_indices, masks = predict_example.predict(run, about, image)
        expected = predictor(image)
        assert len(scores) == len(expected) > 5 and masks.shape == expected.masks.shape
        np.testing.assert_allclose(scores, expected.scores, rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(class_indices, expected.class_indices)
        assert (masks != expected.masks).mean() < 1e-3


@pytest.mark.parametrize("kind", FORMATS)
def test_shapes_are_fixed_and_images_of_a_batch_do_not_mix(kind, weights, tmp_path):
    run, about, _ = exported(weights, kind, tmp_path, "max_per_image=7")
    images = np.random.default_rng(2).normal(size=(2, 3, 64, 96)).astype(np.float32)
    batch = run(images)
    assert batch["count"].tolist() == [7, 7] and batch["scores"].shape == (2, 7)
    assert batch["class_indices"].shape == (2, 7) and batch["class_indices"].dtype == np.int64
    assert batch["masks"].shape == (2, 7, 16, 24) and batch["masks"].dtype == np.float32
    second = run(images[1:])
    np.testing.assert_allclose(batch["scores"][1], second["scores"][0], rtol=1e-4)
    np.testing.assert_allclose(batch["masks"][1], second["masks"][0], atol=1e-3)


@pytest.mark.parametrize("kind", FORMATS)
def test_nothing_found(kind, weights, tmp_path):
    run, about, _ = exported(weights, kind, tmp_path, "score_threshold=0.999")
    scores, class_indices, masks = predict_example.predict(run, about,
                                                           np.zeros((30, 40, 3), np.uint8))
    assert len(scores) == len(class_indices) == 0 and masks.shape == (0, 30, 40)
    outputs = run(np.zeros((1, 3, 64, 64), np.float32))
    assert not any(value.any() for value in outputs.values())


def test_the_onnx_file_is_valid_and_plain(weights, tmp_path):
    onnx = pytest.importorskip("onnx")
    cfg, path = weights
    export.main(["--weights", path, "--output", str(tmp_path / "m.onnx"), "-o",
                 *(f"{key}={value}" for key, value in TINY.items())])
    model = onnx.load(tmp_path / "m.onnx")
    onnx.checker.check_model(model, full_check=True)
    operators = {node.op_type for node in model.graph.node}
    assert not operators & {"If", "Loop", "Scan", "NonZero", "NonMaxSuppression", "Unique"}
    assert [opset.version for opset in model.opset_import] == [19]


@pytest.mark.parametrize("kind", FORMATS)
def test_the_example_runs_alone(kind, weights, tmp_path):
    """As a script, from a folder without our code; the ONNX one without Paddle either."""
    exported(weights, kind, tmp_path)
    cv2.imwrite(str(tmp_path / "photo.png"), np.full((40, 50, 3), 90, np.uint8))
    block = "import sys; sys.modules['paddle'] = None; " if kind == "onnx" else ""
    script = tmp_path / "example.py"
    script.write_text(block + "import sys\n" + Path(predict_example.__file__).read_text())
    done = subprocess.run([sys.executable, "-I", str(script), f"model.{kind}", "photo.png"],
                          cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "circle" in done.stdout and "pixels" in done.stdout


def test_dygraph_mode_is_back_after_an_export(weights, tmp_path):
    exported(weights, "paddle", tmp_path)
    assert paddle.in_dynamic_mode()


def test_eight_bits(tmp_path, monkeypatch):
    pytest.importorskip("nncf", reason="nncf is not installed (requirements-extras.txt)")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    cfg, path = get_config("quickstart"), str(tmp_path / "own.pdparams")
    shutil.copy(ROOT / "weights" / "quickstart.pdparams", path)
    with pytest.raises(UserError, match=r"no 8-bit network of .* give --calibration"):
        Predictor(cfg, path, "cpu", "openvino-int8")
    export.main(["--weights", path, "--format", "openvino-int8", "--calibration",
                 f"{ROOT}/images/test"])
    exact, rounded = (Predictor(cfg, path, "cpu", name) for name in ("dygraph", "openvino-int8"))
    assert rounded.engine_choice.startswith("openvino int8 ")
    images, _ = exact.preprocess(cv2.imread(f"{ROOT}/images/test/000001.jpg"))
    images = pad_to_divisor([images], 32)
    errors = [np.abs(ours - theirs).mean() / theirs.std() for ours, theirs in
              zip(flat(rounded.engine(images)), flat(exact.engine(images)), strict=True)]
    assert 1e-3 < max(errors) < 0.1                    # it is rounded, and still the same network


@pytest.mark.parametrize("arguments", [["--format", "openvino-int8"], ["--calibration", "images"]])
def test_calibration_and_eight_bits_need_each_other(arguments):
    with pytest.raises(UserError, match="need each other"):
        export.main(arguments)


def test_a_missing_package_is_one_sentence(weights, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tools.export.onnx_file", None)
    with pytest.raises(UserError, match="--format onnx needs more .*requirements.txt"):
        exported(weights, "onnx", tmp_path)


def exported_network(weights, kind, folder, *more):
    """(run, about, predictor) of the network alone."""
    cfg, path = weights
    output = str(folder / kind)
    export.main(["--weights", path, "--format", kind, "--output", output,
                 "-o", *(f"{key}={value}" for key, value in TINY.items()), *more])
    return *predict_numpy_example.load(output), Predictor(cfg, path, "cpu", "dygraph")


@pytest.mark.parametrize("settings", [{}, {
    "nms_kernel": "linear", "update_threshold": 1e-4, "channel_order": "bgr"}, {
    "resized_size_rule": "fractional", "normalize_first": True}, {
    "resized_size_rule": "fractional"}], ids=str)
@pytest.mark.parametrize("kind", FOLDERS)
def test_the_numpy_example_finds_what_the_predictor_finds(kind, settings, tmp_path):
    run, about, predictor = exported_network(save(tmp_path, "tiny", **settings), kind, tmp_path,
                                             *(f"{key}={value}" for key, value in settings.items()))
    images = np.random.default_rng(2).normal(size=(1, 3, 64, 96)).astype(np.float32)
    scores, class_indices, probs = predict_numpy_example.decode(run(images), about)
    expected, = predictor.predict_tensor(images, [(64, 96)], [(64, 96)])
    assert len(scores) == len(expected) > 5 and probs.shape[1:] == (16, 24)
    np.testing.assert_allclose(scores, expected.scores, rtol=1e-3, atol=1e-5)
    np.testing.assert_array_equal(class_indices, expected.class_indices)
    for size in ((50, 91), (1, 300)):
        image = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
        whole, found = predictor(image), predict_numpy_example.predict(run, about, image)
        assert abs(len(found[0]) - len(whole)) <= 1 and found[2].shape[1:] == size
        assert abs(found[2].mean() - whole.masks.mean()) < 0.01  # near the threshold


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory):
    """quickstart(kind) -> (its example, run, about) for an export of the bundled weights."""
    folder = tmp_path_factory.mktemp("exports")

    def export_once(kind):
        output = folder / f"quickstart.{kind}"
        example = predict_numpy_example if kind in ("ncnn", "openvino") else predict_example
        if not output.exists():
            export.main(["--weights", str(ROOT / "weights/quickstart.pdparams"), "--format", kind,
                         "--output", str(output)])
        return example, *example.load(str(output))
    return export_once


def odd_images():
    """{name: image} of sizes and kinds that are rare, cut from a picture with objects."""
    image = cv2.imread(str(ROOT / "images/test/000001.jpg"))
    alpha = np.full(image.shape[:2], 40, np.uint8)
    return {"one pixel": image[100:101, 100:101], "wide": np.tile(image[100:104], (1, 8, 1)),
            "tall": np.tile(image[:, 100:103], (9, 1, 1)), "grey": image[..., 1],
            "grey, one channel": image[..., :1], "alpha": np.dstack([image, alpha]),
            "odd": cv2.resize(image, (333, 217)), "large": cv2.resize(image, (1500, 1100))}


@pytest.mark.parametrize("kind", [*FORMATS, *FOLDERS])
def test_examples_find_the_same_in_odd_images(kind, quickstart):
    example, run, about = quickstart(kind)
    predictor = Predictor("quickstart", ROOT / "weights/quickstart.pdparams", "cpu", "dygraph")
    for name, image in odd_images().items():
        scores, class_indices, masks = example.predict(run, about, image)
        expected = predictor(image)
        assert class_indices.tolist() == expected.class_indices.tolist(), name
        np.testing.assert_allclose(scores, expected.scores, atol=2e-3, err_msg=name)
        assert masks.shape == expected.masks.shape, name
        assert len(masks) == 0 or (masks != expected.masks).mean() < 1e-4, name


def test_pixels_are_resized_as_by_opencv():
    image = np.random.default_rng(0).integers(0, 256, (97, 131, 3), np.uint8)
    for size in ((97, 131), (64, 86), (200, 270), (1, 7)):
        ours = predict_numpy_example.resize_pixels(image, size)
        theirs = cv2.resize(image, size[::-1]).astype(int)
        assert np.abs(ours - theirs).max() <= 1 and (ours != theirs).mean() < 0.02


def test_files_that_the_numpy_example_reads(tmp_path):
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    for name, header, expected in (("a.ppm", b"P6 4 2 255\n", pixels[..., ::-1]),
                                   ("b.PPM", b"P6\n# by hand 1 2\n4\n2 255 ", pixels[..., ::-1]),
                                   ("c.pgm", b"P5\n12 2\n255\n", pixels.reshape(2, 12, 1))):
        (tmp_path / name).write_bytes(header + pixels.tobytes())
        np.testing.assert_array_equal(predict_numpy_example.read_image(str(tmp_path / name)),
                                      expected)
    for name, content in (("d.ppm", b"P3 1 1 255\n1 2 3"), ("e.ppm", b"P6 1 1 65535\n123456"),
                          ("f.ppm", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SystemExit, match="expected a binary"):
            predict_numpy_example.read_image(str(tmp_path / name))


@pytest.mark.parametrize("example", [predict_example, predict_numpy_example])
def test_an_example_without_arguments_says_how(example, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["example.py"])
    with pytest.raises(SystemExit, match="Segment one image"):
        example.main()


@pytest.mark.skipif(not (installed("ncnn") and installed("openvino")), reason="needs both engines")
def test_one_export_takes_the_place_of_another(weights, tmp_path):
    """Both have a network.bin: what is left of the first would be run with the second's."""
    (tmp_path / "ncnn").mkdir()
    (tmp_path / "ncnn" / "notes.txt").write_text("mine")
    exported_network(weights, "ncnn", tmp_path)
    (tmp_path / "ncnn").rename(tmp_path / "openvino")
    run, about, predictor = exported_network(weights, "openvino", tmp_path)
    names = sorted(path.name for path in (tmp_path / "openvino").iterdir())
    assert names == ["network.bin", "network.xml", "notes.txt", "solov2.json"]
    image = np.random.default_rng(1).integers(0, 256, (64, 96, 3), np.uint8)
    assert len(predict_numpy_example.predict(run, about, image)[0]) == len(predictor(image))


@pytest.mark.parametrize("kind", FOLDERS)
def test_an_export_never_replaces_its_weights_or_a_file(kind, weights, tmp_path):
    before = Path(weights[1]).read_bytes()
    (tmp_path / kind).write_text("mine")
    with pytest.raises(UserError, match="is no folder, which this format needs"):
        exported_network(weights, kind, tmp_path)
    with pytest.raises(UserError, match="is the weights file that was read"):
        export.main(["--weights", weights[1], "--format", "onnx", "--output", weights[1],
                     "-o", *(f"{key}={value}" for key, value in TINY.items())])
    assert Path(weights[1]).read_bytes() == before
    assert (tmp_path / kind).read_text() == "mine"


@pytest.mark.parametrize("kind", FOLDERS)
def test_the_numpy_example_runs_alone(kind, weights, tmp_path):
    """As a script, with numpy and its engine only."""
    exported_network(weights, kind, tmp_path)
    pixels = np.full((40, 50, 3), 90, np.uint8)
    (tmp_path / "photo.ppm").write_bytes(b"P6 50 40 255\n" + pixels.tobytes())
    script = tmp_path / "example.py"
    blocked = "import sys; sys.modules.update(dict.fromkeys(['paddle', 'cv2', 'PIL', 'onnx']))\n"
    script.write_text(blocked + Path(predict_numpy_example.__file__).read_text())
    done = subprocess.run([sys.executable, "-I", str(script), kind, "photo.ppm"],
                          cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "circle" in done.stdout and "pixels" in done.stdout
    np.testing.assert_array_equal(predict_numpy_example.read_image(str(tmp_path / "photo.ppm")),
                                  pixels)


def test_ncnn_says_what_it_cannot_hold(tmp_path):
    saved = save(tmp_path, "tiny", backbone_groups=2, backbone_group_width=64, backbone_dcn=1,
                 backbone_dcn_stages=(3,), backbone_depth=50)
    with pytest.raises(UserError, match="ncnn has no deformable convolution with groups"):
        export.write_ncnn(Predictor(saved[0], saved[1], "cpu", "dygraph"), tmp_path / "out", "")
