"""Threads, vendor settings and devices.  Call `configure()` before anything imports Paddle.

Paddle reads two environment variables only while it loads, and has poor defaults for both:
without OMP_NUM_THREADS its CPU kernels run on one thread, and without MKL_DEBUG_CPU_TYPE=5 its
bundled MKL takes a slow path on AMD processors (a 3x3 convolution: 24 -> 97 GFLOP/s on two cores).
A value that the user has set is never replaced, but for two: paddle.distributed.launch hands
OMP_NUM_THREADS=1 to its processes where the user had set none, which looks the same as a user's 1;
and a number of threads that is none (0, -1) would end Paddle in the middle of its work.
"""
import contextlib
import ctypes
import functools
import io
import logging
import os
import re
import sys
import warnings
from pathlib import Path

try:
    import resource
except ImportError:                    # Windows
    resource = None

from tools.cores import available_cores
from tools.errors import UserError, shown
from tools.stopping import exit_at_once, is_own_script
from tools.vulkan import fastest_gpu, find_device

THREADS = "OMP_NUM_THREADS"
MKL_PATH = "MKL_DEBUG_CPU_TYPE"
MOST_THREADS = 1024                    # with some thousand, libraries hang or crash
NUMPY_THREADS = "OPENBLAS_NUM_THREADS"
MALLOC_SETTINGS = ("MALLOC_MMAP_MAX_", "MALLOC_TRIM_THRESHOLD_")      # glibc's own variables
M_MMAP_MAX, M_TRIM_THRESHOLD = -4, -1                                # of mallopt(3)
# How long threads that wait for work turn round before they sleep.  libgomp (ncnn, Paddle):
# so many times; for ever, its default, makes them 10 times slower beside other work, not at all
# takes small networks 2 to 3 times as long on an idle machine.  libiomp5 (Paddle's matrix
# products): not at all; 200 ms, its default, makes a step 8 times slower beside other work.
WAIT_POLICY = "OMP_WAIT_POLICY"
WAITING = {"GOMP_SPINCOUNT": "10000", "KMP_BLOCKTIME": "0"}
TELEMETRY = "ORT_DISABLE_TELEMETRY"    # else ONNX Runtime leaves an id in the user's cache
NOISE = ("OMP_NUM_THREADS", "PLEASE USE OMP")     # Paddle's advice against more than one thread


@functools.cache
def configure():
    """Set what the user has not set, then import Paddle.  Further calls do nothing.

    In the project's own scripts Ctrl-C and SIGTERM work from here on.
    """
    if is_own_script():
        exit_at_once()
    wanted = missing_settings(os.environ, available_cores(), is_amd(cpu_vendor()))
    if "paddle" in sys.modules:
        if os.environ.get(THREADS) == "1" and available_cores() > 1:
            wanted[THREADS] = str(available_cores())     # Paddle writes 1 where nothing was set
        if wanted:
            names = ", ".join(f"{name}={value}" for name, value in wanted.items())
            print(f"warning: paddle was imported before tools.runtime.configure(), so {names} "
                  "cannot take effect; call it first or set them in the shell", file=sys.stderr)
        return
    if os.environ.get(THREADS) and not is_thread_count(os.environ[THREADS]):
        print(f"warning: {THREADS}={shown(os.environ[THREADS])} is no number of threads: "
              f"{wanted[THREADS]} instead", file=sys.stderr)
    os.environ.update(wanted)
    # model/decode.py shares its work itself; numpy's threads would only spin beside the network's.
    os.environ.setdefault(NUMPY_THREADS, "1")
    os.environ.setdefault(TELEMETRY, "1")
    if WAIT_POLICY not in os.environ:
        for name, value in WAITING.items():
            os.environ.setdefault(name, value)
    keep_freed_memory()
    import_paddle_quietly()
    if is_own_script():
        exit_at_once()


def keep_freed_memory():
    """Let the C library keep freed buffers for the next ones, where it is glibc.

    By default it returns every large one to the system, which then clears the pages of the next
    one: the column buffers of the convolutions make that a ninth of an R50 training step.
    """
    if sys.platform == "linux" and not any(name in os.environ for name in MALLOC_SETTINGS):
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            libc.mallopt(M_MMAP_MAX, 0)                    # large buffers come from the heap too,
            libc.mallopt(M_TRIM_THRESHOLD, -1)             # which never shrinks


def missing_settings(environ, cores, amd):
    """{variable: value} of the settings that `environ` does not hold yet.

    The processes of a launcher share the cores.
    """
    processes = local_processes(environ)
    wanted = {THREADS: str(max(1, cores // processes))}
    if amd:
        wanted[MKL_PATH] = "5"
    from_launcher = {THREADS: "1"} if processes > 1 else {}
    return {name: value for name, value in wanted.items()
            if environ.get(name, "") in ("", from_launcher.get(name))
            or (name == THREADS and not is_thread_count(environ[name]))}


def is_thread_count(text):
    """Whether a text is a value of OMP_NUM_THREADS: numbers, one per level of nesting."""
    return all(re.fullmatch(r"\s*0*[1-9]\d{0,3}\s*", part) and int(part) <= MOST_THREADS
               for part in text.split(","))


def local_processes(environ):
    """How many processes paddle.distributed.launch has started on this machine; alone: 1."""
    host = environ.get("PADDLE_CURRENT_ENDPOINT", "").rpartition(":")[0]
    endpoints = environ.get("PADDLE_TRAINER_ENDPOINTS", "").split(",")
    return max(1, sum(endpoint.rpartition(":")[0] == host for endpoint in endpoints))


def import_paddle_quietly():
    """Import Paddle without its advice against several threads (they help) and about ccache."""
    import zlib  # noqa: F401 - first: loaded later it would bind to Paddle 2.6's own copy and crash

    captured = io.StringIO()
    try:
        with contextlib.redirect_stderr(captured), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="No ccache found")
            import paddle  # noqa: F401
    finally:
        for handler in logging.getLogger().handlers[:]:     # Paddle's, which would keep it
            if getattr(handler, "stream", None) is captured:
                logging.getLogger().removeHandler(handler)   # Python's own goes to stderr
        for line in captured.getvalue().splitlines():
            if not any(noise in line for noise in NOISE):
                print(line, file=sys.stderr)


def describe(device="auto"):
    """One line on what this process runs with."""
    import paddle

    threads = os.environ.get(THREADS, "1")
    parts = [f"{threads} thread{'' if threads == '1' else 's'} ({THREADS})"]
    if (processes := local_processes(os.environ)) > 1:
        parts[0] += f" in each of {processes} processes"
    if os.environ.get(MKL_PATH):
        maker = " (AMD)" if is_amd(cpu_vendor()) else ""
        parts.append(f"{MKL_PATH}={os.environ[MKL_PATH]}{maker}")
    device = resolve_device(device, vulkan=True)
    if device.startswith("vulkan"):
        device += f" {find_device(device).name}"
    parts += [f"paddle {paddle.__version__}", f"device {device}"]
    return "runtime: " + ", ".join(parts)


def resolve_device(device, vulkan=False):
    """The device behind "auto", "cpu", "gpu", "gpu:N", "vulkan" or "vulkan:N".

    "auto" is Paddle's GPU where there is one.  "gpu" without a number stays as it is: Paddle then
    takes the GPU of its rank (paddle.distributed.launch); with Paddle's CPU build it is the first
    GPU that Vulkan shows.  vulkan: whether the caller only predicts, which is all that Vulkan can
    do.  Raises UserError for anything else and for a GPU that is not there.
    """
    match = re.fullmatch(r"auto|cpu|gpu(?::(\d{1,4}))?|vulkan(?::\d{1,4})?", str(device))
    if not match:
        raise UserError(f"unknown device '{device}': expected auto, cpu, gpu, gpu:N or vulkan:N")
    if device.startswith("vulkan"):
        if not vulkan:
            raise UserError(f"device '{device}' can only predict: use cpu, gpu or gpu:N")
        return f"vulkan:{find_device(device).index}"
    if device == "cpu":
        return device
    import paddle

    with_gpu = paddle.device.is_compiled_with_cuda()
    gpus = paddle.device.cuda.device_count() if with_gpu else 0
    if device == "auto":
        return "gpu" if gpus else "cpu"
    if not with_gpu and vulkan and device == "gpu" and (found := fastest_gpu()):
        return f"vulkan:{found.index}"
    if not with_gpu:
        raise UserError(f"device '{device}' needs the GPU build of Paddle, this is the CPU build: "
                        "install paddlepaddle-gpu (docs/install.md) or use --device cpu")
    if int(match[1] or 0) >= gpus:
        raise UserError(f"device '{device}' does not exist: Paddle sees {gpus} GPU(s), counted "
                        "from 0; check nvidia-smi and CUDA_VISIBLE_DEVICES or use --device cpu")
    return device


def paddle_device(device):
    """What `paddle.set_device` takes for a resolved device: Paddle has no Vulkan."""
    return "cpu" if device.startswith("vulkan") else device


def threads():
    """As many as Paddle takes, for other engines."""
    value = os.environ.get(THREADS, "")
    return int(value.partition(",")[0]) if is_thread_count(value) else available_cores()


def limit_threads(count):
    """Use that many threads from now on, in this thread of Paddle and in what opens later; never
    more than there are cores, which would only wait for each other."""
    if count > available_cores():
        print(f"note: {count} threads were asked for, but this process may use "
              f"{available_cores()} cores: {available_cores()} threads", file=sys.stderr)
        count = available_cores()
    os.environ[THREADS] = str(count)
    for library in ("libgomp.so.1", "libiomp5.so"):        # of Paddle and of ncnn; Linux
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(library).omp_set_num_threads(count)


def cpu_vendor():
    """The text in which the operating system names the maker of the processor."""
    try:
        return Path("/proc/cpuinfo").read_text()
    except OSError:
        return os.environ.get("PROCESSOR_IDENTIFIER", "")     # Windows: "..., AuthenticAMD"


def processor():
    """The processor's name and what it has for numbers of 8 and 16 bits, as Linux lists it."""
    text = cpu_vendor()
    name = re.search(r"model name\s*:\s*(.+)", text)
    flags = re.search(r"flags\s*:\s*(.+)", text)
    known = [flag for flag in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16")
             if flags and flag in flags[1].split()]
    units = f" ({', '.join(known)})" if known else ""
    return (name[1] if name else text[:80] or "unknown") + units


def is_amd(vendor):
    return "AuthenticAMD" in vendor


def synchronize():
    """Wait for a GPU, which otherwise still computes when the call returns."""
    import paddle

    if paddle.device.get_device().startswith("gpu"):
        paddle.device.cuda.synchronize()


def peak_memory():
    """Bytes of the highest memory of this process so far; 0 where the system does not say."""
    if resource is None:
        return 0
    unit = 1 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
