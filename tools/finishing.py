"""Work that ends in order at SIGTERM, where stopping.py alone would break it off.

A training ends its step and saves it.  But what may take for ever or can be made again, waiting for
data or evaluating, is broken off, so that all of it takes a few seconds.
"""
import contextlib
import os
import select
import signal
import socket
import threading
import time

from tools.stopping import Stopped, is_own_script, leave

PATIENCE = 1.0                     # seconds for a part that may be broken off
GRACE = 2.0                        # ... and for the main thread to notice
ALARMS = hasattr(signal, "setitimer")      # not on Windows, which has no SIGTERM either


class Finishing:
    """Within this block SIGTERM only sets `signalled`, for work that ends and saves by itself.

    But an `abandonable` part is broken off, by Stopped, if it takes over PATIENCE seconds: a signal
    reaches the processes of a run at different moments, and what comes soon is waited for.
    """

    def __init__(self):
        self.signalled = False
        self.since = None                  # when the abandonable part began that goes on now

    def __enter__(self):
        if not ALARMS:
            return self
        self.previous = signal.signal(signal.SIGTERM, self.note)
        signal.signal(signal.SIGALRM, self.abandon)    # stays: one may be on its way at the end
        # Paddle's sockets take an interrupted call for a failure; the thread hears it all the same.
        signal.siginterrupt(signal.SIGTERM, False)
        reader, self.writer = socket.socketpair()
        self.writer.setblocking(False)
        self.listener = signal.set_wakeup_fd(self.writer.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self.watch, args=(reader,), daemon=True).start()
        return self

    def __exit__(self, *_):
        if not ALARMS:
            return
        signal.set_wakeup_fd(self.listener)
        self.writer.close()
        if not (self.signalled and is_own_script()):   # it ends now; launchers signal repeatedly
            signal.signal(signal.SIGTERM, self.previous)

    def note(self, number, frame):
        self.signalled = True

    def abandon(self, number, frame):
        if self.since is not None:
            self.since = None              # once: what is tidied up is left in peace
            raise Stopped(signal.SIGTERM)

    @contextlib.contextmanager
    def abandonable(self):
        """A part that leaves nothing half done."""
        self.since = time.monotonic()
        try:
            yield
        finally:
            self.since = None

    def watch(self, reader):
        """Break off an abandonable part that takes too long after SIGTERM; runs in a thread."""
        came = None
        while True:
            if select.select([reader], [], [], 0.1 if came else None)[0]:
                numbers = reader.recv(64)
                if not numbers:            # the block has ended
                    return
                with contextlib.suppress(OSError):     # which may have ended meanwhile
                    os.write(self.listener, numbers)
                if signal.SIGTERM in numbers:
                    came = came or time.monotonic()
            since = self.since
            if came and since is not None:
                self.press(time.monotonic() - max(came, since))

    def press(self, waited):
        if waited > GRACE and is_own_script():
            leave(signal.SIGTERM)          # the main thread is stuck in a library
        if waited > PATIENCE:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGALRM)
