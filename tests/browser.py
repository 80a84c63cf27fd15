"""A headless Chromium for the tests, spoken to through a pipe (DevTools protocol, no packages)."""
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
         "--disable-sync", "--no-first-run", "--hide-scrollbars", "--remote-debugging-pipe")
PATIENCE = 60                      # seconds for an answer, on a busy machine


def find_browser():
    """The path of a Chromium, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Page:
    """One page of the browser; sizes and places are CSS pixels."""

    def __init__(self, commands, answers):
        self.commands, self.answers, self.number, self.session = commands, answers, 0, {}
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = {"sessionId": attached["sessionId"]}
        self.call("Page.enable")

    def call(self, method, **parameters):
        """What the browser answers; events between are passed over."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters, **self.session}
        self.commands.write(json.dumps(message).encode() + b"\0")
        self.commands.flush()
        while True:
            answer = json.loads(self.read())
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]

    def read(self):
        message = bytearray()
        while (byte := self.answers.read(1)) != b"\0":
            assert byte, "the browser is gone"
            message += byte
        return message

    def open(self, path, address="", width=1200):
        """Go to a file and wait until its script says that it is ready."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900,
                  deviceScaleFactor=1, mobile=False)
        self.call("Page.navigate", url=f"file://{path}{address}")
        deadline = time.monotonic() + PATIENCE
        while not self.ask("document.body && document.body.dataset.ready === 'yes'"):
            assert time.monotonic() < deadline, "the page is not ready"
            time.sleep(0.05)

    def ask(self, expression):
        """The value of a JavaScript expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def mouse(self, kind, x, y):
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def click(self, x, y):
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.mouse(kind, x, y)


@contextlib.contextmanager
def browser_page(path=None):
    """Yields a Page of a new browser, which ends with the block."""
    ours, theirs = os.pipe(), os.pipe()            # commands to the browser, its answers

    def pipes():                                   # the browser reads from 3 and writes to 4
        reads, writes = os.dup(ours[0]), os.dup(theirs[1])
        os.dup2(reads, 3)
        os.dup2(writes, 4)

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen([path or find_browser(), *FLAGS, f"--user-data-dir={profile}"],
                                   preexec_fn=pipes, close_fds=False, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(ours[0])
        os.close(theirs[1])
        try:
            with open(ours[1], "wb") as commands, open(theirs[0], "rb") as answers:
                yield Page(commands, answers)
        finally:
            process.kill()
            process.wait()
