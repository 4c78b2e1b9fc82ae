"""Videos for the browser's fake camera, made from the simulator's clips."""

import math
from dataclasses import dataclass
from pathlib import Path

import av
import cv2


@dataclass(frozen=True)
class LiveClip:
    """A clip of a live face and its true heart rate in /min."""

    path: Path
    heart_rate: float


@dataclass(frozen=True)
class Segment:
    """A part of a clip; start and end in seconds."""

    clip: Path
    start_s: float = 0
    end_s: float = math.inf


def camera_video(path: Path, *segments: Segment) -> Path:
    """Write the segments one after another as Motion JPEG, which Chromium plays at 30 frames per second."""
    with path.open("wb") as out:
        for segment in segments:
            with av.open(str(segment.clip)) as source:
                for frame in source.decode(video=0):
                    if segment.start_s <= (frame.time or 0) < segment.end_s:
                        picture = frame.to_ndarray(format="bgr24")
                        done, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 95])
                        assert done
                        out.write(jpeg.tobytes())
    return path


def cut_clip(source: Path, path: Path, duration_s: float) -> Path:
    """Copy the first `duration_s` seconds of a clip without re-encoding."""
    with av.open(str(source)) as whole, av.open(str(path), "w") as out:
        video = whole.streams.video[0]
        copy = out.add_stream_from_template(video)
        for packet in whole.demux(video):
            if packet.pts is None or float(packet.pts * packet.time_base) >= duration_s:
                continue
            packet.stream = copy
            out.mux(packet)
    return path
