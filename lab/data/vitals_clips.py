"""Simulated clips to calibrate and to measure on: the same seed gives the same conditions and the same clip.

Calibration and measurement take seeds from ranges that don't meet, so that no figure is told of a clip that was fitted.
Filming is most of the cost, so a clip that was filmed stays in a folder, under a name that its conditions give it.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from lab.simulate import ClipSpec, simulate

#: First seeds of the clips that thresholds are fitted to, and of those that figures are told of.
CALIBRATION_SEED: Final = 1_000_000
MEASUREMENT_SEED: Final = 2_000_000

#: What must never be given a heart rate.
NEGATIVES: Final = ("still", "waved", "wall", "noise", "frozen", "flicker", "screen", "covered", "face_leaves")
#: Those of them in which a face is seen throughout, and no part of it pulses: what the pulse itself must be told from.
PULSELESS: Final = ("still", "waved", "frozen", "flicker", "screen")

#: A resting heart varies by about a twentieth of its interval, and less the faster it beats.
_VARIABILITY_MS: Final = (12.0, 60.0)


def live_spec(seed: int, duration_s: float = 15.0) -> ClipSpec:
    """A living person under conditions drawn from the grid: tone x light x motion x codec and bitrate x frame rate."""
    rng = np.random.default_rng([seed, 17])
    heart_rate = float(rng.uniform(42, 180))
    sdnn = float(np.exp(rng.uniform(*np.log(_VARIABILITY_MS))))
    codec, bitrate = [("h264", 2_500_000), ("h264", 1_000_000), ("vp8", 2_500_000), ("vp8", 1_000_000)][
        int(rng.choice(4, p=[0.4, 0.2, 0.3, 0.1]))
    ]
    return ClipSpec(
        seed=seed,
        kind="live",
        heart_rate=round(heart_rate, 2),
        respiration_rate=round(float(rng.uniform(8, 30)), 2),
        hrv_sdnn_ms=round(min(sdnn, sdnn * (75 / heart_rate) ** 2), 2),
        duration_s=duration_s,
        skin_tone=1 + seed % 6,
        light=float(rng.choice([1.0, 0.5, 0.25], p=[0.5, 0.25, 0.25])),
        motion=float(rng.choice([0.3, 1.0, 2.0], p=[0.25, 0.5, 0.25])),
        codec=codec,
        # As a browser's recorder writes them: WebM without a duration.
        duration_header=codec == "h264",
        bitrate_bps=bitrate,
        fps=float(rng.choice([30.0, 25.0, 20.0, 60.0], p=[0.6, 0.15, 0.15, 0.1])),
        jitter=float(rng.choice([0.0, 0.15], p=[0.7, 0.3])),
    )


def negative_spec(seed: int, kinds: tuple[str, ...] = NEGATIVES, duration_s: float = 15.0) -> ClipSpec:
    """What has no pulse to be told, of each kind in turn, under conditions drawn as for the living."""
    live = live_spec(seed, duration_s)
    return ClipSpec(
        **{
            **{name: getattr(live, name) for name in live.__dataclass_fields__},
            "kind": kinds[seed % len(kinds)],
            "skin_tone": 1 + (seed // len(kinds)) % 6,
            # A rate that a heart has: what beats at it is the likelier mistaken for one.
            "heart_rate": round(float(np.random.default_rng([seed, 18]).uniform(50, 120)), 2),
            "fps": min(live.fps, 30.0),
        }
    )


@dataclass(frozen=True)
class Film:
    """A clip that was filmed: its conditions, its file, and the simulator's account of it (`lab.simulate.Truth`)."""

    spec: ClipSpec
    path: Path
    truth: dict[str, Any]


def film(spec: ClipSpec, folder: Path) -> Film:
    """Film the clip into the folder, or find it there."""
    suffix = ".mp4" if spec.codec in {None, "h264"} else ".webm"
    mark = hashlib.sha256(repr(spec).encode()).hexdigest()[:8]
    path = folder / f"{spec.kind}-{spec.seed}-{mark}{suffix}"
    told = path.with_suffix(".truth.json")
    if not (path.is_file() and told.is_file()):
        folder.mkdir(parents=True, exist_ok=True)
        # A killed process leaves nothing behind that looks like a clip.
        making = folder / f"{path.stem}.{os.getpid()}{suffix}"
        simulate(making, spec)
        making.with_suffix(".truth.json").rename(told)
        making.rename(path)
    return Film(spec, path, json.loads(told.read_text("utf-8")))


def specs(live: int, negatives: int, first_seed: int, kinds: tuple[str, ...] = NEGATIVES) -> Iterator[ClipSpec]:
    """So many clips of each, living and not in turns, so that a part of them is a sample too."""
    made = [0, 0]
    wanted = (live, negatives)
    for _ in range(sum(wanted)):
        # Whoever is furthest behind comes next.
        kind = min((index for index in range(2) if made[index] < wanted[index]), key=lambda k: made[k] / wanted[k])
        seed = first_seed + made[kind]
        made[kind] += 1
        yield live_spec(seed) if kind == 0 else negative_spec(seed + 500_000, kinds)
