"""Simulated clips to calibrate and to measure on: the same seed gives the same conditions and the same clip.

Calibration and measurement take seeds from ranges that don't meet, so that no figure is told of a clip that was fitted.
"""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np

from lab.simulate import ClipSpec, Truth, simulate
from workers.clip import open_clip
from workers.face import FaceTrack, FaceTracker

#: First seeds of the clips that thresholds are fitted to, and of those that figures are told of.
CALIBRATION_SEED: Final = 1_000_000
MEASUREMENT_SEED: Final = 2_000_000

#: What must never be given a heart rate, and is not refused before anybody looks at the pulse.
NEGATIVES: Final = ("still", "waved", "frozen", "flicker", "screen", "covered", "half_covered", "masked", "face_leaves")
#: What has no face at all, or too little of anything.
EMPTY: Final = ("wall", "noise", "no_face", "two_faces", "too_short", "low_fps")

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


def filmed(spec: ClipSpec, tracker: FaceTracker) -> tuple[Truth, FaceTrack]:
    """Film the clip into a file, decode it, and follow the face through it."""
    suffix = ".mp4" if spec.codec in {None, "h264"} else ".webm"
    with TemporaryDirectory(prefix="facevitals-trial-") as folder:
        path = Path(folder) / f"clip{suffix}"
        truth = simulate(path, spec)
        with open_clip(path) as clip:
            return truth, tracker.track(clip.frames())


def specs(live: int, negatives: int, first_seed: int, empty: int = 0) -> Iterator[ClipSpec]:
    """So many clips of each, living and not in turns, so that a part of them is a sample too."""
    made = [0, 0, 0]
    wanted = (live, negatives, empty)
    for _ in range(sum(wanted)):
        # Whoever is furthest behind comes next.
        kind = min((index for index in range(3) if made[index] < wanted[index]), key=lambda k: made[k] / wanted[k])
        seed = first_seed + made[kind]
        made[kind] += 1
        if kind == 0:
            yield live_spec(seed)
        else:
            yield negative_spec(seed + 500_000, NEGATIVES if kind == 1 else EMPTY)
