"""Small valid clips in every accepted container and codec, for mutations to start from."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import av
import numpy as np
from av.audio.stream import AudioStream
from av.video.stream import VideoStream
from numpy.typing import NDArray

from lab.scheduling import scheduling_kept

#: Ticks per second of the MP4 files, and number of frames of a clip.
TICKS: Final = 90_000
FRAMES: Final = 36

_QUICK: Final = {"deadline": "realtime", "cpu-used": "8"}

#: Name, container, codec, muxer's options, encoder's options.
_SEEDS: Final[list[tuple[str, str, str, dict[str, str], dict[str, str]]]] = [
    ("h264.mp4", "mp4", "libx264", {}, {"preset": "ultrafast", "bf": "2", "b-adapt": "0", "g": "12"}),
    ("h264-cabac.mp4", "mp4", "libx264", {"movflags": "faststart"}, {"preset": "medium", "bf": "2", "g": "18"}),
    ("h264-fragments.mp4", "mp4", "libx264", {"movflags": "frag_keyframe+empty_moov+default_base_moof"}, {"g": "9"}),
    ("h264.mov", "mov", "libx264", {}, {"preset": "ultrafast"}),
    ("h264.mkv", "matroska", "libx264", {}, {"preset": "ultrafast"}),
    ("hevc.mp4", "mp4", "libx265", {}, {"preset": "ultrafast", "x265-params": "log-level=none"}),
    ("vp8.webm", "webm", "libvpx", {}, _QUICK),
    ("vp8-live.webm", "webm", "libvpx", {"live": "1"}, _QUICK),
    ("vp9.webm", "webm", "libvpx-vp9", {}, _QUICK),
    ("vp9.mp4", "mp4", "libvpx-vp9", {}, _QUICK),
    ("av1.webm", "webm", "libsvtav1", {}, {"preset": "12"}),
    ("av1.mp4", "mp4", "libsvtav1", {}, {"preset": "12"}),
    ("mpeg4.avi", "avi", "mpeg4", {}, {}),
    ("raw.avi", "avi", "rawvideo", {}, {}),
    ("h264.ts", "mpegts", "libx264", {}, {"preset": "ultrafast"}),
    ("mpeg4.mp4", "mp4", "mpeg4", {}, {}),
    ("ffv1.mkv", "matroska", "ffv1", {}, {}),
    ("raw.y4m", "yuv4mpegpipe", "rawvideo", {}, {}),
]
#: Muxers that store a frame rate instead of times.
_RATED: Final = frozenset({"avi", "yuv4mpegpipe"})


def seeds() -> dict[str, bytes]:
    """Clips of 160x120 and 1.2 s by name; two of them with sound."""
    made = {
        name: encoded(container, codec, muxing=muxing, encoding=encoding)
        for name, container, codec, muxing, encoding in _SEEDS
    }
    made["h264-aac.mp4"] = encoded("mp4", "libx264", encoding={"preset": "ultrafast"}, sound="aac")
    made["mjpeg.avi"] = encoded("avi", "mjpeg", pixels="yuvj420p")
    made["mjpeg.mov"] = encoded("mov", "mjpeg", pixels="yuvj420p")
    made["prores.mov"] = encoded("mov", "prores_ks", pixels="yuv422p10le")
    made["vp8-opus.webm"] = encoded("webm", "libvpx", encoding=_QUICK, sound="libopus")
    return made


def pictures(count: int, width: int, height: int) -> Iterator[NDArray[np.uint8]]:
    """Pictures (height, width, 3) uint8 with motion."""
    columns = np.arange(width) * 255 // max(width - 1, 1)
    picture = np.empty((height, width, 3), np.uint8)
    for index in range(count):
        picture[:] = np.roll(columns, 4 * index)[None, :, None]
        picture[: height // 4, : width // 4] = (220, 20, 20)
        yield picture


def encoded(
    container: str,
    codec: str,
    *,
    size: tuple[int, int] = (160, 120),
    pixels: str | None = "yuv420p",
    frames: int = FRAMES,
    fps: float = 30.0,
    muxing: dict[str, str] | None = None,
    encoding: dict[str, str] | None = None,
    sound: str | None = None,
    disposition: int = 0,
) -> bytes:
    """Encode a clip; returns its bytes. Without `pixels` it contains only sound.

    Raises:
        av.error.FFmpegError: this FFmpeg can't encode or multiplex it.
        ValueError: the codec is unknown.
    """
    with TemporaryDirectory(prefix="facevitals-hostile-") as folder, scheduling_kept():
        path = Path(folder) / "clip"
        with av.open(str(path), "w", format=container, options=muxing or {}) as output:
            voice: Any = output.add_stream(sound, rate=48_000) if sound else None
            if pixels is not None:
                stream: Any = output.add_stream(codec, rate=max(round(fps), 1), options=encoding or {})
                stream.width, stream.height, stream.pix_fmt = *size, pixels
                rate = round(fps) if container in _RATED or codec == "mpeg4" else TICKS
                stream.codec_context.time_base = Fraction(1, rate)
                if disposition:
                    stream.disposition = disposition
                _encode_pictures(output, stream, frames, fps)
            if voice is not None:
                _encode_sound(output, voice, frames / fps)
        return path.read_bytes()


def _encode_pictures(output: Any, stream: VideoStream, frames: int, fps: float) -> None:  # noqa: ANN401  (PyAV: any container)
    for index, picture in enumerate(pictures(frames, stream.width, stream.height)):
        frame = av.VideoFrame.from_ndarray(picture, "rgb24")
        frame.pts, frame.time_base = round(index * TICKS / fps), Fraction(1, TICKS)
        output.mux(stream.encode(frame))
    output.mux(stream.encode())


def _encode_sound(output: Any, stream: AudioStream, duration_s: float) -> None:  # noqa: ANN401
    samples = np.sin(np.arange(int(48_000 * duration_s)) * 0.05).astype(np.float32)
    layout = stream.codec_context.layout.name
    resampler = av.AudioResampler(stream.codec_context.format, layout, 48_000, stream.codec_context.frame_size or 1024)
    frame = av.AudioFrame.from_ndarray(samples[None], "fltp", "mono")
    frame.sample_rate = 48_000
    for part in [*resampler.resample(frame), *resampler.resample(None)]:
        output.mux(stream.encode(part))
    output.mux(stream.encode())
