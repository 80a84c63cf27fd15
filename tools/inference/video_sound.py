"""Picture and sound of a finished video in one file, copied packet by packet (needs PyAV)."""
import heapq

from tools.inference.frames import load_av

MP4_SOUND = ("aac", "ac3", "alac", "eac3", "mp3", "opus")        # copied; others become AAC


def join(picture, path, sound=None, start=0.0, length=0.0):
    """Copy the video stream of the file `picture` into the .mp4 file `path`.

    sound: a video whose sound comes along, from `start` on, for `length` seconds.  Both count as
    the frames of `sound` do, from the first one.  Raises what PyAV raises.
    """
    av = load_av()
    with av.open(str(picture)) as video, \
            av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as target:
        source = video.streams.video[0]
        streams = [copied(video, source, target.add_stream_from_template(source))]
        if sound is None:
            return mux(target, streams)
        with av.open(str(sound)) as container:
            streams += sound_packets(container, target, start, length)
            mux(target, streams)


def mux(target, streams):
    for packet in heapq.merge(*streams, key=lambda packet: packet.dts * packet.time_base):
        target.mux(packet)


def copied(container, stream, target, shift=0.0):
    """The packets of a stream as those of the stream `target`, `shift` seconds earlier."""
    steps = round(shift / stream.time_base)
    for packet in container.demux(stream):
        if packet.dts is None:                         # the last one, empty
            continue
        packet.pts, packet.dts = packet.pts - steps, packet.dts - steps
        packet.stream = target
        yield packet


def encoded(container, stream, target, shift):
    """The packets of a sound track, decoded and encoded anew, `shift` seconds earlier."""
    steps = round(shift / stream.time_base)
    for frame in container.decode(stream):
        frame.pts -= steps
        if frame.pts >= 0:
            yield from target.encode(frame)
    yield from target.encode(None)


def sound_packets(container, target, start, length):
    """[the packets of the first sound track, cut]; [] without one."""
    if not container.streams.audio:
        return []
    stream = container.streams.audio[0]
    shift = start
    if container.streams.video:
        picture = container.streams.video[0]
        shift += float((picture.start_time or 0) * picture.time_base)
    if stream.codec_context.name in MP4_SOUND:
        packets = copied(container, stream, target.add_stream_from_template(stream), shift)
    else:
        own = target.add_stream("aac", rate=stream.codec_context.sample_rate)
        packets = encoded(container, stream, own, shift)
    return [cut(packets, length)]


def cut(packets, length):
    """Those between 0 and `length` seconds."""
    for packet in packets:
        seconds = float(packet.dts * packet.time_base)
        if seconds > length:
            return
        if seconds >= 0:
            yield packet
