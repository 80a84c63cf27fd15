"""Thread and vendor settings are made in time and never replace a user's; devices resolve."""
import os
import sys

import pytest

from tests.builders import run_python
from tools import cores, runtime
from tools.errors import UserError


@pytest.mark.parametrize("environ, amd, expected", [
    ({}, True, {"OMP_NUM_THREADS": "6", "MKL_DEBUG_CPU_TYPE": "5"}),
    ({}, False, {"OMP_NUM_THREADS": "6"}),
    ({"OMP_NUM_THREADS": ""}, False, {"OMP_NUM_THREADS": "6"}),
    ({"OMP_NUM_THREADS": "1"}, True, {"MKL_DEBUG_CPU_TYPE": "5"}),
    ({"OMP_NUM_THREADS": "1", "MKL_DEBUG_CPU_TYPE": "4"}, True, {})])
def test_only_what_the_user_left_open(environ, amd, expected):
    assert runtime.missing_settings(environ, 6, amd) == expected


TWO_HERE = {"PADDLE_CURRENT_ENDPOINT": "10.0.0.1:6070",
            "PADDLE_TRAINER_ENDPOINTS": "10.0.0.1:6070,10.0.0.1:6071,10.0.0.2:6070"}


@pytest.mark.parametrize("threads, expected", [("", "3"), ("1", "3"), ("4", None)])
def test_processes_share_the_cores(threads, expected):
    """The launcher writes 1 where nothing was set; another number is the user's."""
    wanted = runtime.missing_settings({**TWO_HERE, "OMP_NUM_THREADS": threads}, 6, False)
    assert wanted.get("OMP_NUM_THREADS") == expected


def test_local_processes():
    assert runtime.local_processes(TWO_HERE) == 2 and runtime.local_processes({}) == 1
    assert runtime.missing_settings(TWO_HERE, 1, False) == {"OMP_NUM_THREADS": "1"}


@pytest.mark.parametrize("files, expected", [
    ({"cpu.max": "150000 100000\n"}, 1.5), ({"cpu.max": "max 100000\n"}, 0.0), ({}, 0.0),
    ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0.0),
    ({"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4.0)])
def test_quota_of_a_container(tmp_path, files, expected):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert cores.cgroup_quota(tmp_path) == expected


@pytest.mark.parametrize("listing, files, expected", [
    ("0::/a.slice/b.service\n", {"a.slice/b.service/cpu.max": "150000 100000\n",
                                 "a.slice/cpu.max": "400000 100000\n"}, 1.5),
    ("0::/a.slice/b.service\n", {"a.slice/b.service/cpu.max": "max 100000\n",
                                 "a.slice/cpu.max": "400000 100000\n"}, 4.0),
    ("0::/a\n", {"b/cpu.max": "100000 100000\n"}, 0.0), ("0::/../..\n", {}, 0.0),
    ("9:memory:/a\n4:cpu,cpuacct:/b\n", {"cpu/b/cpu.cfs_quota_us": "200000\n",
                                         "cpu/b/cpu.cfs_period_us": "100000\n"}, 2.0),
    ("4:cpu,cpuacct:/docker/1\n", {"cpu/cpu.cfs_quota_us": "50000\n",
                                   "cpu/cpu.cfs_period_us": "100000\n"}, 0.5)])
def test_quota_of_a_group_below_others(tmp_path, listing, files, expected):
    """A service of systemd, a batch job; the last: a container that sees only its own group."""
    for name, text in {**files, "listing": listing}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert cores.cgroup_quota(tmp_path, tmp_path / "listing") == expected


@pytest.mark.parametrize("value, fits", [
    ("1", True), ("64", True), ("4,2", True), (" 2", True), ("0", False), ("-3", False),
    ("abc", False), ("99999", False), ("2,0", False), ("1.5", False)])
def test_what_is_no_number_of_threads_is_replaced(value, fits, monkeypatch):
    wanted = runtime.missing_settings({"OMP_NUM_THREADS": value}, 6, False)
    assert wanted == ({} if fits else {"OMP_NUM_THREADS": "6"})
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert runtime.threads() == (int(value.partition(",")[0]) if fits
                                 else runtime.available_cores())


@pytest.mark.parametrize("quota, expected", [(0.0, 8), (0.4, 1), (2.5, 3), (64.0, 8)])
def test_cores_are_capped_by_the_quota(monkeypatch, quota, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: range(8), raising=False)
    monkeypatch.setattr(cores, "cgroup_quota", lambda root: quota)
    assert cores.available_cores() == expected


def test_vendor():
    assert runtime.is_amd("vendor_id\t: AuthenticAMD\n")
    assert runtime.is_amd("AMD64 Family 25 Model 33 Stepping 0, AuthenticAMD")
    assert not runtime.is_amd("AMD64 Family 6 Model 151 Stepping 2, GenuineIntel")


STATE = "print(os.environ['OMP_NUM_THREADS'], os.environ.get('MKL_DEBUG_CPU_TYPE', '-'))"


def test_settings_are_there_when_paddle_loads():
    result = run_python("import os, sys; from tools import runtime\n"
                        "assert 'paddle' not in sys.modules\n"
                        "runtime.available_cores = lambda: 3\n"
                        "runtime.cpu_vendor = lambda: 'AuthenticAMD'\n"
                        "runtime.configure(); runtime.configure()\n"
                        f"assert 'paddle' in sys.modules; {STATE}; print(runtime.describe('cpu'))")
    state, line = result.stdout.splitlines()
    assert state == "3 5"
    assert line.startswith("runtime: 3 threads (OMP_NUM_THREADS), MKL_DEBUG_CPU_TYPE=5 (AMD), ")
    assert line.endswith("device cpu") and "OMP_NUM_THREADS" not in result.stderr


def test_values_of_the_user_stay():
    result = run_python(f"import os; from tools import runtime; runtime.configure(); {STATE}",
                        OMP_NUM_THREADS="1", MKL_DEBUG_CPU_TYPE="4")
    assert result.stdout.split() == ["1", "4"]


WAITING = "print(*(os.environ.get(name, '-') for name in ('GOMP_SPINCOUNT', 'KMP_BLOCKTIME')))"


@pytest.mark.parametrize("environ, expected", [
    ({}, "10000 0"), ({"GOMP_SPINCOUNT": "7"}, "7 0"), ({"KMP_BLOCKTIME": "9"}, "10000 9"),
    ({"OMP_WAIT_POLICY": "PASSIVE"}, "- -")])
def test_waiting_threads_sleep_soon_unless_the_user_says_otherwise(environ, expected, monkeypatch):
    for name in ("GOMP_SPINCOUNT", "KMP_BLOCKTIME"):
        monkeypatch.delenv(name, raising=False)
    result = run_python("import os; from tools import runtime\n"
                        "runtime.import_paddle_quietly = lambda: None\n"
                        f"runtime.configure(); {WAITING}", **environ)
    assert result.stdout.strip() == expected


def test_fewer_threads_on_request():
    result = run_python("from tools import runtime; runtime.configure()\n"
                        "runtime.limit_threads(1); print(runtime.threads())", OMP_NUM_THREADS="2")
    assert result.stdout.split() == ["1"]


def test_never_more_threads_than_cores(monkeypatch, capsys):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(runtime, "available_cores", lambda: 2)
    monkeypatch.setattr(runtime.ctypes, "CDLL", lambda name: None)
    runtime.limit_threads(5000)
    assert runtime.threads() == 2
    assert "5000 threads were asked for, but this process may use 2" in capsys.readouterr().err


def test_onnx_runtime_leaves_nothing_behind(tmp_path):
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    session = "onnxruntime.InferenceSession(b'', providers=['CPUExecutionProvider'])"
    run_python("import contextlib, os; os.environ.pop('ORT_DISABLE_TELEMETRY', None)\n"
               "from tools.runtime import configure; configure(); import onnxruntime\n"
               f"with contextlib.suppress(Exception): {session}",
               XDG_CACHE_HOME=str(tmp_path), TMPDIR=str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_decompression_works_after_paddle():
    """Paddle 2.6 brings its own zlib; Python's module must have been loaded before it."""
    run_python("from tools.runtime import configure; configure()\n"
               "import zlib; assert zlib.decompress(zlib.compress(b'x')) == b'x'")


def test_too_late_is_said():
    result = run_python("import os, sys; sys.modules['paddle'] = os; from tools import runtime\n"
                        "os.environ['OMP_NUM_THREADS'] = '1'; runtime.available_cores = lambda: 2\n"
                        f"runtime.cpu_vendor = lambda: ''; runtime.configure(); {STATE}")
    assert "before tools.runtime.configure(), so OMP_NUM_THREADS=2 cannot" in result.stderr
    assert result.stdout.split() == ["1", "-"]


@pytest.fixture
def gpus(monkeypatch):
    """Sets how many GPUs Paddle seems to have; None: the CPU build."""
    import paddle

    def pretend(count):
        monkeypatch.setattr(paddle.device, "is_compiled_with_cuda", lambda: count is not None)
        monkeypatch.setattr(paddle.device.cuda, "device_count", lambda: count)
    return pretend


@pytest.mark.parametrize("count, asked, device", [
    (None, "auto", "cpu"), (None, "cpu", "cpu"), (0, "auto", "cpu"), (2, "auto", "gpu"),
    (2, "cpu", "cpu"), (2, "gpu", "gpu"), (2, "gpu:1", "gpu:1")])
def test_device(gpus, count, asked, device):
    gpus(count)
    assert runtime.resolve_device(asked) == device


@pytest.mark.parametrize("count, asked, message", [
    (None, "gpu", "CPU build"), (None, "gpu:0", "CPU build"), (0, "gpu", r"sees 0 GPU"),
    (2, "gpu:2", r"sees 2 GPU"), (2, "cuda", "expected auto"), (2, "gpu:", "expected auto"),
    (2, "gpu:-1", "expected auto"), (2, "", "expected auto")])
def test_device_that_is_not_there(gpus, count, asked, message):
    gpus(count)
    with pytest.raises(UserError, match=message):
        runtime.resolve_device(asked)


@pytest.mark.skipif(sys.platform != "linux" or any(map(os.environ.get, runtime.MALLOC_SETTINGS)),
                    reason="a setting of glibc, which a user may have made")
def test_freed_memory_is_used_again():
    """64 MB are 16384 pages, which the system would have to map and clear each time.

    In a process of its own, as scripts have it: a heap that many tests have used is another matter.
    """
    code = ("from tools.runtime import configure; configure()\n"
            "import paddle, resource\n"
            "def faults():\n"
            "    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
            "    paddle.ones([1 << 24])\n"
            "    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before\n"
            "faults()\n"
            "print(min(faults() for _ in range(5)))")
    assert int(run_python(code).stdout.split()[-1]) < 1000
