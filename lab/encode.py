"""Encode frames with their times as an MP4 or WebM file, as a browser's recorder does."""

from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.video.reformatter import Interpolation
from numpy.typing import NDArray

from lab.arrays import Floats

#: Encoder and options by codec, as live recorders use them: no frame waits for a later one. One thread and a fixed
#: effort give the same bytes for the same frames (libvpx adapts a positive effort to the clock, not a negative one).
ENCODERS = {
    "h264": ("libx264", {"preset": "veryfast", "tune": "zerolatency"}),
    "vp8": ("libvpx", {"deadline": "realtime", "cpu-used": "-6"}),
    "vp9": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "7", "row-mt": "0"}),
}

#: Ticks per second of each container: WebM stores milliseconds.
TICKS = {".mp4": 90_000, ".webm": 1_000}

#: Seconds between keyframes: browsers request one about every hundred frames.
KEYFRAME_S = 3.3

#: Frames that may wait for the encoder, which works beside whatever makes the frames.
_WAITING = 8


def presentation_times(  # noqa: PLR0917  (all are needed, and of different kinds)
    count: int, fps: float, jitter: float, dropped: float, ticks: int, rng: np.random.Generator
) -> Floats:
    """Times (n,) in seconds of those of `count` frames that arrive, the first 0, in steps of 1/`ticks` s.

    jitter   standard deviation of the time between frames, as a share of 1/fps
    dropped  share of the frames that are lost
    """
    steps = np.clip(1 + jitter * rng.standard_normal(count), 0.25, None)
    times = np.concatenate([[0.0], np.cumsum(steps)[:-1]])
    times = times * (count - 1) / times[-1] if count > 1 else times
    arrived = rng.random(count) >= dropped
    arrived[0] = True
    return np.asarray(np.unique(np.round(times[arrived] / fps * ticks)) / ticks, dtype=np.float64)


def encode(
    path: Path,
    frames: Iterable[tuple[float, NDArray[np.uint8]]],
    *,
    codec: str,
    fps: float,
    bitrate_bps: int,
    duration_header: bool = True,
    keyframe_s: float = KEYFRAME_S,
) -> None:
    """Write `frames` to `path` (.mp4 or .webm): pairs of a time in seconds and a picture (h, w, 3) uint8 RGB.

    Times must increase by at least a tick (`TICKS`). Without `duration_header` the file is a stream: WebM of unknown
    length, fragmented MP4. A file that can't be finished is removed.

    Raises:
        KeyError: the codec or the file name's suffix is unknown.
        OSError: the file can't be written.
    """
    suffix = path.suffix.lower()
    name, options = ENCODERS[codec]
    muxing = {"fflags": "+bitexact"}
    if not duration_header:
        muxing |= {"live": "1"} if suffix == ".webm" else {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    time_base = Fraction(1, TICKS[suffix])
    try:
        with av.open(str(path), "w", format=suffix[1:], options=muxing) as container:
            rate = Fraction(fps).limit_denominator(1001)
            stream = cast("av.VideoStream", container.add_stream(name, rate=rate, options=options))
            stream.pix_fmt = "yuv420p"
            stream.bit_rate = bitrate_bps
            stream.time_base = time_base
            coder = stream.codec_context
            coder.time_base = time_base
            coder.thread_count = 1
            coder.gop_size = max(1, round(keyframe_s * fps))

            def write(frame: av.VideoFrame) -> None:
                small = frame.reformat(format="yuv420p", interpolation=Interpolation.AREA)
                small.pts, small.time_base = frame.pts, time_base
                for packet in stream.encode(small):
                    container.mux(packet)

            waiting: deque[Future[None]] = deque()
            with ThreadPoolExecutor(1, "encoder") as encoder:
                for time_s, rgb in frames:
                    if stream.width != rgb.shape[1]:
                        stream.height, stream.width = rgb.shape[:2]
                    frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
                    frame.pts = round(time_s / time_base)
                    waiting.append(encoder.submit(write, frame))
                    if len(waiting) > _WAITING:
                        waiting.popleft().result()
                for done in waiting:
                    done.result()
            for packet in stream.encode():
                container.mux(packet)
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise
