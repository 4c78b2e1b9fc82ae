"""Clips with unusual geometry: written by PyAV, or patched in their bytes."""

import struct
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.bitstream import BitStreamFilterContext
from numpy.typing import NDArray

from shared.schemas import ClipFacts
from workers.media.clip import ClipBudget, Frame, open_clip

Picture = NDArray[np.uint8]

_ENCODING = {
    "libx264": {"preset": "veryfast", "crf": "10"},
    "libx265": {"x265-params": "log-level=none"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8", "b": "2M"},
}


def scene(count: int = 45, width: int = 160, height: int = 120) -> list[Picture]:
    """Return pictures with corners in four colours, so that each orientation differs, and a moving bar."""
    pictures = []
    for index in range(count):
        picture = np.full((height, width, 3), 60, np.uint8)
        at = width // 4 + index % (width // 4)
        picture[:, at : at + 8] = 200
        picture[: height // 4, : width // 4] = (220, 20, 20)
        picture[: height // 4, -width // 4 :] = (20, 200, 20)
        picture[-height // 4 :, : width // 4] = (30, 30, 220)
        pictures.append(picture)
    return pictures


def written(
    path: Path,
    pictures: Iterable[Picture],
    codec: str = "libx264",
    *,
    pixel_aspect: Fraction | None = None,
    rotation: float | None = None,
    encoding: dict[str, str] | None = None,
) -> Path:
    """Write `pictures` (h, w, 3) at 30 a second to `path`, and return it; `rotation` in degrees anticlockwise."""
    pictures = list(pictures)
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream(codec, rate=30, options={**_ENCODING[codec], **(encoding or {})})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        if pixel_aspect is not None:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        if rotation is not None:
            stream.set_display_rotation(rotation)
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")
            frame.pts = index
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return path


def filtered(source: Path, target: Path, *bitstream_filter: str) -> Path:
    """Copy the video of `source` to `target` through FFmpeg's bitstream filter, and return `target`."""
    with av.open(str(source)) as clip, av.open(str(target), "w") as output:
        track = clip.streams.video[0]
        stream = output.add_stream_from_template(track)
        context = BitStreamFilterContext("".join(bitstream_filter), track, stream)
        for packet in clip.demux(track):
            for changed in context.filter(packet if packet.dts is not None else None):
                changed.stream = stream
                output.mux(changed)
    return target


def edited(source: Path, target: Path, edit: Callable[[bytes], bytes]) -> Path:
    """Copy the video of `source` to `target` with each keyframe's bytes changed by `edit`, and return `target`."""
    with av.open(str(source)) as clip, av.open(str(target), "w") as output:
        stream = output.add_stream_from_template(clip.streams.video[0])
        for packet in clip.demux(video=0):
            if packet.dts is not None:
                changed: Any = av.Packet(edit(bytes(packet)) if packet.is_keyframe else bytes(packet))
                changed.pts, changed.dts, changed.time_base = packet.pts, packet.dts, packet.time_base
                changed.duration, changed.is_keyframe, changed.stream = packet.duration, packet.is_keyframe, stream
                output.mux(changed)
    return target


def joined(target: Path, *parts: Path) -> Path:
    """Write the packets of all `parts` one after the other to one track of `target`, and return it."""
    with av.open(str(target), "w") as output:
        stream = None
        begin = Fraction(0)
        for part in parts:
            with av.open(str(part)) as clip:
                stream = stream or output.add_stream_from_template(clip.streams.video[0])
                end = begin
                for packet in clip.demux(video=0):
                    if packet.dts is None or packet.pts is None or packet.time_base is None:
                        continue
                    offset = round(begin / packet.time_base)
                    packet.pts, packet.dts = packet.pts + offset, packet.dts + offset
                    end = max(end, (packet.pts + (packet.duration or 0)) * packet.time_base)
                    packet.stream = stream
                    output.mux(packet)
                begin = end
    return target


def with_matrix(path: Path, matrix: Sequence[int]) -> Path:
    """Replace the matrix in the first track header of the MP4 at `path` by nine integers, and return `path`."""
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 44
    content[at : at + 36] = struct.pack(">9i", *matrix)
    path.write_bytes(content)
    return path


def decoded(path: Path, budget: ClipBudget | None = None) -> tuple[list[Frame], ClipFacts]:
    """Return the frames and the facts of a clip."""
    with open_clip(path, budget) as clip:
        return list(clip.frames()), clip.facts
