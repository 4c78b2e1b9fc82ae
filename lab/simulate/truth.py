"""The truth of a synthetic clip, written beside the clip as JSON."""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from lab.arrays import Floats
from lab.simulate.physiology import PulseWave
from lab.simulate.spec import ClipSpec


@dataclass(frozen=True)
class Truth:
    """Truth of a clip, over the times that its frames cover.

    alive                           whether one living face is visible, at least in part, in every frame
    heart_rate                      /min: 60 over the mean interval of the beats in the clip
    respiration_rate                /min, the simulated mean
    sdnn_ms, rmssd_ms, mean_ibi_ms  of the beats in the clip; None with fewer than three beats
    beat_times_s, breath_times_s    systolic peaks; beginnings of inspiration
    frame_times_s, bvp              presentation time and blood volume of each frame (up: more blood, darker skin)
    faces                           number of faces in the scene
    conditions                      the spec

    Rates, beats, breaths and bvp are given only where `alive`; otherwise they are None or empty.
    """

    kind: str
    alive: bool
    faces: int
    heart_rate: float | None
    respiration_rate: float | None
    mean_ibi_ms: float | None
    sdnn_ms: float | None
    rmssd_ms: float | None
    duration_s: float
    fps: float
    frames: int
    seed: int
    conditions: dict[str, Any]
    beat_times_s: tuple[float, ...] = field(repr=False)
    breath_times_s: tuple[float, ...] = field(repr=False)
    frame_times_s: tuple[float, ...] = field(repr=False)
    bvp: tuple[float, ...] = field(repr=False)

    def to_json(self) -> str:
        """The truth as a JSON document."""
        return json.dumps(asdict(self), indent=1)


def truth_of(spec: ClipSpec, times_s: Floats, wave: PulseWave | None, faces: int) -> Truth:
    """The truth of a clip with frames at `times_s` (n,).

    `wave` is the living person's pulse at those times, or None without one.
    """
    conditions = {item.name: getattr(spec, item.name) for item in fields(spec) if item.name != "portrait"}
    conditions["portrait"] = (
        spec.portrait.name if isinstance(spec.portrait, Path) else ("astronaut" if spec.portrait is None else "array")
    )
    intervals = np.diff(wave.beat_times_s) * 1000 if wave is not None else np.empty(0)
    several = len(intervals) >= 2
    return Truth(
        kind=spec.kind,
        alive=wave is not None,
        faces=faces,
        heart_rate=round(60_000 / float(intervals.mean()), 3) if len(intervals) else None,
        respiration_rate=spec.respiration_rate if wave is not None else None,
        mean_ibi_ms=round(float(intervals.mean()), 2) if len(intervals) else None,
        sdnn_ms=round(float(intervals.std(ddof=1)), 2) if several else None,
        rmssd_ms=round(float(np.sqrt(np.mean(np.diff(intervals) ** 2))), 2) if several else None,
        duration_s=round(float(times_s[-1] - times_s[0]) + 1 / spec.fps, 6),
        fps=round((len(times_s) - 1) / float(times_s[-1] - times_s[0]), 4) if len(times_s) > 1 else spec.fps,
        frames=len(times_s),
        seed=spec.seed,
        conditions=conditions,
        beat_times_s=_rounded(wave.beat_times_s if wave is not None else np.empty(0), 4),
        breath_times_s=_rounded(wave.breath_times_s if wave is not None else np.empty(0), 4),
        frame_times_s=_rounded(times_s, 6),
        bvp=_rounded(wave.values if wave is not None else np.empty(0), 5),
    )


def _rounded(values: Floats, digits: int) -> tuple[float, ...]:
    return tuple(round(float(value), digits) for value in values)
