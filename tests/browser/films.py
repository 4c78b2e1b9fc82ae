"""Films for the browser's fake camera, made of the simulator's clips."""

from collections.abc import Iterable
from pathlib import Path

import av
from lab.simulate import ClipSpec, Truth, simulate

FPS = 30


def clip(path: Path, spec: ClipSpec) -> Truth:
    """A clip as a file to upload, and its truth."""
    return simulate(path, spec)


def camera_film(path: Path, parts: Iterable[Path]) -> Path:
    """The parts one after the other as Motion JPEG, which Chromium plays as a camera at 30 frames a second."""
    with av.open(str(path), "w", format="mjpeg") as out:
        stream = out.add_stream("mjpeg", rate=FPS, options={"qmin": "2", "qmax": "3"})
        stream.pix_fmt = "yuvj420p"
        for part in parts:
            with av.open(str(part)) as source:
                for frame in source.decode(video=0):
                    stream.width, stream.height = frame.width, frame.height
                    picture = frame.reformat(format="yuvj420p")
                    picture.pts = None
                    out.mux(stream.encode(picture))
        out.mux(stream.encode())
    return path


def cut(source: Path, path: Path, duration_s: float) -> Path:
    """The first seconds of a clip, copied without encoding them again."""
    with av.open(str(source)) as whole, av.open(str(path), "w") as out:
        video = whole.streams.video[0]
        copy = out.add_stream_from_template(video)
        for packet in whole.demux(video):
            if packet.pts is None or packet.pts * video.time_base >= duration_s:
                continue
            packet.stream = copy
            out.mux(packet)
    return path
