"""Fixtures: encoded clips, and frames with a face."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from lab.scheduling import scheduling_kept
from workers.face.tracker import FaceTracker
from workers.media.clip import Frame

Picture = NDArray[np.uint8]
Encode = Callable[..., Path]
Scene = Callable[..., list[Frame]]

TICKS = 60_000
#: Development data beside the checkout; not part of it.
DATA = Path(__file__).parents[4] / "shared" / "data"


def moving_bar(count: int, width: int = 160, height: int = 120) -> Iterator[Picture]:
    """Grey frames with a moving bright bar, so that no two are equal, and a red upper left corner."""
    for index in range(count):
        picture = np.full((height, width, 3), 60, np.uint8)
        at = 4 * index % (width - 8)
        picture[:, at : at + 8] = 200
        picture[: height // 4, : width // 4] = (220, 20, 20)
        yield picture


@pytest.fixture(name="encode")
def _encode(tmp_path: Path) -> Encode:
    def encode(  # noqa: PLR0917  (all have defaults and are passed by name)
        name: str = "clip.mp4",
        codec: str = "libx264",
        times_s: NDArray[np.float64] | None = None,
        size: tuple[int, int] = (160, 120),
        rotation: float | None = None,
        container: str | None = None,
        muxing: dict[str, str] | None = None,
        encoding: dict[str, str] | None = None,
        pixels: str = "yuv420p",
    ) -> Path:
        """Write a clip with frames at `times_s`, and return its path."""
        times_s = np.arange(60) / 30 if times_s is None else times_s
        path = tmp_path / name
        with scheduling_kept(), av.open(str(path), "w", format=container, options=muxing or {}) as output:
            stream = output.add_stream(codec, rate=30, options=encoding or {})
            assert isinstance(stream, av.VideoStream)
            stream.width, stream.height, stream.pix_fmt = *size, pixels
            stream.codec_context.time_base = Fraction(1, TICKS)
            if rotation is not None:
                stream.set_display_rotation(rotation)
            for time_s, picture in zip(times_s, moving_bar(len(times_s), *size), strict=True):
                frame = av.VideoFrame.from_ndarray(picture, "rgb24")
                frame.pts, frame.time_base = round(time_s * TICKS), Fraction(1, TICKS)
                output.mux(stream.encode(frame))
            output.mux(stream.encode())
        return path

    return encode


@pytest.fixture(scope="session")
def astronaut() -> Picture:
    """scikit-image's portrait (512, 512, 3): a face of 110 pixels, its middle at (225, 115)."""
    from skimage import data

    return np.asarray(data.astronaut(), np.uint8)  # type: ignore[no-untyped-call]


def filmed(face: Picture, at: tuple[float, float], scale: float = 1.0, size: tuple[int, int] = (320, 240)) -> Picture:
    """`face` scaled onto a grey wall of `size` (w, h), the middle of the astronaut's face at `at`."""
    place = np.array([[scale, 0, at[0] - 225 * scale], [0, scale, at[1] - 115 * scale]])
    wall = np.full((size[1], size[0], 3), 110, np.uint8)
    return np.asarray(
        cv2.warpAffine(face, place, size, dst=wall, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_TRANSPARENT), np.uint8
    )


@pytest.fixture(name="scene", scope="session")
def _scene(astronaut: Picture) -> Scene:
    def scene(  # noqa: PLR0917  (all have defaults and are passed by name)
        duration_s: float = 3.0,
        fps: float = 30.0,
        at: Callable[[float], tuple[float, float]] = lambda _: (160.0, 110.0),
        light: Callable[[float], float] = lambda _: 1.0,
        change: Callable[[float, Picture], Picture] = lambda _, picture: picture,
        face: Picture = astronaut,
        scale: float = 1.0,
    ) -> list[Frame]:
        """Return frames of a face; position, brightness and other changes are functions of the time in seconds."""
        rng = np.random.default_rng(0)
        frames = []
        for index in range(round(duration_s * fps)):
            time_s = index / fps
            picture = filmed(face, at(time_s), scale) * light(time_s) + rng.normal(0, 1.5, (240, 320, 3))
            frames.append(Frame(index, time_s, change(time_s, np.clip(picture, 0, 255).astype(np.uint8))))
        return frames

    return scene


@pytest.fixture(scope="session")
def tracker() -> FaceTracker:
    """One tracker for many clips, as in a worker."""
    return FaceTracker()
