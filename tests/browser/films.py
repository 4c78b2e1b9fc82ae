"""Films for the browser's fake camera, made of the simulator's clips."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import av
import cv2


@dataclass(frozen=True)
class Living:
    """A clip of a living face, and the truth."""

    path: Path
    heart_rate: float


def camera_film(path: Path, parts: Iterable[Path]) -> Path:
    """The parts one after the other as Motion JPEG, which Chromium plays as a camera at 30 frames a second."""
    with path.open("wb") as out:
        for part in parts:
            with av.open(str(part)) as source:
                for frame in source.decode(video=0):
                    done, jpeg = cv2.imencode(".jpg", frame.to_ndarray(format="bgr24"), [cv2.IMWRITE_JPEG_QUALITY, 95])
                    assert done
                    out.write(jpeg.tobytes())
    return path


def cut(source: Path, path: Path, duration_s: float) -> Path:
    """The first seconds of a clip, copied without encoding them again."""
    with av.open(str(source)) as whole, av.open(str(path), "w") as out:
        video = whole.streams.video[0]
        copy = out.add_stream_from_template(video)
        for packet in whole.demux(video):
            if packet.pts is None or float(packet.pts * packet.time_base) >= duration_s:
                continue
            packet.stream = copy
            out.mux(packet)
    return path
