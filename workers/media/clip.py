"""An upload becomes frames with true times, within budgets.

Uploads are hostile until decoded. The first bytes choose the demuxer (nothing is probed, so no playlist and no exotic
format is ever parsed), sizes are checked before the decoder opens and again on every frame, and frames, seconds,
bytes and processor time are counted while decoding, because headers lie and WebM carries no duration.
"""

import hashlib
import itertools
import os
import queue
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, Final

import av
import av.error
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from shared.schemas import ClipFacts, ErrorCode
from shared.vitals import LONGEST_CLIP_S, SHORTEST_CLIP_S
from workers.branch.result import ClipRejected
from workers.media.cpu_budget import BudgetedFile, CpuBudget
from workers.media.mp4_index import IndexRefused, look_through

CODECS: Final = {"h264": "h264", "hevc": "hevc", "vp8": "vp8", "vp9": "vp9", "av1": "av1", "libdav1d": "av1"}

_READABLE: Final = "Record it again as MP4 (H.264) or WebM (VP8, VP9 or AV1)."
#: Panoramas have 4; scaled down for the face detector, a longer strip would have no height left.
_LONGEST_TO_SHORTEST: Final = 16
_QUEUE_BYTES: Final = 32_000_000
#: Frames a second at most: what comes sooner after a frame than this rate allows is dropped. No vital needs more than
#: 30, and a file can hold 90,000 in a second.
MAX_FPS: Final = 120
#: The shortest interval that is kept, in seconds: Matroska and browsers round times to whole milliseconds, which makes
#: 8 of the 8.33 ms between two frames of 120 a second, and cameras tremble by some tenths of one.
_MIN_INTERVAL_S: Final = 1 / MAX_FPS - 1.1e-3

#: How FFmpeg opens a clip. It decodes the first pictures to learn their format: by no other decoder than those, and of
#: no greater size (`max_pixels`, by budget). A webcam's clip has two tracks. It keeps whatever packets it reads
#: meanwhile, 430 bytes for one of a single byte, and must not go on reading to guess a frame rate that nobody asks for.
_OPENING: Final = {
    "codec_whitelist": "h264,hevc,vp8,vp9,av1,libdav1d",
    "max_streams": "16",
    "probesize": "100000",
    "fpsprobesize": "0",
}
_STEP_S: Final = 0.1


@dataclass(frozen=True)
class Frame:
    """One decoded picture. `time_s` counts from the first frame; `rgb` is (height, width, 3) uint8, upright.

    `key`: the encoder coded it, or a frame dropped just before it, without reference to others.
    """

    index: int
    time_s: float
    rgb: NDArray[np.uint8]
    key: bool = False


@dataclass(frozen=True)
class ClipBudget:
    """What decoding may cost; a clip that wants more is rejected.

    `cpu_s` is processor time of decoding alone, in seconds: neither its consumer nor a slow server counts.
    """

    pixels: int = 3840 * 2160
    frames: int = 120 * 60 + 60
    duration_s: float = LONGEST_CLIP_S
    bytes: int = 200_000_000
    cpu_s: float = 30.0


@contextmanager
def open_clip(path: Path, budget: ClipBudget | None = None) -> Iterator["Clip"]:
    """Opens the clip at `path`.

    Raises:
        ClipRejected: here or from `Clip.frames()`, the clip can't be analysed.
        OSError: here or from `Clip.frames()`, the file can't be read.
    """
    budget = budget or ClipBudget()
    with FileIO(path, opener=_open_file) as file:
        size = os.fstat(file.fileno()).st_size
        if size > budget.bytes:
            raise ClipRejected(
                ErrorCode.CLIP_TOO_LARGE,
                f"The clip has {size / 1e6:.0f} MB; at most {budget.bytes / 1e6:.0f} MB are read. Use a lower bitrate.",
            )
        cpu = CpuBudget(budget.cpu_s)
        with cpu:
            demuxer, name = _sniff(file.read(4096))
            file.seek(0)
            container = _container(path, file, demuxer, name, budget, cpu)
        clip = None
        try:
            with cpu:
                stream = _video_stream(container, budget)
            clip = Clip(file, container, stream, name, budget, cpu)
            yield clip
        finally:
            if clip is None:
                container.close()
            else:
                clip.close()


def _open_file(path: str, flags: int) -> int:
    """`open`'s opener for regular files: opening a pipe would wait for somebody who writes into it."""
    if not stat.S_ISREG(Path(path).stat().st_mode):
        msg = "is not a regular file"
        raise OSError(msg)
    return os.open(path, flags)


def _container(  # noqa: PLR0917  (`open_clip` alone calls it)
    path: Path, file: FileIO, demuxer: str, name: str, budget: ClipBudget, cpu: CpuBudget
) -> InputContainer:
    try:
        if demuxer == "mov":
            look_through(path)
    except IndexRefused as refused:
        raise ClipRejected(
            ErrorCode.CLIP_TOO_LARGE, f"The file starts like {name} but is no recording. {refused}. {_READABLE}"
        ) from refused
    try:
        # Without a time-out of FFmpeg's, which counts wall time: `cpu` is checked at each read instead.
        return av.open(
            BudgetedFile(file, cpu),
            "r",
            format=demuxer,
            options={**_OPENING, "max_pixels": str(budget.pixels)},
            metadata_errors="ignore",
        )
    except (av.error.FFmpegError, ValueError) as error:
        raise ClipRejected(
            ErrorCode.CLIP_UNDECODABLE,
            f"The file starts like {name} but can't be read: it may be cut off. {_READABLE}",
        ) from error


def _sniff(head: bytes) -> tuple[str, str]:
    """The demuxer and the container's name, by the first bytes."""
    if head[4:8] == b"ftyp":
        return "mov", "mov" if head[8:12] == b"qt  " else "mp4"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "matroska", "webm" if b"webm" in head[:64] else "matroska"
    raise ClipRejected(
        ErrorCode.CONTAINER_NOT_ALLOWED, f"The file is neither MP4 nor WebM by its first bytes. {_READABLE}"
    )


def _video_stream(container: InputContainer, budget: ClipBudget) -> VideoStream:
    pictures = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if not pictures:
        raise ClipRejected(ErrorCode.NO_VIDEO, "The file holds no video track. Allow the camera and record again.")
    stream = pictures[0]
    context: Any = stream.codec_context  # None where FFmpeg knows no decoder
    if context is None or context.name not in CODECS:
        codec = "unknown" if context is None else context.name
        raise ClipRejected(ErrorCode.CODEC_NOT_ALLOWED, f"The video's codec ({codec}) is not accepted. {_READABLE}")
    _check_size(context.width, context.height, budget)
    context.options = {"max_pixels": str(budget.pixels)}
    # Decoding has one thread of its own already; more of them take the core on which the face is tracked.
    context.thread_count = 1
    return stream


def _check_size(width: int, height: int, budget: ClipBudget) -> None:
    if width * height > budget.pixels:
        raise ClipRejected(
            ErrorCode.CLIP_TOO_LARGE,
            f"The picture has {width}x{height} pixels; at most {budget.pixels / 1e6:.1f} million are decoded. "
            "Record at 640x480 or 1280x720.",
        )
    if max(width, height) > _LONGEST_TO_SHORTEST * min(width, height) > 0:
        raise ClipRejected(
            ErrorCode.CLIP_UNDECODABLE, f"The picture is a strip of {width}x{height} pixels, which no camera records."
        )


class Clip:
    """An open clip: `frames()` once, in order; then `facts`."""

    def __init__(  # noqa: PLR0917  (`open_clip` alone makes one)
        self,
        file: FileIO,
        container: InputContainer,
        stream: VideoStream,
        container_name: str,
        budget: ClipBudget,
        cpu: CpuBudget,
    ) -> None:
        self._file = file
        self._container = container
        self._stream = stream
        self._name = container_name
        self._budget = budget
        self._cpu = cpu
        self._codec = CODECS[stream.codec_context.name]
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._facts: ClipFacts | None = None

    @property
    def facts(self) -> ClipFacts:
        """What decoding found; known once `frames()` has been read to its end."""
        if self._facts is None:
            msg = "facts are known after the last frame"
            raise RuntimeError(msg)
        return self._facts

    def frames(self) -> Iterator[Frame]:
        """Every frame, in order of presentation; decoded in a thread of its own, a few frames ahead.

        Frames without a time, not later than the one before, or closer to it than `MAX_FPS` allows are dropped; damaged
        ones are skipped.

        Raises:
            ClipRejected: a budget is spent, nothing can be decoded, or (at its end) the clip is too short.
            OSError: the file can't be read any further.
        """
        if self._thread is not None:
            msg = "a clip's frames can be read once"
            raise RuntimeError(msg)
        width, height = self._stream.width, self._stream.height
        depth = int(np.clip(_QUEUE_BYTES // max(width * height * 3, 1), 1, 16))
        ready: queue.Queue[Frame | ClipFacts | Exception] = queue.Queue(depth)
        thread = threading.Thread(target=self._decode_into, args=(ready,), name="decode", daemon=True)
        thread.start()
        self._thread = thread
        try:
            while True:
                item = ready.get()
                if isinstance(item, Frame):
                    yield item
                elif isinstance(item, ClipFacts):
                    self._facts = item
                    return
                else:
                    raise item
        finally:
            self.close()

    def close(self) -> None:
        """Stops decoding and frees the file; a second call does nothing."""
        self._stop.set()
        if self._thread is None:
            self._container.close()
        else:
            self._thread.join()

    def _decode_into(self, ready: "queue.Queue[Frame | ClipFacts | Exception]") -> None:
        # The thread owns the container from here on: FFmpeg's objects must not be freed while it is inside of them.
        try:
            for item in self._decode():
                if not self._put(ready, item):
                    return
        except Exception as error:  # handed over to the reader of frames(), who raises it
            self._put(ready, error)
        finally:
            self._container.close()

    def _put(self, ready: "queue.Queue[Frame | ClipFacts | Exception]", item: Frame | ClipFacts | Exception) -> bool:
        while not self._stop.is_set():
            try:
                ready.put(item, timeout=_STEP_S)
            except queue.Full:
                continue
            return True
        return False

    def _decode(self) -> Iterator[Frame | ClipFacts]:
        decoded = self._pictures()
        first_pts: int | None = None
        last_s = -1.0
        count = 0
        size: tuple[int, int] | None = None
        upright = (0, 0)
        key = False
        for seen in itertools.count(1):
            with self._cpu:
                picture = next(decoded, None)
                if picture is None:
                    break
                if seen > self._budget.frames:
                    raise ClipRejected(
                        ErrorCode.CLIP_TOO_LARGE,
                        f"The clip has more than {self._budget.frames} frames. Record at 30 frames a second.",
                    )
                if picture.pts is None or picture.time_base is None:
                    continue
                first_pts = picture.pts if first_pts is None else first_pts
                time_s = float((picture.pts - first_pts) * picture.time_base)
                # A picture that builds on a dropped key frame shows the same step in quality.
                key |= picture.key_frame
                if time_s - last_s < _MIN_INTERVAL_S:
                    continue
                if time_s > self._budget.duration_s:
                    raise ClipRejected(
                        ErrorCode.CLIP_TOO_LONG,
                        f"The clip is longer than {self._budget.duration_s:.0f} s. 15 s are enough; at most "
                        f"{self._budget.duration_s:.0f} s are read.",
                    )
                _check_size(picture.width, picture.height, self._budget)
                size = size or (picture.width, picture.height)
                rgb = _upright(picture, size)
                last_s = time_s
                count += 1
                upright = (rgb.shape[1], rgb.shape[0])
            yield Frame(count - 1, time_s, rgb, key=key)
            key = False
        yield self._found(count, last_s, upright)

    def _pictures(self) -> Iterator[VideoFrame]:
        """What can be decoded; damaged packets and pictures are skipped, a cut-off file gives what it holds."""
        packets = self._container.demux(self._stream)
        while not self._stop.is_set():
            # At each packet: a file can hold millions of which no picture comes.
            self._cpu.check()
            try:
                packet = next(packets)
            except (StopIteration, av.error.FFmpegError):
                return
            yield from self._pictures_of(packet)

    def _pictures_of(self, packet: "Packet[VideoStream]") -> Iterator[VideoFrame]:
        try:
            frames = self._stream.decode(packet)
        except av.error.FFmpegError:
            return
        for frame in frames:
            if not frame.is_corrupt:
                yield frame

    def _found(self, count: int, span_s: float, size: tuple[int, int]) -> ClipFacts:
        if count == 0:
            raise ClipRejected(
                ErrorCode.CLIP_UNDECODABLE, f"Not one picture of the clip could be decoded: it is damaged. {_READABLE}"
            )
        # n frames span n - 1 intervals; the last frame is shown for about one more.
        duration_s = span_s * count / (count - 1) if count > 1 else 0.0
        if duration_s < SHORTEST_CLIP_S - 1e-3:
            raise ClipRejected(
                ErrorCode.CLIP_TOO_SHORT,
                f"The clip holds {duration_s:.2f} s of video; at least {SHORTEST_CLIP_S:.0f} s are needed, 15 s best.",
            )
        self._file.seek(0)
        sha256 = hashlib.file_digest(self._file, "sha256").hexdigest()
        return ClipFacts(
            duration_s=round(duration_s, 3),
            frames=count,
            fps=round((count - 1) / span_s, 3),
            width=size[0],
            height=size[1],
            container=self._name,
            codec=self._codec,
            bytes=os.fstat(self._file.fileno()).st_size,
            sha256=sha256,
        )


def _upright(picture: VideoFrame, size: tuple[int, int]) -> NDArray[np.uint8]:
    """RGB in the first frame's size (browsers change the size in mid-recording), turned as the metadata says."""
    # One thread: swscale's default splits a webcam frame over all cores and loses time (0.54 s against 0.78 s
    # for 450 frames of 640x480).
    if (picture.width, picture.height) == size:
        rgb = picture.to_ndarray(format="rgb24", threads=1)
    else:
        rgb = picture.to_ndarray(format="rgb24", threads=1, width=size[0], height=size[1])
    quarters = round(picture.rotation / 90) % 4  # counter-clockwise
    return np.ascontiguousarray(np.rot90(rgb, quarters)) if quarters else rgb  # type: ignore[return-value]
