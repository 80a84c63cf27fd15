"""Videos through the pipeline, with a predictor that needs no network: files, lines, Ctrl-C."""
import argparse
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest

from config import get_config
from model.instances import Instances
from tools.cli import line_ends, seconds
from tools.errors import UserError
from tools.inference import streams, video, video_writer, window
from tools.inference.frames import open_video
from tools.inference.streams import LiveStream, is_live
from tools.inference.video import VideoOptions, VideoRun, segment_videos

SIZE, FRAMES, SIDE = (64, 96), 30, 20


class BrightSquares:
    """Finds what is brighter than 128, as class 1, through the interface of a Predictor."""

    cfg, class_names = get_config("quickstart"), ("circle", "square")

    def __init__(self, stop_at=None):
        self.seen, self.stop_at = 0, stop_at

    def preprocess(self, image):
        return image.transpose(2, 0, 1).astype(np.float32), image.shape[:2]

    def network(self, images):
        self.seen += 1
        if self.seen == self.stop_at:
            raise KeyboardInterrupt
        return {"mask_features": images}

    def postprocess(self, outputs, resized_sizes, original_sizes):
        height, width = original_sizes[0]
        bright = (outputs["mask_features"][0, 0, :height, :width] > 128).astype(np.uint8)
        count, parts = cv2.connectedComponents(bright)
        return [Instances([0.9] * (count - 1), [1] * (count - 1),
                          [(0, 0, parts == number) for number in range(1, count)],
                          (height, width))]

    def __call__(self, image):
        pixels, size = self.preprocess(image)
        return self.postprocess(self.network(pixels[None]), [size], [size])[0]


def scene(number):
    """Two squares that cross the picture to the right and to the left."""
    image = np.full((*SIZE, 3), 30, np.uint8)
    image[4:4 + SIDE, 2 * number:2 * number + SIDE] = 220
    image[40:40 + SIDE, 76 - 2 * number:76 - 2 * number + SIDE] = 220
    return image


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "clip.mp4"
    writer = video_writer.open_writer(path, 25)
    for number in range(FRAMES):
        writer.write(scene(number), number / 25)
    writer.close()
    return path


def run(source, path, predictor=None, **options):
    return VideoRun(predictor or BrightSquares(), str(source), path, VideoOptions(**options))


def test_a_video_becomes_a_video_lines_and_counts(tmp_path, clip, capsys):
    path = tmp_path / "out/clip.mp4"
    assert run(clip, path, json_lines=True, count_line=(48, 0, 48, 64), batch_size=2).segment()
    lines = [json.loads(line) for line in (tmp_path / "out/clip.mp4.jsonl").read_text().split("\n")
             if line]
    assert [line["frame"] for line in lines] == list(range(FRAMES))
    assert [line["seconds"] for line in lines] == pytest.approx(np.arange(FRAMES) / 25, abs=1e-3)
    for line in lines[2:]:
        top, bottom = sorted(line["instances"], key=lambda row: row["box"][1])
        assert (top["track_id"], bottom["track_id"]) == (1, 2) and top["class"] == "square"
    counts = json.loads((tmp_path / "out/clip.mp4.counts.json").read_text())
    assert counts["frames"] == FRAMES and counts["objects"] == {"square": 2}
    assert counts["crossings"] == {"square": {"forward": 1, "back": 1}}
    drawn = list(open_video(path))
    assert len(drawn) == FRAMES and drawn[0].image.shape[:2] == SIZE
    assert [frame.seconds for frame in drawn] == pytest.approx(np.arange(FRAMES) / 25, abs=1e-3)
    said = capsys.readouterr().out
    assert "30 frames, 25 per second" in said and "2 objects (2 square)" in said and "FPS" in said


def test_a_part_of_the_frames(tmp_path, clip):
    run(clip, tmp_path / "out.mp4", start=0.2, end=0.8, every=5, json_lines=True).segment()
    lines = (tmp_path / "out.mp4.jsonl").read_text().splitlines()
    assert [json.loads(line)["frame"] for line in lines] == [5, 10, 15, 20]
    assert [frame.seconds for frame in open_video(tmp_path / "out.mp4")] == pytest.approx(
        [0, 0.2, 0.4, 0.6], abs=1e-3)


def test_interrupted_video_plays(tmp_path, clip):
    with pytest.raises(KeyboardInterrupt):
        run(clip, tmp_path / "out.mp4", BrightSquares(stop_at=20), json_lines=True).segment()
    frames = len(list(open_video(tmp_path / "out.mp4")))
    lines = (tmp_path / "out.mp4.jsonl").read_text().splitlines()
    assert 5 < frames < 20 and frames <= len(lines) <= frames + 1
    assert json.loads((tmp_path / "out.mp4.counts.json").read_text())["frames"] == frames
    assert not list(tmp_path.glob("*.part.mp4"))


def test_broken_videos_are_named_and_the_next_goes_on(tmp_path, clip, capsys):
    (tmp_path / "empty.mp4").touch()
    args = argparse.Namespace(output=tmp_path / "out", score_threshold=None, start=0.0, end=None,
                              every=10, count_line=None, show=False, write=[], batch_size=1,
                              color=None)
    sources = [(str(tmp_path / "empty.mp4"), "empty.mp4"), (str(clip), "clip.avi")]
    assert segment_videos(args, BrightSquares(), sources) == 1
    assert "empty.mp4' is empty" in capsys.readouterr().err
    assert len(list(open_video(tmp_path / "out/clip.avi.mp4"))) == 3
    args.output = tmp_path
    with pytest.raises(UserError, match="would replace"):
        segment_videos(args, BrightSquares(), [(str(clip), "clip.mp4")])


def test_nothing_to_show_it_in(monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match="no display"):
        window.open_window("a")
    monkeypatch.setenv("DISPLAY", ":77")
    monkeypatch.setattr(window, "has_windows", lambda: False)
    with pytest.raises(UserError, match="no window can be opened|install Tk"):
        window.open_window("a")


def test_show_ends_the_work_when_it_is_closed(tmp_path, clip, monkeypatch):
    shown = []

    class Window:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            shown.append("closed")

        def add(self, job):
            shown.append(job.source.index)
            return len(shown) < 4

    monkeypatch.setattr(video, "open_window", lambda title: Window())
    run(clip, tmp_path / "out.mp4", show=True).segment()
    assert shown == [0, 1, 2, 3, "closed"]
    assert len(list(open_video(tmp_path / "out.mp4"))) == 4


class BreakingCamera(BaseHTTPRequestHandler):
    """MJPEG over HTTP that breaks off after 15 frames, twice; then it is gone."""

    connections = 0

    def do_GET(self):
        type(self).connections += 1
        if self.connections > 2:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for number in range(15):
            data = cv2.imencode(".jpg", scene(number))[1].tobytes()
            self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: "
                             + str(len(data)).encode() + b"\r\n\r\n" + data + b"\r\n")
            time.sleep(0.02)

    def log_message(self, *_):
        pass


def test_a_stream_that_breaks_is_connected_again(tmp_path, monkeypatch, capfd):
    BreakingCamera.connections = 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), BreakingCamera)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/camera.mjpg"
    monkeypatch.setattr(streams.LiveStream.__init__, "__defaults__", (None, 1, (0, 0)))
    assert not run(address, tmp_path / "out.mp4", json_lines=True).segment()
    server.shutdown()
    said = capfd.readouterr().err
    assert "connecting again in 0 s (1 of 2)" in said and "broke off after" in said
    assert BreakingCamera.connections >= 3
    times = [json.loads(line)["seconds"]
             for line in (tmp_path / "out.mp4.jsonl").read_text().splitlines()]
    assert len(times) > 5 and times == sorted(times) and times[0] == 0
    assert len(list(open_video(tmp_path / "out.mp4"))) == len(times)


def test_sources_that_are_not_there():
    for source, word in (("77", "camera '77'"), ("rtsp://127.0.0.1:1/a", "stream 'rtsp:")):
        with pytest.raises(UserError, match=word):
            LiveStream(source)


def test_what_is_live():
    assert all(map(is_live, ("0", 1, "rtsp://host/a", "RTMP://host", "http://host/a.m3u8?k=1")))
    assert not any(map(is_live, ("clip.mp4", "http://host/a.mp4", "a/0", "https://host/a.jpg")))


def test_times_and_lines_of_a_command():
    assert [seconds(text) for text in ("90", "1:30", "0:01:30.5")] == [90, 90, 90.5]
    assert line_ends("1,2,3.5,4") == (1, 2, 3.5, 4)
    for kind, texts in ((seconds, ("", "-1", "1:2:3:4", "soon", "nan", "inf")),
                        (line_ends, ("", "1,2,3", "1,2,1,2", "a,b,c,d", "nan,0,1,1"))):
        for text in texts:
            with pytest.raises(argparse.ArgumentTypeError, match="expected"):
                kind(text)
