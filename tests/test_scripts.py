"""The scripts as a user runs them: train, stop, resume, evaluate; mistakes are one sentence."""
import json
import shutil
import zipfile
from pathlib import Path

import pytest

from tests.builders import TINY, finds_many, save_network, script, tiny_config
from tools.data.scenes import CLASS_NAMES
from tools.weights.weights_file import read_weights

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def data(shapes_dir):
    """-o arguments of the tiny network on the drawn images."""
    sets = {"train_json": f"{shapes_dir}/train.json", "train_images": f"{shapes_dir}/train",
            "val_json": f"{shapes_dir}/val.json", "val_images": f"{shapes_dir}/val"}
    return [f"{key}={value}" for key, value in {**TINY, **sets}.items()]


def test_train_resume_evaluate(data, tmp_path):
    override = ["-o", *data, f"output_dir={tmp_path}", "max_steps=4"]
    out = script("train.py", *override)
    run_dir = tmp_path / "quickstart"
    assert "start: random weights" in out and "step 4/4" in out and "mask AP" in out
    _, meta = read_weights(str(run_dir / "last.pdparams"))
    assert meta["config"] == "quickstart" and len(meta["class_names"]) == 6
    records = [json.loads(line) for line in (run_dir / "log.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records] == [2, 4, 4]
    (run_dir / "checkpoint_0000004.pdstate").unlink()
    resumed = script("train.py", *override, "--resume")
    assert "at step 2" in resumed and "step 4/4" in resumed
    out = script("eval.py", "-o", *data, "--weights", run_dir / "last.pdparams",
                 "--engine", "dygraph", "--evaluator", "pycocotools",
                 "--results", tmp_path / "found.json",
                 "--report", tmp_path / "report.html")
    assert "evaluator: pycocotools" in out
    assert "segm   AP" in out and "bbox   AP" in out and "triangle" in out
    assert isinstance(json.loads((tmp_path / "found.json").read_text()), list)
    report = (tmp_path / "report.html").read_text(encoding="utf-8")
    for fact in (str(run_dir / "last.pdparams"), data[-2].split("=")[1], "Paddle ",
                 "batch_size=2", "pycocotools ", "device cpu", "dygraph"):
        assert fact in report


@pytest.fixture(scope="module")
def weights(shapes_dir, tmp_path_factory):
    """Random weights of the tiny network that find many things."""
    return save_network(tmp_path_factory.mktemp("weights"), tiny_config(), CLASS_NAMES, finds_many)


def test_results_for_the_server_despite_a_broken_image(data, weights, tmp_path, shapes_dir):
    shutil.copytree(shapes_dir / "val", tmp_path / "images")
    info = json.loads((shapes_dir / "val.json").read_text())
    del info["annotations"]                                  # as in the json of a test set
    (tmp_path / "image_info_some-set.json").write_text(json.dumps(info))
    broken = tmp_path / "images" / info["images"][1]["file_name"]
    broken.write_bytes(broken.read_bytes()[:500])
    out = script("test_dev.py", "-o", *data, f"test_json={tmp_path}/image_info_some-set.json",
                 f"test_images={tmp_path}/images", "--weights", weights,
                 "--output", tmp_path / "server", "--algorithm", "SOLOv2", code=1)
    assert f"skipped: image '{broken}' is truncated" in out and "1 of 4 images were skipped" in out
    written = {path.relative_to(tmp_path / "server").as_posix()
               for path in (tmp_path / "server").rglob("*") if path.is_file()}
    name = "detections_some-set_SOLOv2_results"
    assert written == {"segm.json", "bbox.json", f"segm/{name}.zip", f"bbox/{name}.zip"}
    for kind, key in (("segm", "segmentation"), ("bbox", "bbox")):
        found = json.loads((tmp_path / "server" / f"{kind}.json").read_text())
        assert {row["image_id"] for row in found} == {image["id"] for image in info["images"]
                                                      } - {info["images"][1]["id"]}
        assert all(set(row) == {"image_id", "category_id", "score", key} for row in found)
        with zipfile.ZipFile(tmp_path / "server" / kind / f"{name}.zip") as archive:
            assert archive.namelist() == [f"{name}.json"]
            assert json.loads(archive.read(f"{name}.json")) == found
    out = script("eval.py", "-o", *data, f"val_images={tmp_path}/images", "--weights", weights,
                 code=1)
    assert f"unreadable: image '{broken}' is truncated" in out and "segm   AP" in out
    broken.unlink()
    out = script("test_dev.py", "-o", *data, f"test_json={tmp_path}/image_info_some-set.json",
                 f"test_images={tmp_path}/images", "--weights", weights, code=2)
    assert out.count("error:") == 1 and str(broken) in out


def test_other_classes_are_re_initialised_and_said(data, tmp_path, shapes_dir):
    script("train.py", "-o", *data, f"output_dir={tmp_path}", "max_steps=2")
    content = json.loads((shapes_dir / "train.json").read_text())
    content["categories"] = content["categories"][:2]
    kept = {category["id"] for category in content["categories"]}
    content["annotations"] = [a for a in content["annotations"] if a["category_id"] in kept]
    (tmp_path / "two.json").write_text(json.dumps(content))
    out = script("train.py", "-o", *data, f"output_dir={tmp_path}/two", "max_steps=2", "val_json=",
                 f"train_json={tmp_path}/two.json",
                 f"pretrained={tmp_path}/quickstart/last.pdparams")
    assert "2 tensors re-initialised" in out and "head.category_pred.weight" in out
    assert len(read_weights(f"{tmp_path}/two/quickstart/last.pdparams")[1]["class_names"]) == 2
    out = script("eval.py", "-o", *data, "--weights", f"{tmp_path}/two/quickstart/last.pdparams",
                 code=2)
    assert out.count("error:") == 1 and "the classes of" in out


@pytest.mark.parametrize("arguments, message", [
    (["--config=quickstrat"], "did you mean 'quickstart'"),
    (["--config=99"], "expected 0..16"),
    (["-o", "learning_rat=1"], "the nearest name is 'learning_rate'"),
    (["-o", "x=1"], "config/base.py lists them all"),
    (["-o", "batch_size=many"], "'batch_size' needs int"),
    (["-o", "train_json=/nowhere/a.json"], "/nowhere/a.json"),
    (["--resume", "/nowhere/b.pdstate"], "/nowhere"),
    (["--device", "tpu"], "unknown device 'tpu'"),
])
def test_mistakes_are_one_sentence_and_exit_code_2(data, tmp_path, arguments, message):
    first = [] if arguments[0] == "-o" else arguments
    last = arguments[1:] if arguments[0] == "-o" else []
    out = script("train.py", *first, "-o", *data, f"output_dir={tmp_path}", *last, code=2)
    assert message in out and "Traceback" not in out and out.count("error:") == 1


def test_help_lists_every_config():
    out = script("train.py", "--help")
    assert "solov2_light_r50_vd_fpn_dcn_512_3x" in out and "own_dataset" in out
