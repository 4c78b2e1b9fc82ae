"""Follow one face through a clip: mesh, skin regions, portraits, checks.

Frames are read once, in order. The mesh is measured a few times a second and interpolated in between, so a frame is
processed when the next mesh has been measured.
"""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.schemas import Check, CheckStatus
from shared.vitals import CHECKS, Branch
from workers.face.background import Background
from workers.face.chest_patches import EMPTY_TORSO, Torso, TorsoCollector
from workers.face.clothes import Clothes
from workers.face.crops import CROP_SIDE, CropBox
from workers.face.detector import FaceBox
from workers.face.eye_patches import EMPTY_EYES, EyeCollector, Eyes
from workers.face.head_motion import head_motion
from workers.face.mesh import POINTS, FaceFinder, Finder
from workers.face.obstruction_check import ObstructionDetector
from workers.face.portraits import Portrait, PortraitCollector
from workers.face.quality_checks import CheckedTrack, check_track, is_grey_face
from workers.face.roll import RollCorrector
from workers.face.skin_regions import REGIONS, SkinMap, SkinMapper, region_colours
from workers.face.thumbnails import EMPTY_THUMBNAILS, ThumbnailCollector, Thumbnails
from workers.media.clip import TIME_SLACK_S, Frame
from workers.models.session import Network

__all__ = ["REGIONS", "FaceTrack", "FaceTracker", "Portrait", "track_face"]

#: Seconds between two measured meshes while the head rests. Measured by `python -m lab.bench.tracking` on three real
#: and six simulated clips, against a mesh in every frame: one every 1/3 s takes a fifth of the processor time (0.64 of
#: 3.13 s a clip), keeps the signal-to-noise ratio of POS (0.0 against -0.4 dB: averaging over the mesh's jitter makes
#: up for interpolation) and the error of the ungated heart rate (1.4 against 1.9 /min), and moves the landmarks by 0.4
#: % of a face width; one every second moves them by 0.6 %.
STRIDE_S: Final = 1 / 3
#: The mesh is measured this many times as often while the head moves, and while no face is detected.
_MOVING: Final = 3
#: Mean distance between two successive meshes from which on the head moves, in face widths.
_MOVED: Final = 0.04
#: Seconds between two counts of the faces in the frame.
_COUNT_S: Final = 1.0
#: Largest size of the frames that wait for the next mesh; it is measured earlier when they would exceed it. A third of
#: a second takes 28 MB at 1280x720 and 30 frames a second, and 62 MB at 1920x1080; of 3840x2160 two frames fit.
MAX_WAITING_BYTES: Final = 64_000_000
#: Smallest height of a second face, over the first one's. Smaller ones, such as a portrait on the wall, do not count.
_MIN_SECOND_FACE_HEIGHT: Final = 0.4
#: Smallest detector score of a second face. Two people side by side have 0.91 and more, a bookshelf has 0.58 at times.
_MIN_FACE_SCORE: Final = 0.7
#: A box is the mesh's own face when its centre is closer to the mesh's than this, in sizes of the mesh.
_SAME_FACE: Final = 0.75

_NOT_LIVENESS: Final = "Whether a living person is before the camera, or a picture of one, is not measured."


@dataclass(frozen=True)
class FaceTrack:
    """One face followed through n frames. Rows of `landmarks` and `regions` are NaN where no face was detected.

    times_s      (n,)            presentation times in seconds, strictly increasing, the first is 0
    landmarks    (n, 478, 2)     mesh in pixels of the upright frame, interpolated where it was not measured
    regions      (n, 4, 3)       mean linear-light RGB in [0, 1] of `REGIONS`, without clipped and dark pixels
    background   (n, 3)          mean linear-light RGB of the frame without the person
    crops        (n, 72, 72, 3)  uint8 sRGB crops of the face for neural estimators
    faces        (n,)            number of detected faces, kept between two counts
    portraits                    at nine moments of the time with a face (`workers.face.portraits`)
    checks                       face, obstruction, liveness, lighting, motion, timing, by name
    size                         (width, height) of the upright frame in pixels
    torso                        patches of the chest, six a second; for the rppg branch
    is_keyframe  (n,)            whether the frame was encoded without reference to others; None where not known
    eyes                         patches of both eyes, in every frame; for the vision branch
    thumbnails                   small whole frames where the mesh was measured; for the vision branch
    clothes      (n, 3)          mean linear-light RGB of the clothes; NaN where none are seen, None where not measured
    head         (n, 6)          motion of the head by `workers.face.head_motion.AXES`; None where not measured
    rotation                     degrees clockwise by which the frames were turned, as the face required
    grey                         whether the face has no colour, as in an infrared picture
    high_dynamic_range           whether the frames were converted from a high dynamic range
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
    is_keyframe: NDArray[np.bool_] | None = None
    eyes: Eyes = EMPTY_EYES
    thumbnails: Thumbnails = EMPTY_THUMBNAILS
    clothes: NDArray[np.float32] | None = None
    head: NDArray[np.float64] | None = None
    rotation: int = 0
    grey: bool = False
    high_dynamic_range: bool = False


class FaceTracker:
    """Follow the face through one clip after another. The models are loaded once; no other state outlives a clip.

    `stride_s` is the time between two measured meshes in seconds; 0 measures every frame.
    """

    def __init__(self, stride_s: float = STRIDE_S, finder: Finder | None = None) -> None:
        self._stride_s = stride_s
        self._finder = finder or FaceFinder()
        self._obstruction = ObstructionDetector()

    def track(self, frames: Iterable[Frame], branches: Collection[Branch] = tuple(Branch)) -> FaceTrack:
        """Follow the face through `frames`, which are read once and in order. Exceptions of the iterable propagate.

        Frames are turned by a multiple of 90 degrees where the face would be on its side or upside down. Fields of the
        track that none of `branches` needs are left empty.
        """
        self._finder.reset()
        corrector = RollCorrector(self._finder)
        builder = _TrackBuilder(self._finder, self._obstruction, self._stride_s, branches)
        for frame in frames:
            for upright in corrector.add(frame):
                builder.add(upright, corrector.rotation)
        for upright in corrector.finish():
            builder.add(upright, corrector.rotation)
        return builder.finish()

    @property
    def networks(self) -> dict[str, Network]:
        """The networks by the names of their models."""
        return {**self._finder.networks, "obstruction": self._obstruction.network}


def track_face(frames: Iterable[Frame], stride_s: float = STRIDE_S) -> FaceTrack:
    """Follow the face through `frames` as `FaceTracker.track` does."""
    return FaceTracker(stride_s).track(frames)


@dataclass(frozen=True)
class _Measurement:
    """A frame in which the mesh was measured; `mesh` and `skin` are None where no face was detected."""

    time_s: float
    mesh: NDArray[np.float32] | None
    skin: SkinMap | None


class _TrackBuilder:
    """Build the track of one clip, frame by frame."""

    def __init__(
        self,
        finder: Finder,
        obstruction: ObstructionDetector,
        stride_s: float,
        branches: Collection[Branch],
    ) -> None:
        self._finder = finder
        self._obstruction = obstruction
        self._stride_s = stride_s
        self._for_rppg, self._for_vision = Branch.RPPG in branches, Branch.VISION in branches
        self._rotation = 0
        self._times_s: list[float] = []
        self._keyframes: list[bool] = []
        self._backgrounds: list[NDArray[np.float32]] = []
        self._start_face()

    def _start_face(self) -> None:
        """Set everything that depends on the face to its state before the first one."""
        count = len(self._times_s)
        self._pause_s = self._stride_s
        self._mapper = SkinMapper()
        self._box = CropBox()
        self._background = Background()
        self._portraits = PortraitCollector(with_box_crops=self._for_vision)
        self._torso = TorsoCollector()
        self._clothes = Clothes()
        self._eyes = EyeCollector()
        self._thumbnails = ThumbnailCollector()
        self._waiting: list[Frame] = []
        self._last: _Measurement | None = None
        self._size = (0, 0)
        self._counted_s = -_COUNT_S
        self._others = 0
        self._distant = False
        self._landmarks: list[NDArray[np.float32] | None] = [None] * count
        self._regions: list[NDArray[np.float32] | None] = [None] * count
        self._clothes_colours = [np.full(3, np.nan, np.float32)] * count
        self._crops: list[NDArray[np.uint8]] = [np.zeros((CROP_SIDE, CROP_SIDE, 3), np.uint8)] * count
        self._faces: list[int] = [0] * count

    def add(self, frame: Frame, rotation: int) -> None:
        if rotation != self._rotation:
            # What was measured before is no face, or one in other coordinates.
            if self._waiting:
                self._measure()
            self._finder.reset()
            self._start_face()
            self._rotation = rotation
        self._size = (frame.rgb.shape[1], frame.rgb.shape[0])
        self._waiting.append(frame)
        due = self._last is None or frame.time_s - self._last.time_s >= self._pause_s - TIME_SLACK_S
        if due or (len(self._waiting) + 1) * frame.rgb.nbytes > MAX_WAITING_BYTES:
            self._measure()

    def finish(self) -> FaceTrack:
        if self._waiting:
            self._measure()
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
        portraits = self._portraits.select()
        grey = is_grey_face(crops, faces)
        checks = check_track(
            CheckedTrack(times_s, landmarks, regions, background, crops, faces, self._size, self._distant, grey)
        )
        checks["obstruction"] = self._obstruction.check(portraits)
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
            is_keyframe=np.array(self._keyframes, np.bool_),
            eyes=self._eyes.finish(),
            thumbnails=self._thumbnails.finish(),
            clothes=np.array(self._clothes_colours, np.float32).reshape(count, 3) if self._for_rppg else None,
            head=head_motion(crops),
            rotation=self._rotation,
            grey=grey,
        )

    def _measure(self) -> None:
        """Measure the mesh in the newest frame, and process every frame since the last measured one."""
        frame = self._waiting[-1]
        mesh = self._finder.mesh(frame.rgb)
        skin = None
        if mesh is not None:
            skin = self._mapper.map(frame.rgb, mesh)
            self._background.exclude_person(self._size, mesh)
            self._clothes.follow(self._size, mesh)
            self._portraits.add_candidate(frame.time_s, frame.rgb, mesh)
            if self._for_vision:
                self._thumbnails.add(frame.time_s, frame.rgb, mesh)
        else:
            self._portraits.add_absence()
        if frame.time_s - self._counted_s >= _COUNT_S:
            self._others = 0 if mesh is None else _count_others(self._finder.faces(frame.rgb), mesh)
            self._distant |= mesh is None and bool(self._finder.distant_faces(frame.rgb))
            self._counted_s = frame.time_s
        now = _Measurement(frame.time_s, mesh, skin)
        for waiting in self._waiting:
            self._process(waiting, now)
        self._waiting.clear()
        rests = self._last is not None and _moved(self._last.mesh, mesh) < _MOVED
        self._pause_s = self._stride_s if rests else self._stride_s / _MOVING
        self._last = now

    def _process(self, frame: Frame, now: _Measurement) -> None:
        mesh: NDArray[np.float32] | None = None
        maps: tuple[tuple[SkinMap, float], ...] = ()
        if now.mesh is not None and now.skin is not None:
            before = self._last
            if frame.time_s == now.time_s:
                mesh, maps = now.mesh, ((now.skin, 1.0),)
            elif before is not None and before.mesh is not None and before.skin is not None:
                weight = (frame.time_s - before.time_s) / (now.time_s - before.time_s)
                mesh = before.mesh + np.float32(weight) * (now.mesh - before.mesh)
                maps = ((before.skin, 1.0 - weight), (now.skin, weight))
        if mesh is not None and self._for_rppg:
            self._torso.add(frame.time_s, frame.rgb, mesh)
        if mesh is not None and self._for_vision:
            self._eyes.add(frame.time_s, frame.rgb, mesh)
        self._times_s.append(frame.time_s)
        self._keyframes.append(frame.is_keyframe)
        self._landmarks.append(mesh)
        self._regions.append(None if mesh is None else region_colours(frame.rgb, mesh, maps))
        self._backgrounds.append(self._background.colour(frame.rgb))
        self._clothes_colours.append(self._clothes.colour(frame.rgb))
        self._crops.append(self._box.crop(frame.rgb, mesh))
        self._faces.append(0 if mesh is None else 1 + self._others)


def _moved(before: NDArray[np.float32] | None, now: NDArray[np.float32] | None) -> float:
    """Return the mean distance of two meshes in face widths; infinite without both."""
    if before is None or now is None:
        return math.inf
    width = float(np.hypot(*(now[454] - now[234])))
    return float(np.hypot(*(now - before).T).mean()) / max(width, 1.0)


def _count_others(boxes: Sequence[FaceBox], mesh: NDArray[np.float32]) -> int:
    """Return the number of detected faces that are not the mesh's own."""
    low, high = mesh.min(axis=0), mesh.max(axis=0)
    middle, size = (low + high) / 2, high - low
    least = _MIN_SECOND_FACE_HEIGHT * float(size[1])
    large = (box for box in boxes if box.score >= _MIN_FACE_SCORE and box.height >= least)
    return sum(bool(np.any(np.abs(box.centre - middle) > _SAME_FACE * size)) for box in large)
