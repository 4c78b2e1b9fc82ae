"""Simulated clips to calibrate and to measure vitals on: the same seed gives the same clip.

Calibration and measurement take seeds from disjoint ranges, so that no reported figure is of a clip that was fitted to.
Rendering is most of the cost, so clips are kept in a folder under a name that is made of their conditions.
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

#: First seed of the clips that thresholds are fitted to, and of those that are measured on.
CALIBRATION_SEED: Final = 1_000_000
MEASUREMENT_SEED: Final = 2_000_000

#: Kinds of clip for which no heart rate may be reported.
NEGATIVES: Final = ("still", "waved", "wall", "noise", "frozen", "flicker", "screen", "covered", "face_leaves")
#: Negatives in which a face is visible throughout and no part of it pulses: the pulse gate alone can refuse them.
PULSELESS: Final = ("still", "waved", "frozen", "flicker", "screen")

#: Range of SDNN in ms: at rest about a twentieth of the beat interval, less in a fast heart.
_VARIABILITY_MS: Final = (12.0, 60.0)


def live_spec(seed: int, duration_s: float = 15.0) -> ClipSpec:
    """A living person; skin tone, light, motion, codec, bitrate and frame rate are drawn by the seed."""
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
    """A scene without a pulse to report, of each kind in turn, under conditions drawn as for the living."""
    live = live_spec(seed, duration_s)
    return ClipSpec(
        **{
            **{name: getattr(live, name) for name in live.__dataclass_fields__},
            "kind": kinds[seed % len(kinds)],
            "skin_tone": 1 + (seed // len(kinds)) % 6,
            # A plausible heart rate: flicker at such a rate is more easily mistaken for a pulse.
            "heart_rate": round(float(np.random.default_rng([seed, 18]).uniform(50, 120)), 2),
            "fps": min(live.fps, 30.0),
        }
    )


@dataclass(frozen=True)
class RenderedClip:
    """A rendered clip: its conditions, its file, and its truth as JSON (`lab.simulate.Truth`)."""

    spec: ClipSpec
    path: Path
    truth: dict[str, Any]


def render(spec: ClipSpec, folder: Path) -> RenderedClip:
    """The clip of `spec` in `folder`; rendered unless it is there.

    Raises:
        ValueError: the spec can't be rendered.
    """
    suffix = ".mp4" if spec.codec in {None, "h264"} else ".webm"
    digest = hashlib.sha256(repr(spec).encode()).hexdigest()[:8]
    path = folder / f"{spec.kind}-{spec.seed}-{digest}{suffix}"
    truth = path.with_suffix(".truth.json")
    if not (path.is_file() and truth.is_file()):
        folder.mkdir(parents=True, exist_ok=True)
        # Renamed when complete, so that a killed process leaves no partial clip.
        partial = folder / f"{path.stem}.{os.getpid()}{suffix}"
        simulate(partial, spec)
        partial.with_suffix(".truth.json").rename(truth)
        partial.rename(path)
    return RenderedClip(spec, path, json.loads(truth.read_text("utf-8")))


def specs(live: int, negatives: int, first_seed: int, kinds: tuple[str, ...] = NEGATIVES) -> Iterator[ClipSpec]:
    """Conditions of `live` living clips and `negatives` negatives, interleaved so that any prefix is a fair sample."""
    made = [0, 0]
    wanted = (live, negatives)
    for _ in range(sum(wanted)):
        # The group with the smaller share done comes next.
        kind = min((index for index in range(2) if made[index] < wanted[index]), key=lambda k: made[k] / wanted[k])
        seed = first_seed + made[kind]
        made[kind] += 1
        yield live_spec(seed) if kind == 0 else negative_spec(seed + 500_000, kinds)
