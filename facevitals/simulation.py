"""Synthetic clips whose truth is known: `facevitals.simulate`."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

from facevitals.extras import worker_extra

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lab.simulate import Truth


class Conditions(TypedDict, total=False):
    """The other conditions of a synthetic clip; meanings, units and defaults: `lab.simulate.ClipSpec`."""

    hrv_sdnn_ms: float
    fps: float
    width: int
    height: int
    codec: str | None
    bitrate_bps: int
    jitter: float
    dropped: float
    duration_header: bool
    skin_tone: int
    pulse_strength: float
    motion: float
    light: float
    light_drift: float
    flicker_hz: float
    flicker_depth: float
    blink_rate: float
    kind: str
    portrait: "Path | NDArray[np.uint8] | None"
    portrait_skin_tone: int


def simulate(
    path: str | os.PathLike[str],
    *,
    heart_rate: float = 72.0,
    respiration_rate: float = 15.0,
    duration_s: float = 15.0,
    seed: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
    **conditions: Unpack[Conditions],
) -> "Truth":
    """Write a synthetic clip, and its truth beside it as `.truth.json`.

    Args:
        path: file to write, `.mp4` or `.webm`.
        heart_rate: mean over the clip, /min.
        respiration_rate: /min.
        duration_s: length in seconds.
        seed: the same seed and conditions give the same frames.
        on_progress: called with the frames done and the frames to do.
        conditions: the camera, the light, the person and the motion.

    Returns:
        The truth: `heart_rate`, `respiration_rate`, `beat_times_s`, `bvp` at `frame_times_s`, and more.

    Raises:
        ValueError: the conditions can't be simulated.
        OSError: the file can't be written.
        ModuleNotFoundError: the extra `worker` is not installed.
    """
    with worker_extra("The simulator"):
        from lab.simulate import ClipSpec
        from lab.simulate import simulate as write

    spec = ClipSpec(
        heart_rate=heart_rate, respiration_rate=respiration_rate, duration_s=duration_s, seed=seed, **conditions
    )
    return write(Path(path), spec, on_progress)
