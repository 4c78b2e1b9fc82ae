"""Liveness cues: numbers measured on a tracked face, None where the clip does not allow it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cues:
    """The liveness cues of one clip.

    pulse                       log-odds of a pulse in the skin (`workers.rppg.fusion.verdict`)
    blinks                      number of blinks
    self_motion                 change of the face over the clip, over that of noise; 1 is noise alone
    background_moves_with_face  log-ratio: above 0 the surroundings move with the face, below 0 they stay
    rolling_band                prominence of a flicker that runs over the face, in decibels
    border_edges                length of upright edges on both sides of the face, in heights of the portrait
    texture                     log-odds of a living face by MiniFASNet
    """

    pulse: float | None
    blinks: int | None
    self_motion: float | None
    background_moves_with_face: float | None
    rolling_band: float | None
    border_edges: float | None
    texture: float | None
