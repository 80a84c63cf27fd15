"""Faults on a command, many times: {finding: times}, and counts of what was tried."""
import contextlib
import random
import shutil
import signal
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.faults.attempts import attempt
from tools.errors import UserError
from tools.files import TEMPORARY
from tools.training.run_state import checkpoint_paths, read_checkpoint
from tools.weights.weights_file import read_weights

SIGNALS = {signal.SIGKILL: (-signal.SIGKILL,), signal.SIGTERM: (143, -signal.SIGTERM),
           signal.SIGINT: (130, -signal.SIGINT)}
IN_ORDER = 8                       # seconds for an end by signal: 3, on a machine that is busy
UNFINISHED = (".part", ".part.json", ".tmp")           # of files that a later attempt goes on with
BAD_INPUT = 2
READERS = 400_000                  # bytes: a limit on files holds for batches of readers too


class Campaign:
    """Faults on one Command in a folder of its own."""

    def __init__(self, command, folder, seed=0):
        self.command, self.folder = command, Path(folder)
        self.rng, self.tried, self.findings = random.Random(seed), Counter(), []
        self.clear()
        attempt(command, self.folder)                      # imports what later ones import too
        self.clear()
        whole = attempt(command, self.folder)
        assert whole.code == 0, whole.text
        self.expected, self.seconds = command.left_in(self.folder), whole.seconds
        assert self.expected
        self.clear()

    def clear(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        if self.command.weights:
            shutil.copy(self.command.weights, self.folder / "w.pdparams")

    def signals(self, count, number):
        """`count` attempts that a signal meets at a random moment; then one that ends by itself."""
        met = 0
        for _ in range(20 * count):
            if met == count:
                break
            choose = self.rng.choice if number == signal.SIGKILL else min
            ending = attempt(self.command, self.folder, number,
                             self.rng.uniform(0, self.seconds), choose=choose)
            met += ending.signalled and ending.code != 0
            self.judge(ending, number)
            if ending.code == 0:
                self.judge_whole()
        self.tried[number.name] += met
        ending = attempt(self.command, self.folder)
        self.judge(ending, None)
        self.judge_whole()

    def judge(self, ending, number):
        """Note what is wrong with an attempt that was signalled, or with a whole one."""
        name = number.name if number else "no signal"
        killed = number == signal.SIGKILL and self.command.script      # or one of its children
        codes = {0, *(SIGNALS[number] if ending.signalled else ())}
        found = []
        if ending.code is None:
            found.append("hung")
        elif ending.code not in codes and not (killed and ending.signalled):
            found.append(f"code {ending.code}")
        if ending.signalled and number != signal.SIGKILL and ending.seconds > IN_ORDER:
            found.append(f"{ending.seconds:.1f} s")
        if ending.orphans:
            found.append(f"{len(ending.orphans)} orphans")
        if ending.has_traceback and not killed:
            found.append("a traceback")
        self.findings += [f"{what} after {name}: {ending.text[-600:]}" for what in found]
        self.judge_parts()

    def judge_parts(self):
        """Whatever has its final name is whole."""
        if self.command.content == "run":
            run_dir = self.folder / "quickstart"
            files = [(read_checkpoint, path) for path in checkpoint_paths(run_dir)]
            files += [(read_weights, path) for path in run_dir.glob("*.pdparams")]
            for read, path in files:
                try:
                    read(path)
                except UserError as error:
                    self.findings.append(str(error))
            return
        for name, data in self.command.left_in(self.folder).items():
            hidden = any(part.startswith(".") for part in Path(name).parts)
            final = name in self.expected and not hidden and not name.endswith(UNFINISHED)
            if final and data != self.expected[name]:
                self.findings.append(f"'{name}' is not whole")

    def judge_whole(self):
        """After an attempt that ended by itself: what one leaves that nothing disturbed."""
        found = {name: data for name, data in self.command.left_in(self.folder).items()
                 if not any(map(TEMPORARY.fullmatch, Path(name).parts))}       # gone after a minute
        self.findings += [f"lost: '{name}'" for name in sorted({*self.expected} - {*found})]
        self.findings += [f"left over: '{name}'" for name in sorted({*found} - {*self.expected})]
        self.findings += [f"another end: '{name}'" for name in sorted({*found} & {*self.expected})
                          if found[name] != self.expected[name]]
        self.clear()

    def full_disk(self, count):
        """`count` attempts where a file may have so many bytes only: one sentence, code 2."""
        sizes = [len(data) for data in self.expected.values() if isinstance(data, bytes)]
        for _ in range(count):
            limit = self.rng.randint(READERS * (self.command.content == "run"), max(sizes))
            ending = attempt(self.command, self.folder, limit=limit)
            if ending.code not in (0, BAD_INPUT) or ending.has_traceback:
                self.findings.append(f"full disk ({limit} bytes), code {ending.code}: "
                                     f"{ending.text[-600:]}")
            self.tried["full disk"] += ending.code == BAD_INPUT
            self.judge_parts()
        ending = attempt(self.command, self.folder)
        self.judge(ending, None)
        self.judge_whole()

    def no_place(self):
        """A file where the folder of the results should be, as a disk that cannot be written."""
        shutil.rmtree(self.folder)
        place = self.folder / "file"
        self.folder.mkdir()
        place.write_bytes(b"x")
        ending = attempt(self.command, self.folder, inside="file")
        self.tried["no place"] += 1
        if ending.code != BAD_INPUT or ending.text.count("error:") != 1:
            self.findings.append(f"no place to write, code {ending.code}: {ending.text[-600:]}")
        self.clear()


class SlowServer:
    """with SlowServer(data, rate) as address: gives `data` at so many bytes per second."""

    def __init__(self, data, rate, chunk=1 << 14):
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):  # noqa: N802  (the name that http.server calls)
                asked = self.headers.get("Range")
                start = int(asked[6:-1]) if asked else 0
                self.send_response(206 if start else 200)
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
                self.send_header("ETag", '"1"')
                self.send_header("Content-Length", str(len(data) - start))
                self.end_headers()
                with contextlib.suppress(OSError):
                    for place in range(start, len(data), chunk):
                        self.wfile.write(data[place:place + chunk])
                        time.sleep(chunk / rate)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_port}/file"

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
