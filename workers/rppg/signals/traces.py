"""Traces: colours, motion and crops of a tracked face on an even grid of times."""

from dataclasses import dataclass, replace
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from workers.face.tracker import REGIONS, FaceTrack
from workers.rppg.signals import keyframe_artifacts
from workers.rppg.signals.chest_motion import chest_position
from workers.rppg.signals.keyframe_artifacts import group_length, without_pattern

#: Sampling rate of the grid, Hz.
GRID_HZ: Final = 30.0

#: A face lost, or frames missing, for longer than this many seconds is a gap; shorter ones are interpolated linearly.
MAX_INTERPOLATED_S: Final = 0.5

#: A region visible in a smaller share of the frames is left out.
MIN_REGION_SHARE: Final = 0.8

#: Rows of the crops that the encoder's pattern is removed from at a time.
_STRIPE: Final = 12
#: Fractions of a pixel's value that crops without the encoder's pattern are stored in.
FINE: Final = 256

#: Face crops (n, h, h, 3): uint8, or uint16 in fractions of 1/`FINE` (`scale_of`).
Crops = NDArray[np.uint8] | NDArray[np.uint16]

#: Mesh points at the two ends of the face's width (MediaPipe's canonical face model).
_FACE_SIDES: Final = (234, 454)


_Real = TypeVar("_Real", np.float32, np.float64)


class NoTraces(Exception):  # noqa: N818  (named for what happened)
    """Fewer than two frames contain a face."""


@dataclass(frozen=True)
class Traces:
    """Traces of a face: the input of estimators.

    Attributes:
        fs: sampling rate, Hz (`GRID_HZ`).
        times_s: (n,) even grid, seconds; 0 is the clip's first frame.
        regions: (4, 3, n) linear RGB of `workers.face.tracker.REGIONS`; NaN throughout for a region hardly visible.
        background: (3, n) linear RGB of the background.
        motion: (n,) speed of the landmarks, face widths per second.
        head: (6, n) motion of the head by `workers.face.head_motion.AXES`; None where not measured.
        crops: (n, 72, 72, 3) face crops, nearest in time: uint8, or uint16 in fractions of 1/`FINE` if an encoder's
            pattern was removed (`scale_of`).
        position: (2, n) centre of the landmarks, face widths.
        seen: (n,) whether a face was measured within `MAX_INTERPOLATED_S` around.
        gaps: intervals (from, to), seconds, in which no face was measured.
        frames: decoded frames in which the face was measured.
        chest: (n,) vertical position of the chest, face widths, up to a slow drift; None if hidden.
        keyframe_modulation: relative amplitude of the keyframes' pattern in the face's green, which was removed.
        keyframes_per_min: rate of keyframes per minute; 0 if they leave no pattern.
        clothes: (3, n) linear RGB of the clothes; None if they are hidden.
        grey: whether the face has no colour: the three channels are equal.
        high_dynamic_range: whether the frames were converted from a high dynamic range.
    """

    fs: float
    times_s: NDArray[np.float64]
    regions: NDArray[np.float64]
    background: NDArray[np.float64]
    motion: NDArray[np.float64]
    crops: Crops
    position: NDArray[np.float64]
    seen: NDArray[np.bool_]
    gaps: tuple[tuple[float, float], ...]
    frames: int
    chest: NDArray[np.float64] | None = None
    keyframe_modulation: float = 0.0
    keyframes_per_min: float = 0.0
    clothes: NDArray[np.float64] | None = None
    head: NDArray[np.float64] | None = None
    grey: bool = False
    high_dynamic_range: bool = False

    @property
    def face(self) -> NDArray[np.float64]:
        """Linear RGB (3, n) of the whole face's skin."""
        face: NDArray[np.float64] = self.regions[0]
        return face

    @property
    def duration_s(self) -> float:
        """Length of the grid in seconds."""
        return len(self.times_s) / self.fs

    def part(self, start: int, stop: int) -> "Traces":
        """Cut samples `start` to `stop`; times still count from the clip's first frame."""
        cut = slice(start, stop)
        return replace(
            self,
            times_s=self.times_s[cut],
            regions=self.regions[..., cut],
            background=self.background[:, cut],
            motion=self.motion[cut],
            head=None if self.head is None else self.head[:, cut],
            crops=self.crops[cut],
            position=self.position[:, cut],
            seen=self.seen[cut],
            chest=None if self.chest is None else self.chest[cut],
            clothes=None if self.clothes is None else self.clothes[:, cut],
        )

    def longest_seen(self) -> "Traces":
        """Cut the longest stretch without a gap."""
        edges = np.flatnonzero(np.diff(np.concatenate(([0], self.seen.astype(np.int8), [0]))))
        starts, stops = edges[::2], edges[1::2]
        best = int(np.argmax(stops - starts))
        return self.part(int(starts[best]), int(stops[best]))


def traces_of(track: FaceTrack) -> Traces:
    """Resample a face track, whose frames may be irregular, onto an even 30 Hz grid by their presentation times.

    Raises:
        NoTraces: fewer than two frames contain a face.
    """
    measured = np.asarray(np.isfinite(track.regions[:, 0]).all(axis=-1), np.bool_)
    if measured.sum() < 2:
        msg = "no two frames hold a face"
        raise NoTraces(msg)
    times = track.times_s
    count = int(np.floor((times[-1] - times[0]) * GRID_HZ + 1e-6)) + 1
    grid = times[0] + np.arange(count) / GRID_HZ
    seen_times = times[measured]
    gaps = _gaps(seen_times, float(times[0]), float(times[-1]))
    seen = np.ones(count, dtype=np.bool_)
    for start, stop in gaps:
        seen &= ~((grid > start) & (grid < stop))

    colours, light, worn, pictures = _without_pattern(track)
    regions = _regions(colours, times, measured, grid)
    keyframes_per_min = None if track.is_keyframe is None else keyframe_artifacts.rate_per_min(times, track.is_keyframe)

    background = _surroundings(light, times, grid)
    clothes = None if worn is None else _surroundings(worn, times, grid)

    position, motion = _movement(track, measured, grid)
    nearest = np.clip(np.searchsorted(seen_times, grid), 1, len(seen_times) - 1)
    nearest -= (grid - seen_times[nearest - 1]) < (seen_times[nearest] - grid)
    crops = pictures[np.flatnonzero(measured)[nearest]]
    return Traces(
        fs=GRID_HZ,
        times_s=grid - times[0],
        regions=regions,
        background=background,
        motion=motion,
        head=None if track.head is None else _between(times, track.head, grid).T,
        crops=crops,
        position=position,
        seen=seen,
        gaps=gaps,
        frames=int(measured.sum()),
        chest=chest_position(track.torso, grid),
        keyframe_modulation=_amplitude_of(track.regions[:, 0, 1], colours[:, 0, 1]),
        keyframes_per_min=keyframes_per_min or 0.0,
        clothes=clothes if clothes is not None and np.isfinite(clothes).all() else None,
        grey=track.grey,
        high_dynamic_range=track.high_dynamic_range,
    )


def _regions(
    colours: NDArray[np.float32], times: NDArray[np.float64], measured: NDArray[np.bool_], grid: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Resample colours of the regions (m, 4, 3) onto the grid (4, 3, n); NaN for a region hardly visible."""
    regions = np.full((len(REGIONS), 3, len(grid)), np.nan)
    for index in range(len(REGIONS)):
        values = colours[:, index].astype(np.float64)
        rows = measured & np.isfinite(values).all(axis=-1)
        if rows.sum() >= max(2.0, MIN_REGION_SHARE * measured.sum()):
            regions[index] = _resample(times[rows], values[rows], grid)
    return regions


def _surroundings(
    light: NDArray[np.float32], times: NDArray[np.float64], grid: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Resample the light (m, 3) of something other than the face onto the grid (3, n); NaN if it is never seen."""
    lit = np.isfinite(light).all(axis=-1)
    if lit.sum() < 2:
        return np.full((3, len(grid)), np.nan)
    return _resample(times[lit], light[lit].astype(np.float64), grid)


def _amplitude_of(before: NDArray[np.float32], after: NDArray[np.float32]) -> float:
    """Amplitude of a sine with the power of the difference, over the mean of `before`; both (n,)."""
    if before is after:
        return 0.0
    known = np.isfinite(before) & np.isfinite(after)
    taken = (before[known] - after[known]).astype(np.float64)
    return float(np.sqrt(2) * taken.std() / max(float(before[known].mean()), 1e-9))


def _without_pattern(
    track: FaceTrack,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32] | None, Crops]:
    """Regions, background, clothes and crops of a track without what the encoder repeats in every group of pictures."""
    if track.is_keyframe is None or group_length(track.is_keyframe) is None:
        return track.regions, track.background, track.clothes, track.crops
    # In fractions of a pixel's value: rounded to integers, a pattern below one half would remain.
    crops = track.crops.astype(np.uint16)
    crops *= FINE
    # In stripes: a long clip as floats is half a gigabyte.
    for top in range(0, crops.shape[1], _STRIPE):
        stripe = crops[:, top : top + _STRIPE]
        cleaned = without_pattern(stripe.astype(np.float32), track.is_keyframe)
        crops[:, top : top + _STRIPE] = np.clip(np.rint(cleaned), 0, 255 * FINE).astype(np.uint16)
    return (
        without_pattern(track.regions, track.is_keyframe),
        without_pattern(track.background, track.is_keyframe),
        None if track.clothes is None else without_pattern(track.clothes, track.is_keyframe),
        crops,
    )


def scale_of(crops: Crops) -> int:
    """Return the divisor that scales the crops to values between 0 and 255."""
    return FINE if crops.dtype == np.uint16 else 1


def _resample(
    times: NDArray[np.float64], values: NDArray[np.float64], grid: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Resample values (m, c) at `times` (m,) onto the grid (c, n).

    They are averaged over a grid step if frames come faster, else interpolated between neighbours.
    """
    if np.median(np.diff(times)) > 0.75 / GRID_HZ:
        return _between(times, values, grid).T
    # Averaging prevents aliasing of frequencies above the grid's Nyquist frequency into the pulse band.
    areas = np.concatenate(
        (np.zeros((1, values.shape[1])), np.cumsum(np.diff(times)[:, None] * (values[1:] + values[:-1]) / 2, axis=0))
    )
    low = np.clip(grid - 0.5 / GRID_HZ, times[0], times[-1])
    high = np.clip(grid + 0.5 / GRID_HZ, times[0], times[-1])
    width = np.maximum(high - low, 1e-9)
    means: NDArray[np.float64] = np.stack(
        [(np.interp(high, times, area) - np.interp(low, times, area)) / width for area in areas.T]
    )
    outside = (grid < times[0]) | (grid > times[-1])
    if outside.any():
        means[:, outside] = _between(times, values, grid[outside]).T
    return means


def _gaps(seen_times: NDArray[np.float64], start: float, stop: float) -> tuple[tuple[float, float], ...]:
    """Intervals longer than `MAX_INTERPOLATED_S` between measured frames, before the first and after the last."""
    bounds = np.concatenate(([start], seen_times, [stop]))
    long = np.flatnonzero(np.diff(bounds) > MAX_INTERPOLATED_S)
    return tuple((float(bounds[i] - start), float(bounds[i + 1] - start)) for i in long)


def _movement(
    track: FaceTrack, measured: NDArray[np.bool_], grid: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Position (2, n) of the mesh's centre, face widths, and mean speed (n,) of its points, face widths per second."""
    # In single precision: a thousandth of a pixel is far below the mesh's jitter, and a long clip is large.
    mesh = track.landmarks[measured]
    left, right = _FACE_SIDES
    width = max(float(np.median(np.linalg.norm(mesh[:, left] - mesh[:, right], axis=-1))), 1e-6)
    points = _between(track.times_s[measured], mesh / np.float32(width), grid)
    # The mesh jitters by a fraction of a pixel between frames: a fifth of a second shows its motion.
    step = max(1, round(GRID_HZ / 5))
    moved = np.zeros(len(grid))
    if len(grid) > step:
        way = points[step:] - points[:-step]
        travelled = np.hypot(way[..., 0], way[..., 1]).mean(axis=1, dtype=np.float64) * GRID_HZ / step
        moved = np.interp(np.arange(len(grid)), np.arange(len(travelled)) + step / 2, travelled)
    return points.mean(axis=1, dtype=np.float64).T, moved


def _between(times: NDArray[np.float64], values: NDArray[_Real], grid: NDArray[np.float64]) -> NDArray[_Real]:
    """Interpolate values (m, …) at `times` (m,) linearly onto the grid (n, …); beyond the ends the last one."""
    after = np.clip(np.searchsorted(times, grid), 1, len(times) - 1)
    share = np.clip((grid - times[after - 1]) / (times[after] - times[after - 1]), 0.0, 1.0).astype(values.dtype)
    found: NDArray[_Real] = values[after - 1]
    found += share.reshape(-1, *[1] * (values.ndim - 1)) * (values[after] - found)
    return found
