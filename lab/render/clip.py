"""Write one clip of the world, with its truth, by either renderer."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Final, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.arrays import Floats
from lab.encode import TICKS, encode, presentation_times
from lab.world.conditions import Conditions, is_judged, is_ordinary
from lab.world.portraits import Portrait
from lab.world.pulse import Pulse, pulse_of
from lab.world.shot import Renderer, Shot

#: Module of each renderer, by name.
RENDERERS: Final = {"warp": "lab.simulate.world_frames", "head3d": "lab.head3d"}

#: Subjects whose chest moves: a doll that breathed would be a person to any camera.
_BREATHING: Final = ("live", "covered")
#: Container of each codec.
_SUFFIX: Final = {"vp8": ".webm", "vp9": ".webm", "h264": ".mp4"}
#: Pixels of the picture that bit rates in `world.toml` refer to.
_REFERENCE_PX: Final = 640 * 480


@dataclass(frozen=True)
class WorldClip:
    """A clip's file, and its truth as it stands beside it in `.truth.json`."""

    path: Path
    truth: dict[str, Any]


def write_clip(
    folder: Path, renderer: str, conditions: Conditions, portrait: Portrait, ppg: Path | None = None
) -> WorldClip:
    """Render a clip into `folder` by "warp" (`lab.simulate.world_frames`) or "head3d" (`lab.head3d`).

    Raises:
        KeyError: there is no such renderer.
        ValueError: the portrait can't be used.
        OSError: a file can't be written.
    """
    suffix = _SUFFIX[conditions.codec]
    path = folder / f"{name_of(renderer, conditions)}{suffix}"
    times_s = frame_times(conditions, TICKS[suffix])
    breath = pulse_of(conditions, ppg)
    pulse = breath if conditions.alive else None
    if conditions.subject not in _BREATHING:
        breath = replace(breath, lung=np.zeros_like(breath.lung))
    shot = Shot(conditions, times_s, portrait.picture(), pulse, breath)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # one core a clip: clips are rendered side by side
    try:
        frames = zip(times_s.tolist(), _smaller(renderer_named(renderer)(shot), conditions.downscale), strict=True)
        encode(
            path,
            frames,
            codec=conditions.codec,
            fps=conditions.fps,
            bitrate_bps=_bitrate(conditions),
            keyframe_s=conditions.keyframe_s,
            duration_header=suffix == ".mp4",
        )
    finally:
        cv2.setNumThreads(threads)
    truth = truth_of(conditions, times_s, pulse, breath, renderer)
    path.with_suffix(".truth.json").write_text(json.dumps(truth) + "\n", encoding="utf-8")
    return WorldClip(path, truth)


def name_of(renderer: str, conditions: Conditions) -> str:
    """Name of a clip's files, without a suffix: its renderer and its draw."""
    return f"{renderer}-{conditions.stratum}-{conditions.seed}-{conditions.index:04d}"


def renderer_named(name: str) -> Renderer:
    """The renderer of this name.

    Raises:
        KeyError: there is no such renderer.
    """
    return cast("Renderer", import_module(RENDERERS[name]).frames_of)


def frame_times(conditions: Conditions, ticks: int) -> Floats:
    """Presentation times (n,) of the frames in steps of 1/`ticks` s, the first 0, with jitter and lost frames."""
    count = max(2, round(conditions.duration_s * conditions.fps))
    jitter, dropped = conditions.jitter, conditions.dropped
    return presentation_times(count, conditions.fps, jitter, dropped, ticks, conditions.rng("times"))


def truth_of(
    conditions: Conditions, times_s: Floats, pulse: Pulse | None, breath: Pulse, renderer: str
) -> dict[str, Any]:
    """Truth of a clip over the times of its frames: rates are None where no living person is seen."""
    start, stop = float(times_s[0]), float(times_s[-1])

    def inside(events_s: Floats) -> list[float]:
        kept: list[float] = np.round(events_s[(events_s >= start) & (events_s <= stop)], 3).tolist()
        return [] if pulse is None else kept

    return {
        "renderer": renderer,
        "alive": conditions.alive,
        "ordinary": is_ordinary(conditions),
        "judged": is_judged(conditions.portrait),
        "heart_rate": None if pulse is None else _rounded(pulse.rate_per_min(start, stop)),
        "respiration_rate": None if pulse is None else _rounded(breath.breaths_per_min(start, stop)),
        "beat_times_s": inside(breath.beats_s),
        "breath_times_s": inside(breath.breaths_s),
        "pulse_source": None if pulse is None else pulse.source,
        "duration_s": round(stop - start, 3),
        "conditions": conditions.to_dict(),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _bitrate(conditions: Conditions) -> int:
    width, height = conditions.size
    pixels = width * height * conditions.downscale**2
    rate = conditions.fps / 30 if conditions.fps > 30 else 1.0
    return round(conditions.bitrate_bps * float(np.sqrt(pixels / _REFERENCE_PX * rate)))


def _smaller(frames: Iterator[NDArray[np.uint8]], factor: float) -> Iterator[NDArray[np.uint8]]:
    """The frames as call software encodes them, with even sides."""
    for frame in frames:
        if factor == 1.0:
            yield frame
            continue
        height, width = (2 * round(side * factor / 2) for side in frame.shape[:2])
        yield np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
