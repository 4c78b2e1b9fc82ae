"""Cues of life: each a number read off a tracked face, or None where the clip can't tell."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cues:
    """What a clip shows.

    pulse     log-odds of a pulse in the skin, by the signal estimators (`workers.rppg.fusion.pulse_presence`)
    blinks    how many
    stirs     how much more the face changes over the clip than noise alone does; 1: not at all
    together  log-ratio: above 0 what surrounds the face moves with it, below 0 it stays
    band      how far a flicker that runs over the face stands out, in decibels
    framed    length of the upright edges on both sides of the face, in heights of the portrait
    texture   MiniFASNet's log-odds of a living face
    """

    pulse: float | None
    blinks: int | None
    stirs: float | None
    together: float | None
    band: float | None
    framed: float | None
    texture: float | None
