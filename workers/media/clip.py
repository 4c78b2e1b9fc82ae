"""Decode an upload into frames with presentation times, within budgets.

Uploads are not trusted. The first bytes choose the demuxer: formats are not probed, so playlists and rare formats are
never parsed. The frame size is checked before the decoder opens and again on every frame. Frames, seconds, bytes and
processor time are counted while decoding, because headers can be wrong and WebM need not carry a duration.
"""

import hashlib
import itertools
import os
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Final

import av
import av.error
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from shared.clips.first_bytes import ADVICE, HEAD_BYTES
from shared.schemas import ClipFacts, ErrorCode, RotationSource
from shared.vitals import SHORTEST_CLIP_S
from workers.branch.result import ClipRejected
from workers.media.colour import ColourObserver
from workers.media.container import (
    CODECS,
    ClipBudget,
    check_size,
    open_container,
    open_file,
    select_video_stream,
    sniff,
)
from workers.media.cpu_budget import CpuBudget
from workers.media.geometry import Geometry, pixel_aspect_of
from workers.media.recorder import device_of, encoder_of
from workers.media.tracks import ignored_tracks

__all__ = ["MAX_FPS", "Clip", "ClipBudget", "Frame", "open_clip"]

#: Memory for frames that are decoded ahead of their consumer.
_QUEUE_BYTES: Final = 32_000_000
#: Largest frame rate: frames that follow another sooner than this rate allows are dropped. No vital needs more than 30
#: frames a second, and a file can hold 90,000.
MAX_FPS: Final = 120
#: Shortest interval between two frames, in seconds. Matroska and browsers round times to milliseconds: the 8.33 ms
#: between two frames at 120 a second become 8. Cameras jitter by some tenths of a millisecond.
_MIN_INTERVAL_S: Final = 1 / MAX_FPS - 1.1e-3

#: Most packets read for each frame that is allowed. A picture of two fields has two packets, and codecs have packets
#: that show nothing; a file can hold millions of those.
_PACKETS_PER_FRAME: Final = 4
#: Most bytes that a container may add to a packet: Matroska can leave out the first bytes if they are the same in all.
_PACKET_HEADER_BYTES: Final = 64

#: Seconds between two checks of the stop flag while the queue is full.
_PUT_TIMEOUT_S: Final = 0.1
#: Tolerance of intervals: browsers round times to whole milliseconds.
TIME_SLACK_S: Final = 5e-4


@dataclass(frozen=True)
class Frame:
    """One decoded frame.

    index        Position among the frames that are kept, from 0
    time_s       Presentation time in seconds; the first frame's is 0
    rgb          (height, width, 3) uint8 sRGB, upright, of the same shape in all frames
    is_keyframe  Whether this frame, or a frame dropped just before it, was encoded without reference to others
    """

    index: int
    time_s: float
    rgb: NDArray[np.uint8]
    is_keyframe: bool = False


@contextmanager
def open_clip(path: Path, budget: ClipBudget | None = None) -> Iterator["Clip"]:
    """Open the clip at `path`; without a `budget`, the limits are `ClipBudget`'s defaults.

    Raises:
        ClipRejected: The clip can't be analysed. `Clip.frames` raises it as well.
        OSError: The file can't be read. `Clip.frames` raises it as well.
    """
    budget = budget or ClipBudget()
    with FileIO(path, opener=open_file) as file:
        size = os.fstat(file.fileno()).st_size
        if size > budget.bytes:
            raise ClipRejected(
                ErrorCode.CLIP_TOO_LARGE,
                f"The clip has {size / 1e6:.0f} MB; at most {budget.bytes / 1e6:.0f} MB are read. Use a lower bitrate.",
            )
        cpu = CpuBudget(budget.cpu_s)
        with cpu:
            demuxer, name = sniff(file.read(HEAD_BYTES), budget.formats)
            file.seek(0)
            container = open_container(path, file, demuxer, name, budget, cpu)
        clip = None
        try:
            with cpu:
                stream = select_video_stream(container, budget)
            clip = Clip(file, container, stream, name, budget, cpu)
            yield clip
        finally:
            if clip is None:
                container.close()
            else:
                clip.close()


class Clip:
    """An open clip. Read `frames()` once and in order; `facts` are available afterwards. Made by `open_clip`."""

    def __init__(  # noqa: PLR0917  (`open_clip` is the one caller)
        self,
        file: FileIO,
        container: InputContainer,
        stream: VideoStream,
        container_name: str,
        budget: ClipBudget,
        cpu: CpuBudget,
    ) -> None:
        self._file = file
        self._n_file_bytes = os.fstat(file.fileno()).st_size
        self._container = container
        self._stream = stream
        self._name = container_name
        self._budget = budget
        self._cpu = cpu
        self._codec = CODECS[stream.codec_context.name]
        self._geometry = Geometry(stream, budget.pixels)
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._facts: ClipFacts | None = None
        self._colour = ColourObserver()

    @property
    def facts(self) -> ClipFacts:
        """Properties of the clip, known once `frames()` has been read to its end.

        Raises:
            RuntimeError: There are frames left to read.
        """
        if self._facts is None:
            msg = "facts are known after the last frame"
            raise RuntimeError(msg)
        return self._facts

    def frames(self) -> Iterator[Frame]:
        """Yield every frame in order of presentation. A thread decodes a few frames ahead.

        Frames without a time, not later than the one before, or closer to it than `MAX_FPS` allows are dropped. Damaged
        frames are skipped.

        Raises:
            ClipRejected: A budget is spent, nothing can be decoded, or, at the end, the clip is too short.
            OSError: The file can't be read.
            RuntimeError: The frames have been read before.
        """
        if self._thread is not None:
            msg = "a clip's frames can be read once"
            raise RuntimeError(msg)
        aspect = pixel_aspect_of(self._stream.sample_aspect_ratio)
        n_pixels = self._stream.width * self._stream.height * max(aspect, 1 / aspect)
        depth = int(np.clip(_QUEUE_BYTES // max(int(n_pixels) * 3, 1), 1, 16))
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
        """Stop decoding and close the container. A second call does nothing."""
        self._stop.set()
        if self._thread is None:
            self._container.close()
        else:
            self._thread.join()

    def _decode_into(self, ready: "queue.Queue[Frame | ClipFacts | Exception]") -> None:
        # The thread owns the container from here on: FFmpeg's objects must not be freed while they are used.
        try:
            for item in self._decode():
                if not self._put(ready, item):
                    return
        except Exception as error:  # raised again by frames()
            self._put(ready, error)
        finally:
            self._container.close()

    def _put(self, ready: "queue.Queue[Frame | ClipFacts | Exception]", item: Frame | ClipFacts | Exception) -> bool:
        while not self._stop.is_set():
            try:
                ready.put(item, timeout=_PUT_TIMEOUT_S)
            except queue.Full:
                continue
            return True
        return False

    def _decode(self) -> Iterator[Frame | ClipFacts]:
        decoded = self._decoded_frames()
        first_pts: int | None = None
        last_s = -1.0
        count = 0
        shown = (0, 0)
        is_keyframe = False
        for n_decoded in itertools.count(1):
            with self._cpu:
                picture = next(decoded, None)
                if picture is None:
                    break
                if n_decoded > self._budget.frames:
                    raise ClipRejected(
                        ErrorCode.CLIP_TOO_LARGE,
                        f"The clip has more than {self._budget.frames} frames. Record at 30 frames a second.",
                    )
                if picture.pts is None or picture.time_base is None:
                    continue
                first_pts = picture.pts if first_pts is None else first_pts
                time_s = float((picture.pts - first_pts) * picture.time_base)
                # A frame that refers to a dropped keyframe shows the same step in quality.
                is_keyframe |= picture.key_frame
                if time_s - last_s < _MIN_INTERVAL_S:
                    continue
                if time_s > self._budget.duration_s:
                    raise ClipRejected(
                        ErrorCode.CLIP_TOO_LONG,
                        f"The clip is longer than {self._budget.duration_s:.0f} s. 15 s are enough; at most "
                        f"{self._budget.duration_s:.0f} s are read.",
                    )
                check_size(picture.width, picture.height, self._budget)
                rgb = self._geometry.upright(self._colour.rgb(picture, self._geometry.fitted_size(picture)))
                last_s = time_s
                count += 1
                shown = (rgb.shape[1], rgb.shape[0])
            yield Frame(count - 1, time_s, rgb, is_keyframe=is_keyframe)
            is_keyframe = False
        yield self._build_facts(count, last_s, shown)

    def _decoded_frames(self) -> Iterator[VideoFrame]:
        """Yield what can be decoded. Damaged packets and frames are skipped; a cut-off file ends early."""
        packets = self._container.demux(self._stream)
        n_bytes = 0
        for n_packets in itertools.count(1):
            if self._stop.is_set():
                return
            self._cpu.check()
            try:
                packet = next(packets)
            except (StopIteration, av.error.FFmpegError):
                return
            n_bytes += packet.size
            self._check_packets(n_packets, n_bytes)
            yield from self._decode_packet(packet)

    def _check_packets(self, n_packets: int, n_bytes: int) -> None:
        # Counted, because how much a packet that decodes to no frame costs depends on the machine.
        most = _PACKETS_PER_FRAME * self._budget.frames
        if n_packets > most:
            raise ClipRejected(
                ErrorCode.CLIP_TOO_LARGE,
                f"The clip has more than {most} packets of video, as no camera writes. Record at 30 frames a second.",
            )
        # Packets larger than their file are compressed once more, or refer to the same bytes many times.
        if n_bytes > self._n_file_bytes + _PACKET_HEADER_BYTES * n_packets:
            raise ClipRejected(
                ErrorCode.CLIP_TOO_LARGE, f"The clip's packets unpack to more bytes than the file has. {ADVICE}"
            )

    def _decode_packet(self, packet: "Packet[VideoStream]") -> Iterator[VideoFrame]:
        try:
            frames = self._stream.decode(packet)
        except av.error.FFmpegError:
            return
        for frame in frames:
            if not frame.is_corrupt:
                yield frame

    def _build_facts(self, count: int, span_s: float, size: tuple[int, int]) -> ClipFacts:
        if count == 0:
            raise ClipRejected(
                ErrorCode.CLIP_UNDECODABLE, f"Not one picture of the clip could be decoded: it is damaged. {ADVICE}"
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
        orientation = self._geometry.orientation
        return ClipFacts(
            duration_s=round(duration_s, 3),
            frames=count,
            fps=round((count - 1) / span_s, 3),
            width=size[0],
            height=size[1],
            container=self._name,
            codec=self._codec,
            bytes=self._n_file_bytes,
            sha256=sha256,
            rotation=orientation.rotation,
            rotation_source=RotationSource.METADATA if orientation.rotation else None,
            mirrored=orientation.mirrored,
            pixel_aspect=round(float(self._geometry.pixel_aspect), 4),
            size_changes=self._geometry.size_changes,
            tracks_ignored=ignored_tracks(self._container, self._stream),
            colour=self._colour.facts,
            device=device_of(self._container),
            encoder=encoder_of(self._container),
        )
