"""Names the files whose reading takes very long: a network folder that does not answer, say."""
import contextlib
import logging
import os
import threading
import time

LIMIT = 60.0                       # seconds
LOOK_EVERY = 5.0

logger = logging.getLogger(__name__)
reading = {}                       # thread -> (path, when it began); one entry per open read
watcher = {"process": None}


@contextlib.contextmanager
def watched(path):
    """While this block runs, its file is named in a warning after LIMIT seconds, once."""
    if watcher["process"] != os.getpid():              # threads do not survive a fork
        watcher["process"] = os.getpid()
        reading.clear()
        threading.Thread(target=watch, daemon=True).start()
    thread = threading.get_ident()
    reading[thread] = (path, time.monotonic())
    try:
        yield
    finally:
        reading.pop(thread, None)


def watch():
    named = set()
    while True:
        time.sleep(LOOK_EVERY)
        named = warn(time.monotonic(), named)


def warn(now, named):
    """Name the reads that are over the limit and not in `named`; returns those that are named."""
    late = {entry for entry in list(reading.values()) if now - entry[1] > LIMIT}
    for path, began in sorted(late - named, key=str):
        logger.warning("reading '%s' has taken %d s so far and goes on: is its disk or network "
                       "folder there?", path, now - began)
    return late
