"""Frames become a tracked face: mesh, regions, portraits, checks.

Frames are read once, in order. The mesh is measured a few times a second and interpolated in between, so what is known
about a frame is known at the next measured one.
"""

import math
from collections.abc import Collection, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.schemas import Check, CheckStatus
from shared.vitals import CHECKS, Branch
from workers.face.background import Background
from workers.face.chest_patches import EMPTY_TORSO, Torso, TorsoView
from workers.face.crops import CROP_SIDE, CropBox
from workers.face.eye_patches import EMPTY_EYES, Eyes, EyeView
from workers.face.mesh import POINTS, FaceBox, FaceFinder
from workers.face.obstruction_check import CoverMeter
from workers.face.portraits import Portrait, PortraitAlbum
from workers.face.quality_checks import CheckedTrack, check_track
from workers.face.skin_regions import REGIONS, SkinMap, SkinMapper, colours
from workers.face.thumbnails import EMPTY_VIEWS, ViewKeeper, Views
from workers.media.clip import Frame
from workers.models.session import Network

__all__ = ["REGIONS", "FaceTrack", "FaceTracker", "Portrait", "track_face"]

#: Seconds between two measured meshes while the head rests; a third of that while it moves or is looked for.
#: By `python -m lab.bench.tracking`, three real and six simulated clips: against a mesh in every frame, one every 1/3 s
#: costs a fifth (0.64 of 3.13 s of processor time a clip), leaves POS at the same signal-to-noise ratio (0.0 against
#: -0.4 dB: what interpolation misses, averaging over the mesh's own tremble makes up for) and the ungated heart rate's
#: error where it was (1.4 against 1.9 /min), and moves the landmarks by 0.4 % of a face width; one every second, 0.6 %.
STRIDE_S: Final = 1 / 3
_MOVING: Final = 3
# The head moves when its landmarks are this many face widths from where they were at the look before.
_MOVED: Final = 0.04
#: Seconds between two counts of the faces in the picture.
_COUNT_S: Final = 1.0
#: Seconds between two patches of the chest, whether the mesh was measured there or not.
_BREATH_S: Final = 1 / 6
#: Bytes of frames that wait for the next measured mesh; before there are more, it is measured early. A third of a
#: second takes 28 MB at 1280x720 and 30 frames a second, 62 MB at 1920x1080; of 3840x2160 two frames fit.
MAX_WAITING_BYTES: Final = 64_000_000
# Browsers round times to whole milliseconds.
_SLACK_S: Final = 5e-4
# A second face counts when it is at least this part of the first one's height: not the portrait on the wall.
_SECOND: Final = 0.4
# The detector gives two people sitting side by side scores of 0.91 and more, a bookshelf 0.58 now and then.
_SURE: Final = 0.7
# A box whose centre is within this part of the mesh's size from the mesh's middle is the same face.
_SAME_FACE: Final = 0.75

_NOT_LIVENESS: Final = "Whether a living person is before the camera, or a picture of one, is not measured."


@dataclass(frozen=True)
class FaceTrack:
    """What following one face through n frames gives. Rows where no face was seen hold NaN.

    times_s     (n,)            presentation times, strictly increasing, first is 0
    landmarks   (n, 478, 2)     mesh in pixels of the upright frame, interpolated where it was not measured
    regions     (n, 4, 3)       mean linear-light RGB in [0, 1] of `REGIONS`; no clipped or dark pixel
    background  (n, 3)          mean linear-light RGB of what is neither face nor body
    crops       (n, 72, 72, 3)  uint8 sRGB crops of the face for neural estimators
    faces       (n,)            number of faces seen (carried between measured frames)
    keys        (n,)            whether the encoder coded the frame without reference to others
    torso                       patches of the chest, six times a second; for the rppg branch
    eyes                        patches of both eyes, in every frame; for the vision branch
    views                       the whole picture, small, where the mesh was measured; for the vision branch
    portraits                   at the original's nine moments, spread over shorter clips
    checks                      face, obstruction, liveness, lighting, motion, timing, each with its reason
    size                        (width, height) of the upright frame
    """

    times_s: NDArray[np.float64]
    landmarks: NDArray[np.float32]
    regions: NDArray[np.float32]
    background: NDArray[np.float32]
    crops: NDArray[np.uint8]
    faces: NDArray[np.int8]
    portraits: tuple[Portrait, ...]
    checks: dict[str, Check]
    size: tuple[int, int]
    torso: Torso = EMPTY_TORSO
    keys: NDArray[np.bool_] | None = None
    eyes: Eyes = EMPTY_EYES
    views: Views = EMPTY_VIEWS


class FaceTracker:
    """Follows the face through one clip after another. The models are loaded once; nothing else outlives a clip.

    `stride_s` is the time between two measured meshes in seconds; 0 measures every frame.
    """

    def __init__(self, stride_s: float = STRIDE_S, finder: FaceFinder | None = None) -> None:
        self._stride_s = stride_s
        self._finder = finder or FaceFinder()
        self._meter = CoverMeter()

    def track(self, frames: Iterable[Frame], branches: Collection[Branch] = tuple(Branch)) -> FaceTrack:
        """Follows the face through `frames`, read once and in order; whatever they raise is passed on.

        What none of `branches` reads is left empty.
        """
        self._finder.reset()
        passage = _Passage(self._finder, self._meter, self._stride_s, branches)
        for frame in frames:
            passage.see(frame)
        return passage.finish()

    @property
    def cover_network(self) -> Network:
        """The network that sees what lies before the face."""
        return self._meter.network

    def close(self) -> None:
        """Frees the models; the tracker can't be used any more."""
        self._finder.close()


def track_face(frames: Iterable[Frame], stride_s: float = STRIDE_S) -> FaceTrack:
    """`FaceTracker.track` with models loaded for this one clip."""
    with closing(FaceTracker(stride_s)) as tracker:
        return tracker.track(frames)


@dataclass(frozen=True)
class _Sight:
    """A frame in which the face was looked for."""

    time_s: float
    mesh: NDArray[np.float32] | None
    skin: SkinMap | None


class _Passage:
    """One clip's way through the tracker."""

    def __init__(
        self,
        finder: FaceFinder,
        meter: CoverMeter,
        stride_s: float,
        branches: Collection[Branch],
    ) -> None:
        self._finder = finder
        self._meter = meter
        self._stride_s = stride_s
        self._for_rppg, self._for_vision = Branch.RPPG in branches, Branch.VISION in branches
        self._pause_s = stride_s
        self._mapper = SkinMapper()
        self._box = CropBox()
        self._background = Background()
        self._album = PortraitAlbum()
        self._torso = TorsoView()
        self._eyes = EyeView()
        self._views = ViewKeeper()
        self._breathed_s = -_BREATH_S
        self._waiting: list[Frame] = []
        self._last: _Sight | None = None
        self._size = (0, 0)
        self._counted_s = -_COUNT_S
        self._others = 0
        self._distant = False
        self._times_s: list[float] = []
        self._landmarks: list[NDArray[np.float32] | None] = []
        self._regions: list[NDArray[np.float32] | None] = []
        self._backgrounds: list[NDArray[np.float32]] = []
        self._crops: list[NDArray[np.uint8]] = []
        self._faces: list[int] = []
        self._keys: list[bool] = []

    def see(self, frame: Frame) -> None:
        self._size = (frame.rgb.shape[1], frame.rgb.shape[0])
        self._waiting.append(frame)
        due = self._last is None or frame.time_s - self._last.time_s >= self._pause_s - _SLACK_S
        if due or (len(self._waiting) + 1) * frame.rgb.nbytes > MAX_WAITING_BYTES:
            self._look()

    def finish(self) -> FaceTrack:
        if self._waiting:
            self._look()
        count = len(self._times_s)
        times_s = np.array(self._times_s, np.float64)
        landmarks = np.full((count, POINTS, 2), np.nan, np.float32)
        regions = np.full((count, len(REGIONS), 3), np.nan, np.float32)
        for index, (mesh, means) in enumerate(zip(self._landmarks, self._regions, strict=True)):
            if mesh is not None and means is not None:
                landmarks[index], regions[index] = mesh, means
        background = np.array(self._backgrounds, np.float32).reshape(count, 3)
        faces = np.array(self._faces, np.int8)
        crops = np.array(self._crops, np.uint8).reshape(count, CROP_SIDE, CROP_SIDE, 3)
        portraits = self._album.choose(float(times_s[-1]) if count else 0.0)
        checks = check_track(
            CheckedTrack(times_s, landmarks, regions, background, crops, faces, self._size, self._distant)
        )
        checks["obstruction"] = self._meter.check(portraits)
        checks["liveness"] = Check(status=CheckStatus.UNKNOWN, detail=_NOT_LIVENESS)
        return FaceTrack(
            times_s=times_s,
            landmarks=landmarks,
            regions=regions,
            background=background,
            crops=crops,
            faces=faces,
            portraits=portraits,
            checks={name: checks[name] for name in CHECKS},
            size=self._size,
            torso=self._torso.finish(),
            keys=np.array(self._keys, np.bool_),
            eyes=self._eyes.finish(),
            views=self._views.finish(),
        )

    def _look(self) -> None:
        """Measures the mesh in the newest frame, and with it settles every frame since the last measured one."""
        frame = self._waiting[-1]
        mesh = self._finder.mesh(frame.rgb)
        skin = None
        if mesh is not None:
            skin = self._mapper.map(frame.rgb, mesh)
            self._background.see(self._size, mesh)
            self._album.offer(frame.time_s, frame.rgb, mesh)
            if self._for_vision:
                self._views.see(frame.time_s, frame.rgb, mesh)
        if frame.time_s - self._counted_s >= _COUNT_S:
            self._others = 0 if mesh is None else _others(self._finder.faces(frame.rgb), mesh)
            self._distant |= mesh is None and bool(self._finder.distant_faces(frame.rgb))
            self._counted_s = frame.time_s
        now = _Sight(frame.time_s, mesh, skin)
        for waiting in self._waiting:
            self._settle(waiting, now)
        self._waiting.clear()
        rests = self._last is not None and _moved(self._last.mesh, mesh) < _MOVED
        self._pause_s = self._stride_s if rests else self._stride_s / _MOVING
        self._last = now

    def _settle(self, frame: Frame, now: _Sight) -> None:
        mesh: NDArray[np.float32] | None = None
        maps: tuple[tuple[SkinMap, float], ...] = ()
        if now.mesh is not None and now.skin is not None:
            before = self._last
            if frame.time_s == now.time_s:
                mesh, maps = now.mesh, ((now.skin, 1.0),)
            elif before is not None and before.mesh is not None and before.skin is not None:
                share = (frame.time_s - before.time_s) / (now.time_s - before.time_s)
                mesh = before.mesh + np.float32(share) * (now.mesh - before.mesh)
                maps = ((before.skin, 1.0 - share), (now.skin, share))
        if mesh is not None and self._for_rppg and frame.time_s - self._breathed_s >= _BREATH_S - _SLACK_S:
            self._torso.see(frame.time_s, frame.rgb, mesh)
            self._breathed_s = frame.time_s
        if mesh is not None and self._for_vision:
            self._eyes.see(frame.time_s, frame.rgb, mesh)
        self._times_s.append(frame.time_s)
        self._keys.append(frame.key)
        self._landmarks.append(mesh)
        self._regions.append(None if mesh is None else colours(frame.rgb, mesh, maps))
        self._backgrounds.append(self._background.colour(frame.rgb))
        self._crops.append(self._box.crop(frame.rgb, mesh))
        self._faces.append(0 if mesh is None else 1 + self._others)


def _moved(before: NDArray[np.float32] | None, now: NDArray[np.float32] | None) -> float:
    """Mean distance of two meshes in face widths; infinite where a face is missing."""
    if before is None or now is None:
        return math.inf
    width = float(np.hypot(*(now[454] - now[234])))
    return float(np.hypot(*(now - before).T).mean()) / max(width, 1.0)


def _others(boxes: Sequence[FaceBox], mesh: NDArray[np.float32]) -> int:
    """How many of the detected faces are somebody else's than the mesh's."""
    low, high = mesh.min(axis=0), mesh.max(axis=0)
    middle, size = (low + high) / 2, high - low
    large = (box for box in boxes if box.score >= _SURE and box.height >= _SECOND * size[1])
    return sum(bool(np.any(np.abs(box.centre - middle) > _SAME_FACE * size)) for box in large)
