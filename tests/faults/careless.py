"""A command that does what none may: it writes in place, and its errors are tracebacks."""
import time


def main(argv):
    try:
        file = open(argv[0], "w", buffering=1, encoding="ascii")
    except OSError:
        raise RuntimeError("no place") from None
    with file:
        for _ in range(20):
            file.write("line\n")
            time.sleep(0.05)
