"""`python -m lab.bench.formats`: write the table of containers and codecs in docs/formats.md.

Each row is encoded and opened with both values of `FACEVITALS_CLIP_FORMATS`.
"""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import av
import numpy as np

from lab.scheduling import scheduling_kept
from shared.clips.first_bytes import ClipFormats
from workers.branch.result import ClipRejected
from workers.media.clip import ClipBudget, open_clip

#: The page, and the line above its table.
PAGE: Final = Path(__file__).parents[2] / "docs" / "formats.md"
MARKER: Final = "<!-- Written by `python -m lab.bench.formats`. -->\n"
#: Number of frames of each clip, and their rate per second.
FRAMES: Final = 36
RATE: Final = 30
_HEADER: Final = (
    "| container | codec | typical source | service (`web`) | `analyze`, service (`all`) |\n|---|---|---|---|---|\n"
)


@dataclass(frozen=True)
class Format:
    """A container and codec: their names, FFmpeg's muxer and encoder, the pixel format, and who writes such files."""

    container: str
    codec: str
    source: str
    muxer: str
    encoder: str
    pixels: str = "yuv420p"


FORMATS: Final = (
    Format("MP4", "H.264", "phones, Safari, most cameras", "mp4", "libx264"),
    Format("MP4", "HEVC", "phones", "mp4", "libx265"),
    Format("MP4", "VP9", "Chromium", "mp4", "libvpx-vp9"),
    Format("MP4", "AV1", "Chromium", "mp4", "libsvtav1"),
    Format("MP4", "MPEG-4", "OpenCV's writer (mp4v)", "mp4", "mpeg4"),
    Format("MOV", "H.264", "iPhone", "mov", "libx264"),
    Format("MOV", "HEVC", "iPhone", "mov", "libx265"),
    Format("MOV", "Motion JPEG", "compact cameras", "mov", "mjpeg", "yuvj420p"),
    Format("MOV", "ProRes", "cinema cameras, iPhone Pro", "mov", "prores_ks", "yuv422p10le"),
    Format("WebM", "VP8", "Firefox, Chromium", "webm", "libvpx"),
    Format("WebM", "VP9", "Chromium", "webm", "libvpx-vp9"),
    Format("WebM", "AV1", "Chromium", "webm", "libsvtav1"),
    Format("Matroska", "H.264", "Chromium (video/webm;codecs=h264), OBS", "matroska", "libx264"),
    Format("Matroska", "FFV1", "lab archives", "matroska", "ffv1"),
    Format("Matroska", "raw", "lab cameras", "matroska", "rawvideo"),
    Format("Matroska", "MPEG-4", "older converters", "matroska", "mpeg4"),
    Format("AVI", "raw", "lab cameras, UBFC-rPPG", "avi", "rawvideo"),
    Format("AVI", "Motion JPEG", "webcams, OpenCV's writer (MJPG)", "avi", "mjpeg", "yuvj420p"),
    Format("AVI", "MPEG-4", "OpenCV's writer (XVID)", "avi", "mpeg4"),
    Format("AVI", "FFV1", "lab archives", "avi", "ffv1"),
    Format("MPEG-TS", "H.264", "camcorders, network cameras", "mpegts", "libx264"),
    Format("YUV4MPEG2", "raw", "video tools", "yuv4mpegpipe", "rawvideo"),
    Format("FLV", "FLV1", "older streams", "flv", "flv"),
    Format("ASF", "WMV 8", "Windows Movie Maker", "asf", "wmv2"),
    Format("MPEG-PS", "MPEG-2", "DVD", "vob", "mpeg2video"),
    Format("MXF", "MPEG-2", "broadcast cameras", "mxf", "mpeg2video"),
    Format("GIF", "GIF", "animations", "gif", "gif", "rgb8"),
)
_ENCODING: Final = {
    "libx264": {"preset": "ultrafast"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none"},
    "libsvtav1": {"preset": "12"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
}


def write_clip(form: Format, path: Path) -> None:
    """Write a clip of `FRAMES` moving pictures to `path`.

    Raises:
        av.error.FFmpegError: This FFmpeg can't encode it.
        ValueError: This FFmpeg does not have the encoder.
    """
    ramp = np.tile(np.linspace(20, 220, 64).astype(np.uint8)[None, :, None], (48, 1, 3))
    with scheduling_kept(), av.open(str(path), "w", format=form.muxer) as output:
        stream: Any = output.add_stream(form.encoder, rate=RATE, options=_ENCODING.get(form.encoder, {}))
        stream.width, stream.height, stream.pix_fmt = 64, 48, form.pixels
        for index in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(np.roll(ramp, index, axis=1), "rgb24")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())


def outcome(path: Path, formats: ClipFormats) -> str:
    """Return "read", or the code with which the clip at `path` is refused."""
    try:
        with open_clip(path, ClipBudget.of(formats)) as clip:
            count = sum(1 for _ in clip.frames())
    except ClipRejected as rejected:
        return f"refused: `{rejected.code.value}`"
    return "read" if count == FRAMES else f"read in part: {count} of {FRAMES} frames"


def table() -> str:
    """Encode and open every format of `FORMATS`; return the table in Markdown."""
    lines = []
    with TemporaryDirectory(prefix="facevitals-formats-") as folder:
        for number, form in enumerate(FORMATS):
            path = Path(folder) / str(number)
            write_clip(form, path)
            web, everything = (outcome(path, formats) for formats in (ClipFormats.WEB, ClipFormats.ALL))
            lines.append(f"| {form.container} | {form.codec} | {form.source} | {web} | {everything} |\n")
    return _HEADER + "".join(lines)


def main() -> None:
    """Replace the table of the page."""
    text, _, _ = PAGE.read_text("utf-8").partition(MARKER)
    PAGE.write_text(f"{text}{MARKER}\n{table()}", "utf-8")


if __name__ == "__main__":
    main()
