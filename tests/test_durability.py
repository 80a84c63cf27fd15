"""Nothing of a run is lost: broken checkpoints, mixed-up runs, kills at any moment."""
import errno
import json
import multiprocessing
import os
import random
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from tests.builders import make_trainer
from tests.training_process import (
    NUM_STEPS,
    content,
    evaluate_as_in_train,
    own_for,
    train,
    train_as_script,
)
from tools.errors import UserError
from tools.files import remove_leftovers
from tools.training import run_lock
from tools.training.run_lock import own_folder
from tools.training.run_log import RunLog, read_log
from tools.training.run_state import (
    checkpoint_paths,
    find_checkpoint,
    open_run,
    read_checkpoint,
)
from tools.training.start import resume_training
from tools.weights.weights_file import read_weights

KILLS, KILLS_IN_A_SAVE = 6, 3      # python -m tests.faults: as many as one likes
SIGNALS = 10                       # of each kind


# -- broken checkpoints ----------------------------------------------------------------------------

@pytest.fixture
def finished_run(tiny_cfg):
    """A run of 6 steps with checkpoints at 2, 4 and 6."""
    make_trainer(tiny_cfg, 6).run()
    return tiny_cfg


def damage(path, kind):
    data = bytearray(Path(path).read_bytes())
    if kind == "bit":
        data[len(data) // 2] ^= 1
    elif kind == "zeros":
        data[4096:] = bytes(len(data) - 4096)
    elif kind == "foreign":
        data = b"\x80\x04}."
    else:
        data = data[:{"cut": len(data) // 2, "empty": 0}[kind]]
    Path(path).write_bytes(data)


@pytest.mark.parametrize("kind", ["bit", "zeros", "cut", "empty", "foreign"])
def test_resume_passes_over_broken_checkpoints(finished_run, capsys, kind):
    paths = checkpoint_paths(finished_run.run_dir)
    expected = read_weights(f"{finished_run.run_dir}/last.pdparams")[0]
    for path in paths[1:]:
        damage(path, kind)
    trainer = make_trainer(finished_run, 6)
    resume_training(trainer)
    said = capsys.readouterr().out
    assert trainer.step == 2 and said.count("passed over: ") == 2
    assert all(path in said for path in paths[1:]) and f"resumed: {paths[0]} at step 2" in said
    assert said.count(paths[0]) == 1
    trainer.run()
    assert [os.path.basename(path) for path in checkpoint_paths(finished_run.run_dir)] == \
        [f"checkpoint_000000{step}.pdstate" for step in (2, 4, 6)]
    assert Path(f"{paths[2]}.1").exists() and "later than step 2, is now" in capsys.readouterr().out
    found = read_weights(f"{finished_run.run_dir}/last.pdparams")[0]
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_resume_from_any_checkpoint_ends_in_the_same_bytes(tiny_cfg):
    cfg = tiny_cfg.replace(ema_decay=0.9, log_every=3, eval_every=4, keep_checkpoints=4)
    train(cfg, NUM_STEPS)
    whole, paths = content(cfg.run_dir), checkpoint_paths(cfg.run_dir)
    for path in paths[:-1]:
        trainer = make_trainer(cfg, NUM_STEPS)
        resume_training(trainer, path)
        os.remove(f"{cfg.run_dir}/last.pdparams")
        evaluate_as_in_train(trainer)
        trainer.run()
        assert content(cfg.run_dir) == whole
    assert len(list(Path(cfg.run_dir).glob("checkpoint_*.pdstate.*"))) == 1 + 2 + 3


def test_all_broken_is_one_error(finished_run):
    paths = checkpoint_paths(finished_run.run_dir)
    for path, kind in zip(paths, ("bit", "cut", "foreign"), strict=True):
        damage(path, kind)
    with pytest.raises(UserError, match="every checkpoint is broken") as error:
        find_checkpoint(finished_run.run_dir, "auto")
    text = str(error.value)
    assert all(path in text for path in paths) and "checksum" in text and "not a training" in text


def test_a_broken_later_checkpoint_never_outlives_the_whole_one(finished_run):
    """With keep_checkpoints=1 a broken one of a later step must not count as the newest."""
    cfg = finished_run.replace(keep_checkpoints=1, checkpoint_every=3)
    damage(checkpoint_paths(cfg.run_dir)[2], "cut")
    trainer = make_trainer(cfg, 6)
    resume_training(trainer)
    batches = trainer.make_batches

    def two_steps(first, end):
        yield from batches(first, first + 1)
        raise KeyboardInterrupt

    trainer.make_batches, trainer.cfg = two_steps, cfg.replace(checkpoint_every=1)
    with pytest.raises(KeyboardInterrupt):
        trainer.run()
    assert read_checkpoint(checkpoint_paths(cfg.run_dir)[-1])["step"] == 5


# -- the folder of a run ---------------------------------------------------------------------------

def test_a_new_run_does_not_mix_with_an_earlier_one(finished_run, capsys):
    before = sorted(os.listdir(finished_run.run_dir))
    second = make_trainer(finished_run, 4)
    second.run()
    assert f"is now {finished_run.run_dir}.1" in capsys.readouterr().out
    assert sorted(os.listdir(f"{finished_run.run_dir}.1")) == before
    assert [read_checkpoint(path)["step"] for path in checkpoint_paths(finished_run.run_dir)] == \
        [2, 4]
    assert [record["step"] for record in read_log(f"{finished_run.run_dir}/log.jsonl")] == [2, 4]


def test_open_run_clears_leftovers_and_later_records(tiny_cfg):
    folder = Path(tiny_cfg.run_dir)
    folder.mkdir(parents=True)
    (folder / ".best.pdparams.0123.tmp").write_bytes(b"half")
    (folder / "log.jsonl").write_text('{"step": 2}\n{"step": 4}\n{"step": 4, "AP": NaN}\n{"st'
                                      '\nnull\n[]\n{"step": "6"}\n{"step": 6}\n{"step": 8')
    log = open_run(tiny_cfg.replace(visualdl=False), 4)
    log.append({"step": 6, "loss": 1.5})
    assert sorted(os.listdir(folder)) == ["log.jsonl", "settings.json"]
    assert (folder / "log.jsonl").read_text() == \
        '{"step": 2}\n{"step": 4}\n{"step": 4, "AP": NaN}\n{"step": 6, "loss": 1.5}\n'
    assert json.loads((folder / "settings.json").read_text())["fpn_channels"] == 16
    assert read_log(folder / "none.jsonl") == []


def test_visualdl_follows_the_log(tmp_path):
    """After a resume it holds what log.jsonl holds, no step twice."""
    reader = pytest.importorskip("visualdl").LogReader
    RunLog(tmp_path, 0, visualdl=True).append({"step": 2, "loss": 3.0})
    RunLog(tmp_path, 2, visualdl=True).append({"step": 4, "loss": 2.0})
    RunLog(tmp_path, 2, visualdl=True).append({"step": 6, "loss": 1.0})
    file, = (tmp_path / "visualdl").iterdir()
    scalars = reader(file_path=str(file)).get_data("scalar", "train/loss")
    assert [(scalar.id, scalar.value) for scalar in scalars] == [(2, 3.0), (6, 1.0)]


# -- kills -----------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def processes():
    """Processes forked from a server that has imported Paddle, with one thread each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.conftest", "tests.training_process"])
        yield context


def start(processes, cfg, pause=0.0):
    process = processes.Process(target=train, args=(cfg, NUM_STEPS, pause))
    process.start()
    return process


def half_written(cfg):
    return list(Path(cfg.run_dir).glob(".checkpoint_*.tmp"))


def kill(processes, cfg, seconds):
    """Start or continue a run, kill it after `seconds`; 1, or 0 if it had ended before."""
    process = start(processes, cfg)
    process.join(seconds)
    process.kill()
    process.join()
    return int(process.exitcode == -signal.SIGKILL)


def kill_in_a_save(processes, cfg, seconds):
    """The same while a checkpoint is written, `seconds` after that has begun."""
    remove_leftovers(cfg.run_dir)
    process = start(processes, cfg, pause=0.003)
    while process.is_alive() and not half_written(cfg):
        time.sleep(0.002)
    time.sleep(seconds)
    process.kill()
    process.join()
    return int(process.exitcode == -signal.SIGKILL and bool(half_written(cfg)))


def test_kills_at_any_moment(tiny_cfg, processes, capfd):
    """Runs killed again and again, half of the times while saving, end in the bytes of one that was
    not."""
    rng = random.Random(3)
    cfg = tiny_cfg.replace(ema_decay=0.9, log_every=3, eval_every=4)
    warm_up = processes.Process(target=os.getpid)          # the server imports Paddle
    warm_up.start()
    warm_up.join()
    started = time.monotonic()
    start(processes, cfg).join()
    seconds = time.monotonic() - started
    expected, records = content(cfg.run_dir)
    assert {"last.pdparams", "best.pdparams", "checkpoint_0000008.pdstate"} <= set(expected)
    assert [record["step"] for record in records] == [3, 4, 6, 8, 8]

    kills = kills_in_a_save = 0
    while min(kills - KILLS, kills_in_a_save - KILLS_IN_A_SAVE) < 0:
        shutil.rmtree(cfg.output_dir)
        for _ in range(rng.randint(4, 8)):
            if rng.random() < KILLS_IN_A_SAVE / KILLS:
                killed = kill_in_a_save(processes, cfg, rng.uniform(0, 0.2))
                kills_in_a_save += killed
            else:
                killed = kill(processes, cfg, rng.uniform(0, 0.7 * seconds))
            kills += killed
            for path in checkpoint_paths(cfg.run_dir):
                assert read_checkpoint(path)["step"] == int(path[-11:-8])
        start(processes, cfg).join()
        found, found_records = content(cfg.run_dir)
        assert found_records == records
        assert found.keys() == expected.keys()
        assert [name for name, data in expected.items() if found[name] != data] == []
        assert not list(Path(cfg.run_dir).glob(".*"))
    capfd.readouterr()                                     # what the processes said


def test_signals_at_any_moment(tiny_cfg, processes, capfd):
    """Ctrl-C, SIGTERM and SIGKILL end a run with readers, and it goes on to the same bytes."""
    rng, cfg = random.Random(8), tiny_cfg.replace(ema_decay=0.9, log_every=3, eval_every=4,
                                                      num_workers=1)
    started = time.monotonic()
    start(processes, cfg).join()
    seconds = time.monotonic() - started
    expected, records = content(cfg.run_dir)
    codes = {signal.SIGINT: {130, -signal.SIGINT}, signal.SIGTERM: {143, -signal.SIGTERM},
             signal.SIGKILL: {-signal.SIGKILL}}
    shutil.rmtree(cfg.output_dir)
    for number in [*codes] * SIGNALS:
        if Path(f"{cfg.run_dir}/last.pdparams").exists():
            assert content(cfg.run_dir) == (expected, records)
            shutil.rmtree(cfg.output_dir)
        process = processes.Process(target=train_as_script, args=(cfg, NUM_STEPS))
        process.start()
        process.join(rng.uniform(0, seconds))
        if process.is_alive():
            os.kill(process.pid, number)
        sent = time.monotonic()
        process.join(30)                               # 3 seconds, of a machine that is not busy
        assert process.exitcode in {0, *codes[number]}, (number, time.monotonic() - sent)
    start(processes, cfg).join()
    assert content(cfg.run_dir) == (expected, records)
    capfd.readouterr()


def test_a_run_owns_its_folder(tiny_cfg, processes):
    """Until its process ends, although a reader that it forked lives on."""
    run_dir = tiny_cfg.run_dir
    owner = processes.Process(target=own_for, args=(30, run_dir))
    Path(run_dir).mkdir(parents=True)
    owner.start()
    deadline = time.monotonic() + 30
    while not Path(run_dir, "owned").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    with pytest.raises(UserError, match=rf"another run \(process {owner.pid} on .*output_dir="):
        make_trainer(tiny_cfg, 2).run()
    owner.kill()
    owner.join()
    own_folder(run_dir)
    own_folder(run_dir)                                # a second Trainer of the same process may


@pytest.mark.parametrize("code, message", [(errno.ENOLCK, "has no locks"), (errno.EIO, None)])
def test_where_locks_do_not_work_it_is_said(tmp_path, monkeypatch, code, message):
    def lockf(file, flags):
        raise OSError(code, os.strerror(code))

    said = []
    monkeypatch.setattr(run_lock.fcntl, "lockf", lockf)
    if message is None:
        with pytest.raises(UserError, match="cannot lock"):
            own_folder(tmp_path / "run", said.append)
    else:
        own_folder(tmp_path / "run", said.append)
        assert message in said[0]
    monkeypatch.setattr(run_lock, "fcntl", None)
    own_folder(tmp_path / "other", said.append)
    assert "no locks on this system" in said[-1]


def test_a_clock_that_goes_back_changes_nothing(tiny_cfg, monkeypatch):
    make_trainer(tiny_cfg, 4).run()
    expected = read_weights(f"{tiny_cfg.run_dir}/last.pdparams")[0]
    clock = iter(range(2_000_000_000, 0, -86_400))
    monkeypatch.setattr(time, "time", lambda: float(next(clock)))
    cfg = tiny_cfg.replace(output_dir=tiny_cfg.output_dir + "_back")
    trainer = make_trainer(cfg, 4)
    trainer.run()
    records = read_log(f"{cfg.run_dir}/log.jsonl")
    assert all(record["eta_s"] >= 0 and record["step_s"] > 0 for record in records)
    resume_training(make_trainer(cfg, 4))
    found = read_weights(f"{cfg.run_dir}/last.pdparams")[0]
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_an_evaluation_that_sigterm_breaks_off_is_made_up_for(tiny_cfg):
    """The run continues with it: log and weights are those of a run that was not disturbed."""
    cfg = tiny_cfg.replace(ema_decay=0.9, eval_every=4)
    train(cfg, NUM_STEPS)
    expected = content(cfg.run_dir)
    shutil.rmtree(cfg.output_dir)
    trainer = make_trainer(cfg, NUM_STEPS)

    def evaluate(model):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)

    trainer.evaluate = evaluate
    started = time.monotonic()
    trainer.run()
    assert trainer.terminated and trainer.step == 4 and time.monotonic() - started < 30
    train(cfg, NUM_STEPS)
    assert content(cfg.run_dir) == expected


def is_running(pid):
    """Whether a process of Linux exists and is no zombie."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return False


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="no /proc")
def test_readers_of_a_killed_run_end_too(tiny_cfg, processes):
    """They free their shared memory: a run that is killed again and again must not fill it."""
    cfg = tiny_cfg.replace(num_workers=2)
    process = start(processes, cfg)
    while process.is_alive() and not checkpoint_paths(cfg.run_dir):
        time.sleep(0.01)
    readers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL and len(readers) == 2
    deadline = time.monotonic() + 20
    while any(map(is_running, readers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_running, readers))
    assert not [path for pid in readers for path in Path("/dev/shm").glob(f"paddle_{pid}_*")]
