"""Films for the browser's fake camera, made of the simulator's clips."""

import math
from dataclasses import dataclass
from pathlib import Path

import av
import cv2


@dataclass(frozen=True)
class Living:
    """A clip of a living face, and the truth."""

    path: Path
    heart_rate: float


@dataclass(frozen=True)
class Scene:
    """A part of a clip, in seconds."""

    clip: Path
    start_s: float = 0
    end_s: float = math.inf


def camera_film(path: Path, *scenes: Scene) -> Path:
    """The scenes one after the other as Motion JPEG, which Chromium plays as a camera at 30 frames a second."""
    with path.open("wb") as out:
        for scene in scenes:
            with av.open(str(scene.clip)) as source:
                for frame in source.decode(video=0):
                    if scene.start_s <= (frame.time or 0) < scene.end_s:
                        picture = frame.to_ndarray(format="bgr24")
                        done, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 95])
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
