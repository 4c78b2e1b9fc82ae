"""Every cue of a tracked face."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from workers.face.tracker import FaceTrack
from workers.liveness.cues import Cues
from workers.liveness.cues.background_motion import company
from workers.liveness.cues.blinks import blinks
from workers.liveness.cues.screen import band, framed
from workers.liveness.cues.texture import texture
from workers.models.session import Runner
from workers.rppg.estimators import BY_COLOUR
from workers.rppg.fusion.calibration import CALIBRATION
from workers.rppg.fusion.pulse import fused_pulse
from workers.rppg.signals.traces import NoTraces, traces_of

# The best portraits are looked at; the middle one of them counts.
_PORTRAITS: Final = 3
_SHORTEST_S: Final = 5.0
# Part of the clip in which there must be a face for a flicker over it.
_SEEN: Final = 0.5


def cues_of(track: FaceTrack, networks: Mapping[str, Runner]) -> Cues:
    """What the track shows; `networks` are MiniFASNet's, by name, or none."""
    best = sorted(track.portraits, key=lambda portrait: -portrait.quality)[:_PORTRAITS]
    motion = company(track.views)
    return Cues(
        pulse=pulse(track),
        blinks=blinks(track.eyes),
        stirs=None if motion is None else motion.stirs,
        together=None if motion is None else motion.together,
        band=band(track.times_s, track.crops) if np.mean(track.faces > 0) >= _SEEN else None,
        framed=float(np.median([framed(portrait) for portrait in best])) if best else None,
        texture=texture(best, networks),
    )


def pulse(track: FaceTrack) -> float | None:
    """Log-odds of a pulse in the longest stretch in which the face is seen; None where that is too short."""
    try:
        # Nobody looks at the crops, so that they need not be made ready.
        traces = traces_of(replace(track, crops=track.crops[:, :1, :1])).longest_seen()
    except NoTraces:
        return None
    if traces.duration_s < _SHORTEST_S:
        return None
    # Networks draw a pulse where there is none; these can't.
    found = fused_pulse(traces, {name: run(traces) for name, run in BY_COLOUR.items()})
    return CALIBRATION.gate.presence_alone.log_odds(found.evidence, found.agreement)
