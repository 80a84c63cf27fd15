"""Frames out of video files and into them: times, order, rotation, sound, damage."""
import struct
from fractions import Fraction

import cv2
import numpy as np
import pytest

from tools.errors import UserError
from tools.inference import frames, video_writer
from tools.inference.frames import OpenCvVideo, PyAvVideo, is_video, open_video
from tools.inference.video_writer import OpenCvWriter, PyAvWriter

av = pytest.importorskip("av", reason="PyAV is optional (pip install av)")
UNEVEN = (0, .04, .08, .5, .54, 1.0, 1.04, 1.2, 2.0)
READERS = pytest.mark.parametrize("reader", [PyAvVideo, OpenCvVideo])


def gray(number, size=(48, 64)):
    """The frame of a number: gray levels 10 apart."""
    return np.full((*size, 3), 20 + 10 * number, np.uint8)


def number_of(image):
    return round((float(image.mean()) - 20) / 10)


def write_video(path, times=UNEVEN, sound="", size=(48, 64), codec="libx264"):
    """A video of gray frames, with a tone of the codec `sound`."""
    with av.open(str(path), "w") as target:
        stream = target.add_stream(codec, rate=25)
        stream.height, stream.width = size
        stream.pix_fmt, stream.codec_context.time_base = "yuv420p", Fraction(1, 90000)
        packets = []
        audio = target.add_stream(sound, rate=44100) if sound else None
        for number, seconds in enumerate(times):
            image = cv2.cvtColor(gray(number, size), cv2.COLOR_BGR2YUV_I420)
            frame = av.VideoFrame.from_ndarray(image, format="yuv420p")
            frame.pts, frame.time_base = round(seconds * 90000), Fraction(1, 90000)
            packets += stream.encode(frame)
        packets += stream.encode()
        if sound:
            wave = np.sin(np.arange(int(44100 * times[-1])) * 0.06) * 8000
            frame = av.AudioFrame.from_ndarray(wave.astype(np.int16)[None], "s16", "mono")
            frame.sample_rate, frame.pts = 44100, 0
            packets += [*audio.encode(frame), *audio.encode()]
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            target.mux(packet)
    return path


def copy_video(source, path, **options):
    """Through the reader and the writer; (the writer, what it said)."""
    video = open_video(source, **options)
    writer = PyAvWriter(path, video.rate)
    for frame in video:
        writer.write(frame.image, frame.seconds)
    return writer, writer.close(source)


@READERS
def test_frames_in_order_with_their_times(tmp_path, reader):
    video = reader(str(write_video(tmp_path / "a.mp4")))
    found = list(video)
    assert [number_of(frame.image) for frame in found] == list(range(9))
    assert [frame.index for frame in found] == list(range(9))
    assert [frame.seconds for frame in found] == pytest.approx(UNEVEN, abs=1e-3)
    assert video.damage == "" and video.expected == 9 and video.size == (48, 64)


@READERS
def test_start_end_and_every(tmp_path, reader):
    path = str(write_video(tmp_path / "a.mp4", [number / 25 for number in range(20)]))
    video = reader(path, 0.2, 0.6, 3)
    assert [number_of(frame.image) for frame in video] == [5, 8, 11, 14] and video.damage == ""
    assert video.expected == 4
    late = reader(path, 5.0)
    assert list(late) == [] and "no frame between 5 s and its end" in late.damage


@READERS
@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_metadata(tmp_path, reader, degrees):
    """The matrix of the track header turns the picture clockwise; a corner tells which way."""
    path = tmp_path / "a.mp4"
    image = gray(3)
    image[:16, :16] = 250
    writer = PyAvWriter(path, 25)
    for number in range(3):
        writer.write(image, number / 25)
    writer.close()
    data = bytearray(path.read_bytes())
    cos, sin = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    matrix = struct.pack(">9i", cos << 16, sin << 16, 0, -sin << 16, cos << 16, 0, 0, 0, 1 << 30)
    start = data.index(b"tkhd") + 44
    data[start:start + 36] = matrix
    path.write_bytes(data)
    first, *_ = reader(str(path))
    expected = np.rot90(image, -degrees // 90)
    assert first.image.shape == expected.shape
    assert np.abs(first.image.astype(int) - expected).mean() < 8


def cut(path, part):
    data = path.read_bytes()
    path.write_bytes(data[:int(len(data) * part)])
    return path


def test_what_is_no_video_is_named(tmp_path):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video at all " * 50)
    headless = cut(write_video(tmp_path / "headless.mp4"), 0.5)
    for name, words in (("empty.mp4", "empty"), ("text.mp4", "cannot be opened"),
                        (headless.name, "truncated"), ("none.mp4", "cannot be read")):
        with pytest.raises(UserError, match=words) as error:
            open_video(tmp_path / name)
        assert name in str(error.value)


@READERS
def test_truncated_video_gives_what_it_has(tmp_path, reader):
    noise = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
    writer = PyAvWriter(tmp_path / "a.mp4", 25)
    for number in range(40):
        writer.write(np.roll(noise, 7 * number, 1), number / 25)
    writer.close()
    video = reader(str(cut(tmp_path / "a.mp4", 0.6)))
    count = len(list(video))
    assert 0 < count < 40 and "truncated" in video.damage and "of its 40 frames" in video.damage


@pytest.mark.parametrize("name, sound", [("a.mp4", "aac"), ("a.mov", "pcm_s16le"),
                                         ("a.mkv", "flac"), ("silent.mp4", "")])
def test_times_and_sound_are_kept(tmp_path, name, sound):
    source = write_video(tmp_path / name, sound=sound)
    writer, remark = copy_video(source, tmp_path / "out.mp4")
    assert remark == "" and writer.frames == 9 and "H.264" in writer.codec
    found = list(open_video(tmp_path / "out.mp4"))
    assert [number_of(frame.image) for frame in found] == list(range(9))
    assert [frame.seconds for frame in found] == pytest.approx(UNEVEN, abs=2e-3)
    assert seconds_of_sound(tmp_path / "out.mp4") == pytest.approx(2.0 if sound else 0, abs=0.1)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "out.mp4"])


def seconds_of_sound(path):
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return 0
        return sum(frame.samples for frame in container.decode(audio=0)) / 44100


def test_sound_of_a_part(tmp_path):
    source = write_video(tmp_path / "a.mp4", sound="aac")
    copy_video(source, tmp_path / "out.mp4", start=0.5, end=1.2)
    found = [frame.seconds for frame in open_video(tmp_path / "out.mp4")]
    assert found == pytest.approx([0, .04, .5, .54, .7], abs=2e-3)
    assert seconds_of_sound(tmp_path / "out.mp4") == pytest.approx(0.7, abs=0.1)


def test_killed_writer_leaves_a_file_that_plays(tmp_path):
    writer = PyAvWriter(tmp_path / "out.mp4", 5)
    for number in range(100):
        writer.write(gray(number % 20), number / 5)
    killed = list(open_video(tmp_path / "out.mp4.part.mp4"))   # as it is while the writer runs
    assert len(killed) > 20
    writer.close()


@pytest.mark.parametrize("size", [(47, 63), (2, 2), (1, 9)])
def test_odd_sizes(tmp_path, size):
    for number, kind in enumerate((PyAvWriter, OpenCvWriter)):
        writer = kind(tmp_path / f"{number}.mp4", 25)
        writer.write(gray(5, size), 0)
        writer.write(gray(5, (30, 20)), 0.04)          # a stream that changed its size
        writer.close()
        if min(size) > 2:
            first, second = open_video(tmp_path / f"{number}.mp4")
            assert first.image.shape == second.image.shape == (size[0] + 1, size[1] + 1, 3)
            assert number_of(first.image) == number_of(second.image) == 5


def test_without_pyav(tmp_path, monkeypatch):
    for module in (frames, video_writer):
        monkeypatch.setattr(module, "load_av", lambda: None)
    writer = video_writer.open_writer(tmp_path / "sub/a.mp4", 10)
    assert "mp4v" in writer.codec and "pip install av" in writer.codec
    for number in range(5):
        writer.write(gray(number), number / 10)
    assert writer.close() == ""
    video = open_video(tmp_path / "sub/a.mp4")
    assert isinstance(video, OpenCvVideo) and len(list(video)) == 5
    with pytest.raises(UserError, match="pip install av"):
        (tmp_path / "b.mp4").write_text("text" * 100)
        open_video(tmp_path / "b.mp4")


def test_suffixes():
    assert is_video("a.MP4") and is_video("b/c.webm") and not is_video("a.jpg")
