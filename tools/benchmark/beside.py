"""Other work on the machine while something is timed."""
import contextlib
import subprocess
import sys

SPINNING = "while True: pass"


@contextlib.contextmanager
def busy_processes(number):
    """Within the block `number` processes compute without a pause, as other people's jobs would."""
    processes = [subprocess.Popen([sys.executable, "-c", SPINNING]) for _ in range(number)]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()
