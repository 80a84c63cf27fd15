"""Two processes by Paddle's launcher: they train and evaluate as one, and end together."""
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.builders import make_trainer
from tools.cores import available_cores
from tools.runtime import THREADS
from tools.training.start import resume_training
from tools.weights.weights_file import read_weights, to_arrays

ROOT = Path(__file__).resolve().parent.parent
CLEAN = {**{name: value for name, value in os.environ.items() if name != THREADS},
         "PYTHONPATH": str(ROOT)}


def command(log_dir, *arguments, launcher=()):
    return [sys.executable, "-m", "paddle.distributed.launch", "--nproc_per_node", "2",
            "--log_dir", str(log_dir), *launcher, *map(str, arguments)]


def launch(log_dir, *arguments, code=0, launcher=()):
    """What the launcher printed, and the log of each process."""
    done = subprocess.run(command(log_dir, *arguments, launcher=launcher), cwd=ROOT, env=CLEAN,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    logs = [(log_dir / f"workerlog.{rank}").read_text() for rank in (0, 1)]
    assert (done.returncode == 0) == (code == 0), done.stdout + logs[1]
    return done.stdout, logs


def overrides(cfg):
    """-o arguments that make the quick-start config `cfg`."""
    given = filter(cfg.is_overridden, cfg.as_dict())
    return ["-o", *(f"{key}={getattr(cfg, key)}" for key in given)]


def test_sums_objects_errors_and_batch_norm(tmp_path):
    _, logs = launch(tmp_path, ROOT / "tests" / "distributed_checks.py")
    assert logs[0].splitlines()[-1] == "checked" and "checked" not in logs[1]


def test_two_processes_train_as_one(tiny_cfg, tmp_path):
    """All images padded alike, since cells are parts of the padded size; norms learn statistics.

    At a low rate, because such small maps multiply differences of rounding.
    """
    cfg = tiny_cfg.replace(batch_size=4, max_steps=4, val_json="", size_divisor=96,
                           learning_rate=0.001, grad_clip_norm=1.0)
    alone = make_trainer(cfg, 4)
    start = to_arrays(alone.model.state_dict())
    alone.run()
    out, logs = launch(tmp_path / "log", ROOT / "train.py",
                       *overrides(cfg.replace(output_dir=str(tmp_path / "two"))),
                       launcher=("--backend", "gloo"))
    threads = max(1, available_cores() // 2)
    assert f"runtime: {threads} thread" in logs[0] and "in each of 2 processes" in logs[0]
    assert "4 images in 2 processes" in out and "step 4/4" in out and "step" not in logs[1]
    one, two = (read_weights(f"{folder}/quickstart/last.pdparams")[0]
                for folder in (cfg.output_dir, tmp_path / "two"))
    for kind in ("_mean", "_variance", "conv.weight", ""):
        names = [name for name in start if name.endswith(kind)]
        change = np.concatenate([(one[name] - start[name]).ravel() for name in names])
        error = np.concatenate([(two[name] - one[name]).ravel() for name in names])
        assert np.linalg.norm(error) < 0.01 * np.linalg.norm(change), kind
    losses = [[json.loads(line)["loss"] for line in open(f"{folder}/quickstart/log.jsonl")]
              for folder in (cfg.output_dir, tmp_path / "two")]
    assert len(losses[0]) == 2 and losses[1] == pytest.approx(losses[0], rel=1e-4)


def test_evaluation_is_shared(tiny_cfg, tmp_path):
    """Three images, so that the shares differ; in one thread everywhere, so that bits agree."""
    content = json.loads(Path(tiny_cfg.val_json).read_text())
    content["images"] = content["images"][:3]
    kept = {image["id"] for image in content["images"]}
    content["annotations"] = [a for a in content["annotations"] if a["image_id"] in kept]
    (tmp_path / "three.json").write_text(json.dumps(content))
    arguments = [ROOT / "eval.py", "-o", f"val_json={tmp_path}/three.json",
                 f"val_images={tiny_cfg.val_images}", "--results"]
    alone = subprocess.run([sys.executable, *map(str, arguments), tmp_path / "one.json"], cwd=ROOT,
                           env={**CLEAN, THREADS: "1"}, capture_output=True, text=True, check=True)
    out, logs = launch(tmp_path / "log", *arguments, tmp_path / "two.json")
    one, two = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("one", "two"))
    order = lambda result: (str(result["image_id"]), -result["score"], str(result["bbox"]))  # noqa
    assert sorted(two, key=order) == sorted(one, key=order) and len(one) > 3
    table = [line for line in alone.stdout.splitlines() if line.startswith(("segm", "bbox"))]
    assert len(table) == 2 and all(line in logs[0] for line in table) and "segm" not in logs[1]


def test_a_broken_image_of_one_process_ends_all(tiny_cfg, tmp_path):
    shutil.copytree(tiny_cfg.train_images, tmp_path / "images")
    info = json.loads(Path(tiny_cfg.train_json).read_text())["images"]
    broken = tmp_path / "images" / info[2]["file_name"]        # the first of rank 1
    broken.write_bytes(broken.read_bytes()[:300])
    cfg = tiny_cfg.replace(batch_size=4, max_steps=4, shuffle=False, val_json="",
                           train_images=str(tmp_path / "images"), max_broken_images=0.0)
    out, logs = launch(tmp_path / "log", ROOT / "train.py", *overrides(cfg), code=2)
    assert logs[1].count("error:") == 1 and "Traceback" not in out + logs[1]
    for text in (out, logs[1]):                  # rank 0 may be ended before it speaks
        assert f"'{tmp_path}/images/{broken.name}'" in text


@pytest.mark.parametrize("processes", [1, 2])
def test_sigterm_saves_and_ends(tiny_cfg, tmp_path, processes):
    """A launcher signals the groups of its processes, several times, and has a code of its own."""
    cfg = tiny_cfg.replace(batch_size=4, max_steps=100_000, val_json="", checkpoint_every=99_999,
                           num_workers=1)
    script, log = [ROOT / "train.py", *overrides(cfg)], tmp_path / "log"
    start = [sys.executable, *map(str, script)] if processes == 1 else command(log, *script)
    with open(tmp_path / "out", "w") as out:
        job = subprocess.Popen(start, cwd=ROOT, env=CLEAN, stdout=out, stderr=out)
    try:
        records = Path(cfg.run_dir) / "log.jsonl"
        deadline = time.time() + 60
        while time.time() < deadline and not (records.exists() and records.read_text()):
            time.sleep(0.2)
        job.send_signal(signal.SIGTERM)
        code = job.wait(60)
    finally:
        job.kill()
    texts = [path.read_text() for path in (log.glob("workerlog.*") if processes == 2 else
                                           [tmp_path / "out"])]
    resumed = make_trainer(cfg, 100_000)
    resume_training(resumed)
    assert resumed.step >= 2 and len(texts) == processes and (processes == 2 or code == 143)
    text = "".join(texts)
    assert f"ended by SIGTERM after step {resumed.step};" in text and "Traceback" not in text


@pytest.mark.parametrize("changed, message", [
    ({"batch_size": 3, "accumulate_steps": 2}, "batch_size 3 cannot be shared by 1 processes"),
    ({"accumulate_steps": 0}, "accumulate_steps=0"), ({"amp": True}, "amp=true needs a GPU")])
def test_settings_that_cannot_be_served(tiny_cfg, changed, message):
    with pytest.raises(Exception, match=message):
        make_trainer(tiny_cfg.replace(**changed), 2)
