"""Clips on which two face finders are compared: simulated and real ones, turned, near, far, covered, with two faces."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.simulate import ClipSpec, simulate

Picture = NDArray[np.uint8]

#: Longest part of a clip that is used, seconds.
SECONDS: Final = 12.0
#: Portraits, of the folder's, that look straight at the camera often enough to be animated; drawn by the seed.
_PEOPLE: Final = 20


@dataclass(frozen=True)
class MeshClip:
    """A file, how its pictures are changed, and the group that it is counted in."""

    group: str
    name: str
    path: Path
    change: Callable[[Picture], Picture] = lambda rgb: rgb


def mesh_clips(folder: Path, real: Path | None, faces: Path | None, seed: int) -> Iterator[MeshClip]:
    """Render the simulated clips into `folder` and yield all clips.

    `real` is a folder of recordings and `faces` one of portraits; without them there are fewer clips and people.
    """
    rng = np.random.default_rng(seed)
    portraits = sorted(faces.glob("*.jpg")) if faces else []
    people: list[Path | None] = [portraits[index] for index in rng.permutation(len(portraits))[:_PEOPLE]] or [None] * 6

    def rendered(name: str, portrait: Path | None, **conditions: object) -> Path:
        path = folder / f"{name}.mp4"
        spec = {"duration_s": SECONDS, "seed": int(rng.integers(2**31)), "heart_rate": float(rng.uniform(48, 120))}
        simulate(path, ClipSpec(**{**spec, "portrait": portrait, **conditions}))  # type: ignore[arg-type]
        return path

    live = []
    for index, portrait in enumerate(people):
        conditions = _CONDITIONS[index % len(_CONDITIONS)]
        try:
            live.append(rendered(f"live{index}", portrait, **conditions))
        except ValueError:  # no face is found in the portrait
            continue
        yield MeshClip("simulated", live[-1].stem, live[-1])
    for number, path in enumerate(live[:5]):
        yield MeshClip("turned", f"{path.stem} by {_TURNS[number]} degrees", path, turned(_TURNS[number]))
    for path in live[5:8]:
        yield MeshClip("near", path.stem, path, nearer(1.7))
    for path in live[8:11]:
        yield MeshClip("far", path.stem, path, farther(0.4))
    for kind in ("masked", "covered", "half_covered", "face_leaves", "waved", "replayed"):
        yield MeshClip("covered, leaving, pictures", kind, rendered(kind, None, kind=kind))
    for number in range(4):
        yield MeshClip("two faces", f"two_faces{number}", rendered(f"two_faces{number}", None, kind="two_faces"))
    if real is not None:
        yield from _real(real)


def _real(folder: Path) -> Iterator[MeshClip]:
    recordings = sorted(folder.glob("*.mp4"))
    for path in recordings:
        yield MeshClip("real", path.stem, path)
        yield MeshClip("turned", f"{path.stem} by 20 degrees", path, turned(20))
        yield MeshClip("far", path.stem, path, farther(0.5))
        yield MeshClip("near", path.stem, path, nearer(1.3))
    for path in sorted([*(folder / "hard").glob("*.mp4"), *(folder / "hard").glob("*.webm")]):
        yield MeshClip("hard", path.stem, path)


def turned(degrees: float) -> Callable[[Picture], Picture]:
    """Turn pictures clockwise about their middle."""

    def change(rgb: Picture) -> Picture:
        height, width = rgb.shape[:2]
        place = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1.0)
        return np.asarray(cv2.warpAffine(rgb, place, (width, height), borderMode=cv2.BORDER_REFLECT), np.uint8)

    return change


def nearer(factor: float) -> Callable[[Picture], Picture]:
    """Enlarge the middle of pictures, where the face is."""

    def change(rgb: Picture) -> Picture:
        height, width = rgb.shape[:2]
        place = cv2.getRotationMatrix2D((width / 2, 0.45 * height), 0, factor)
        return np.asarray(cv2.warpAffine(rgb, place, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8)

    return change


def farther(factor: float) -> Callable[[Picture], Picture]:
    """Shrink pictures into the middle of a grey one."""

    def change(rgb: Picture) -> Picture:
        height, width = rgb.shape[:2]
        small = cv2.resize(rgb, (round(width * factor), round(height * factor)), interpolation=cv2.INTER_AREA)
        out = np.full_like(rgb, 110)
        top, left = (height - small.shape[0]) // 2, (width - small.shape[1]) // 2
        out[top : top + small.shape[0], left : left + small.shape[1]] = small
        return out

    return change


_TURNS: Final = (25.0, -35.0, 12.0, 90.0, 180.0)
_CONDITIONS: Final[tuple[dict[str, object], ...]] = (
    {},
    {"width": 1280, "height": 720, "bitrate_bps": 1_500_000},
    {"width": 320, "height": 240, "bitrate_bps": 400_000},
    {"motion": 3.0},
    {"light": 0.2},
    {"fps": 15.0, "blink_rate": 25.0},
    {"bitrate_bps": 300_000, "motion": 2.0},
    {"fps": 24.0, "jitter": 0.2, "light_drift": 0.1},
)
