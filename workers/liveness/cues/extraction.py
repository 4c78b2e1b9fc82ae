"""Measure all liveness cues of a tracked face."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from workers.face.tracker import FaceTrack
from workers.liveness.cues import Cues
from workers.liveness.cues.background_motion import measure_background_motion
from workers.liveness.cues.blinks import count_blinks
from workers.liveness.cues.screen import measure_border_edges, measure_rolling_band
from workers.liveness.cues.texture import texture_log_odds
from workers.models.session import Runner
from workers.rppg.fusion.gate import other_refusal
from workers.rppg.pipeline import Examined, examine

#: Number of portraits that are judged, best quality first. Their median counts.
_PORTRAITS: Final = 3
#: Smallest part of the clip with a face for a flicker to be measured on it.
_MIN_FACE_PART: Final = 0.5


def extract_cues(track: FaceTrack, networks: Mapping[str, Runner], examined: Examined | None = None) -> Cues:
    """Return the cues of a track. `networks` are MiniFASNet's by name; without them `texture` is None.

    `examined` is the pulse, if it is known already.
    """
    best = sorted(track.portraits, key=lambda portrait: -portrait.quality)[:_PORTRAITS]
    motion = measure_background_motion(track.thumbnails)
    return Cues(
        pulse=pulse_log_odds(track, examined),
        blinks=count_blinks(track.eyes),
        self_motion=None if motion is None else motion.self_motion,
        background_moves_with_face=None if motion is None else motion.background_moves_with_face,
        rolling_band=measure_rolling_band(track.times_s, track.crops)
        if np.mean(track.faces > 0) >= _MIN_FACE_PART
        else None,
        border_edges=float(np.median([measure_border_edges(portrait) for portrait in best])) if best else None,
        texture=texture_log_odds(best, networks),
    )


def pulse_log_odds(track: FaceTrack, examined: Examined | None = None) -> float | None:
    """Return the log-odds of a pulse in the longest stretch with a face; None where it is too short, or too dark.

    `examined` is the result of `workers.rppg.pipeline.examine`, if it is known already.
    """
    found = examined or examine(track)
    if not isinstance(found, Examined):
        return None
    log_odds = found.pulse.verdict.log_odds
    # What light explains, or shows in a head that never moves, speaks neither for a living person nor against one.
    return log_odds if other_refusal(found.pulse) is None else min(log_odds, 0.0)
