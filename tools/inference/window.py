"""A window that shows a video while it is segmented: by OpenCV, or by Tk.

opencv-python-headless, which we install, has no windows; Tk comes with most Pythons.
"""
import os
import sys

import cv2

from tools.errors import UserError

ESCAPE, QUIT = 27, ord("q")


def open_window(title):
    """A context manager; window.add(job) shows job.written and is False once it was closed.

    Closed by its button, Escape or q.  UserError where there is no display or no library for it.
    """
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY")
                                                 or os.environ.get("WAYLAND_DISPLAY")):
        raise UserError("--show: there is no display here (DISPLAY is not set); without --show the "
                        "video is written all the same")
    if has_windows():
        return OpenCvWindow(title)
    try:
        import tkinter
    except ImportError:
        raise UserError("--show: neither this OpenCV (opencv-python-headless) nor this Python "
                        "(without tkinter) can open a window: install Tk (Debian, Ubuntu: apt "
                        "install python3-tk)") from None
    try:
        return TkWindow(tkinter, title)
    except tkinter.TclError as error:
        raise UserError(f"--show: no window can be opened: {error}") from None


def has_windows():
    """Whether OpenCV was built with windows."""
    gui = [line for line in cv2.getBuildInformation().splitlines() if line.strip()[:4] == "GUI:"]
    return bool(gui) and "NONE" not in gui[0]


class OpenCvWindow:
    """By cv2.imshow."""

    def __init__(self, title):
        self.title = title

    def __enter__(self):
        cv2.namedWindow(self.title, cv2.WINDOW_NORMAL)
        return self

    def __exit__(self, *_):
        cv2.destroyAllWindows()

    def add(self, job):
        cv2.imshow(self.title, job.written)
        key = cv2.waitKey(1) & 0xFF
        visible = cv2.getWindowProperty(self.title, cv2.WND_PROP_VISIBLE) >= 1
        return visible and key not in (ESCAPE, QUIT)


class TkWindow:
    """By a Tk label whose picture is replaced; large frames are shown smaller."""

    def __init__(self, tkinter, title):
        self.tkinter, self.root, self.open = tkinter, tkinter.Tk(), True
        self.root.title(title)
        self.root.protocol("WM_DELETE_WINDOW", self.close)
        for key in ("<Escape>", "q"):
            self.root.bind(key, lambda _: self.close())
        self.label = tkinter.Label(self.root)
        self.label.pack()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.root.destroy()

    def close(self):
        self.open = False

    def add(self, job):
        height, width = job.written.shape[:2]
        scale = min(1.0, 0.9 * self.root.winfo_screenwidth() / width,
                    0.8 * self.root.winfo_screenheight() / height)
        image = cv2.resize(job.written, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        _, data = cv2.imencode(".ppm", image)
        self.picture = self.tkinter.PhotoImage(data=data.tobytes(), format="ppm")
        self.label.configure(image=self.picture)
        self.root.update()
        return self.open
