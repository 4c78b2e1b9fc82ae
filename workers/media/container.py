"""Opening of untrusted clips: file, container and video stream, with the limits that apply before decoding."""

import math
import os
import stat
import sys
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, Final

import av
import av.error
from av.container import InputContainer
from av.video.stream import VideoStream

from shared.clips.first_bytes import ADVICE, ClipFormats, NotAClip, container_of
from shared.schemas import ErrorCode
from shared.vitals import LONGEST_CLIP_S
from workers.branch.result import ClipRejected
from workers.media.avi_index import check_avi
from workers.media.cpu_budget import BudgetedFile, CpuBudget, StreamedFile
from workers.media.mp4_index import IndexRejected, check_index
from workers.media.tracks import best_track, recorded_tracks

#: FFmpeg's decoders for clips of browsers and phones, and the codecs that they decode.
_WEB_CODECS: Final = {"h264": "h264", "hevc": "hevc", "vp8": "vp8", "vp9": "vp9", "av1": "av1", "libdav1d": "av1"}
#: FFmpeg's decoders for clips of lab cameras and data sets.
_LAB_CODECS: Final = {name: name for name in ("mpeg4", "mjpeg", "rawvideo", "prores", "ffv1")}
#: All accepted decoders, and the codecs that they decode.
CODECS: Final = {**_WEB_CODECS, **_LAB_CODECS}
_ACCEPTED: Final = {ClipFormats.WEB: _WEB_CODECS, ClipFormats.ALL: CODECS}
#: Demuxers that may seek: an MP4 is read by its index, which `check_index` limits. An AVI's index declares more than
#: its size suggests, and none of the other containers needs one, so those are read from start to end.
_SEEKING_DEMUXERS: Final = frozenset({"mov", "matroska"})
#: Largest ratio of the sides. Panoramas have 4; a longer strip has no height left after scaling for the face detector.
MAX_ASPECT_RATIO: Final = 16
#: FFmpeg's options for opening a clip. FFmpeg decodes the first frames to detect their format, so the decoders are
#: limited here, and the frame size by `max_pixels`. A webcam's clip has two tracks. FFmpeg keeps all packets that it
#: reads meanwhile, 430 bytes for one of a single byte, and must not read on to estimate a frame rate that is not used.
_OPEN_OPTIONS: Final = {
    "max_streams": "16",
    "probesize": "100000",
    "fpsprobesize": "0",
}


#: Size of a file in the formats of browsers and phones: none of theirs has more.
WEB_BYTES: Final = 200_000_000


@dataclass(frozen=True)
class ClipBudget:
    """Limits on decoding one clip; a clip that exceeds one is rejected.

    pixels      Width times height of a frame
    frames      Number of decoded frames, dropped ones included
    duration_s  Presentation time of the last frame in seconds
    bytes       Size of the file; a minute of raw 640x480 has 1.7 GB
    cpu_s       Processor time of decoding in seconds, without that of the consumer
    formats     The containers and codecs that are read
    trusted     The file is the operator's own: its index may have any size
    """

    pixels: int = 3840 * 2160
    frames: int = 120 * 60 + 60
    duration_s: float = LONGEST_CLIP_S
    bytes: int = 8_000_000_000
    cpu_s: float = 30.0
    formats: ClipFormats = ClipFormats.ALL
    trusted: bool = False

    @classmethod
    def unlimited(cls) -> "ClipBudget":
        """No limits, for trusted files of any length."""
        # `pixels` is passed to FFmpeg as an integer.
        return cls(
            pixels=2**31 - 1, frames=sys.maxsize, duration_s=math.inf, bytes=sys.maxsize, cpu_s=math.inf, trusted=True
        )

    @classmethod
    def of(cls, formats: ClipFormats) -> "ClipBudget":
        """The limits on clips in these formats."""
        return cls(formats=formats, bytes=WEB_BYTES) if formats is ClipFormats.WEB else cls(formats=formats)


def open_file(path: str, flags: int) -> int:
    """Open a regular file, as the `opener` of `FileIO`. Opening a pipe would block until it has a writer.

    Raises:
        OSError: The file can't be opened, or is not a regular file.
    """
    if not stat.S_ISREG(Path(path).stat().st_mode):
        msg = "is not a regular file"
        raise OSError(msg)
    return os.open(path, flags)


def open_container(  # noqa: PLR0917  (`open_clip` is the one caller)
    path: Path, file: FileIO, demuxer: str, name: str, budget: ClipBudget, cpu: CpuBudget
) -> InputContainer:
    """Open the container of `file` with the given `demuxer`; `name` is the container's, for messages.

    Raises:
        ClipRejected: The file can't be read as such a container, or its index exceeds the limits.
    """
    try:
        if demuxer == "mov" and not budget.trusted:
            check_index(path)
        elif demuxer == "avi" and not budget.trusted:
            check_avi(path)
    except IndexRejected as error:
        raise ClipRejected(
            ErrorCode.CLIP_TOO_LARGE, f"The file starts like {name} but is no recording. {error}. {ADVICE}"
        ) from error
    try:
        # No FFmpeg time-out, which would count wall time: `cpu` is checked at each read instead.
        return av.open(
            BudgetedFile(file, cpu) if demuxer in _SEEKING_DEMUXERS else StreamedFile(file, cpu),
            "r",
            format=demuxer,
            options={
                **_OPEN_OPTIONS,
                "codec_whitelist": ",".join(_ACCEPTED[budget.formats]),
                "max_pixels": str(budget.pixels),
            },
            metadata_errors="ignore",
        )
    except (av.error.FFmpegError, ValueError) as error:
        raise ClipRejected(
            ErrorCode.CLIP_UNDECODABLE,
            f"The file starts like {name} but can't be read: it may be cut off. {ADVICE}",
        ) from error


def sniff(head: bytes, formats: ClipFormats) -> tuple[str, str]:
    """Return the demuxer's name and the container's, by the first bytes of the file.

    Raises:
        ClipRejected: The file is not in a container of `formats`.
    """
    try:
        container = container_of(head, formats)
    except NotAClip as refused:
        raise ClipRejected(ErrorCode.CONTAINER_NOT_ALLOWED, str(refused)) from refused
    return container.demuxer, container.name


def select_video_stream(container: InputContainer, budget: ClipBudget) -> VideoStream:
    """Return the video stream to analyse, ready to be decoded.

    Raises:
        ClipRejected: There is no video stream, its codec is not accepted, or its frame size exceeds the budget.
    """
    streams = recorded_tracks(container)
    if not streams:
        raise ClipRejected(ErrorCode.NO_VIDEO, "The file has no video track. Allow the camera and record again.")
    stream = best_track(streams, _ACCEPTED[budget.formats])
    context: Any = stream.codec_context  # None where FFmpeg has no decoder
    if context is None or context.name not in _ACCEPTED[budget.formats]:
        codec = "unknown" if context is None else context.name
        name = container.format.name.partition(",")[0]
        raise ClipRejected(
            ErrorCode.CODEC_NOT_ALLOWED, f"The video's codec ({codec} in {name}) is not accepted. {ADVICE}"
        )
    check_size(context.width, context.height, budget)
    context.options = {"max_pixels": str(budget.pixels)}
    # Decoding already has a thread of its own; more of them would take the core on which the face is tracked.
    context.thread_count = 1
    return stream


def check_size(width: int, height: int, budget: ClipBudget) -> None:
    """Check the size of a frame in pixels.

    Raises:
        ClipRejected: The frame is too large, or too long for its width.
    """
    if width * height > budget.pixels:
        raise ClipRejected(
            ErrorCode.CLIP_TOO_LARGE,
            f"The picture has {width}x{height} pixels; at most {budget.pixels / 1e6:.1f} million are decoded. "
            "Record at 640x480 or 1280x720.",
        )
    if max(width, height) > MAX_ASPECT_RATIO * min(width, height) > 0:
        raise ClipRejected(
            ErrorCode.CLIP_UNDECODABLE, f"The picture is a strip of {width}x{height} pixels, which no camera records."
        )
