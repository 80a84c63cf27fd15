"""train.py --processes N: a script that starts itself several times, and how that ends."""
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools import launch
from tools.cores import available_cores
from tools.launch import environment, start_processes, without_processes
from tools.runtime import THREADS

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = """
import os, signal, sys, time
rank = int(os.environ["PADDLE_TRAINER_ID"])
names = "PADDLE_TRAINERS_NUM", "PADDLE_CURRENT_ENDPOINT", "OMP_NUM_THREADS"
print(rank, *(os.environ[name] for name in names), *sys.argv[1:], flush=True)
{rest}
"""


@pytest.fixture
def start(tmp_path, monkeypatch):
    """start(rest of the script) -> (exit code, folder); each rank writes a log."""
    def run(rest="", *arguments, number=2):
        script = tmp_path / "script.py"
        script.write_text(SCRIPT.format(rest=rest))
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [str(script), *arguments])
        monkeypatch.setattr(launch, "GRACE", 1)
        monkeypatch.setattr(launch, "KILL_AFTER", 1)
        return start_processes(number, "cpu"), tmp_path / "log"
    return run


def test_every_process_knows_who_it_is(start, capfd, monkeypatch):
    monkeypatch.delenv(THREADS, raising=False)
    code, logs = start("", "--processes", "2", "-o", "a=b")
    first, second = capfd.readouterr().out.split(), (logs / "workerlog.1").read_text().split()
    threads = str(max(1, available_cores() // 2))
    assert code == 0 and first[0] == "0" and second[0] == "1" and first[2] != second[2]
    for words in (first, second):
        assert (words[1], words[3:]) == ("2", [threads, "-o", "a=b"])


@pytest.mark.parametrize("rest, code", [
    ("sys.exit(2 if rank else 1)", 2), ("sys.exit(3 if rank else 0)", 3),
    ("os.kill(os.getpid(), signal.SIGKILL) if rank else time.sleep(60)", 137),
    ("sys.exit(5) if not rank else time.sleep(60)", 5)])
def test_if_one_fails_all_end(start, capfd, rest, code):
    started = time.monotonic()
    assert start(rest)[0] == code and time.monotonic() - started < 30
    if "if rank" in rest:
        assert "process 1 ended with code" in capfd.readouterr().err


def test_the_number_is_left_out():
    assert without_processes(["train.py", "--processes", "2", "-o", "x=1"]) == \
        ["train.py", "-o", "x=1"]
    assert without_processes(["train.py", "--processes=2", "--resume"]) == ["train.py", "--resume"]


def test_threads_of_the_user_stay(monkeypatch):
    monkeypatch.setenv(THREADS, "7")
    assert THREADS not in environment(0, 2, "a:1,b:2", "cpu") or available_cores() == 7
    assert environment(1, 2, "a:1,b:2", "gpu")["FLAGS_selected_gpus"] == "1"


@pytest.mark.slow
@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGINT, 130),
                                          (signal.SIGKILL, -9)])
def test_a_training_in_two_processes_ends_together(tiny_cfg, tmp_path, number, code):
    """By a signal to the launcher; SIGTERM saves, and the orphans of a killed one do too."""
    cfg = tiny_cfg.replace(batch_size=4, max_steps=100_000, val_json="", checkpoint_every=99_999)
    given = [f"{key}={getattr(cfg, key)}" for key in cfg.as_dict() if cfg.is_overridden(key)]
    with open(tmp_path / "out", "w") as out:
        job = subprocess.Popen(
            [sys.executable, str(ROOT / "train.py"), "--processes", "2", "--device", "cpu", "-o",
             *given], cwd=tmp_path, stdout=out, stderr=out,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    records = Path(cfg.run_dir) / "log.jsonl"
    deadline = time.time() + 120
    while time.time() < deadline and not (records.exists() and records.read_text()):
        time.sleep(0.2)
    ranks = Path(f"/proc/{job.pid}/task/{job.pid}/children").read_text().split()
    job.send_signal(number)
    assert job.wait(60) == code and len(ranks) == 2
    deadline = time.time() + 30
    while any(Path(f"/proc/{rank}").exists() for rank in ranks) and time.time() < deadline:
        time.sleep(0.2)
    assert not any(Path(f"/proc/{rank}").exists() for rank in ranks)
    saved = list(Path(cfg.run_dir).glob("checkpoint_*"))
    assert len(saved) == (0 if number == signal.SIGINT else 1)


WAITS_WITH_THE_LOCK = """
import ctypes, os
from tools.distributed import default_signals, killed_with_parent
with killed_with_parent(), default_signals():
    print(os.getpid(), flush=True)
    ctypes.PyDLL(None).sleep(60)             # as Paddle does while processes join
"""
STARTS_ANOTHER = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", {WAITS_WITH_THE_LOCK!r}])
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="prctl is Linux's")
@pytest.mark.parametrize("program, number", [(WAITS_WITH_THE_LOCK, signal.SIGTERM),
                                             (WAITS_WITH_THE_LOCK, signal.SIGINT),
                                             (STARTS_ANOTHER, signal.SIGKILL)])
def test_a_process_that_joins_the_others_can_be_ended(program, number):
    """By a signal to it, or by the death of its launcher, whatever Python's lock says."""
    job = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE,
                           text=True, preexec_fn=lambda: signal.signal(
                               signal.SIGINT, signal.default_int_handler))
    joining = Path(f"/proc/{int(job.stdout.readline())}")
    job.send_signal(number)
    assert job.wait(20) == -number
    deadline = time.time() + 20
    while joining.exists() and time.time() < deadline:
        time.sleep(0.1)
    assert not joining.exists()
    job.stdout.close()
