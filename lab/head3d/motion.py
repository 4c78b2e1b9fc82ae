"""How the person moves: sway, rhythms, turns, breath, speech and blinks."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from lab.arrays import Floats
from lab.head3d.courses import (
    grid_for,
    minimum_jerk,
    phase_of,
    standardised,
    struck_spring,
    wandering,
)
from lab.world.conditions import Conditions
from lab.world.shot import Shot

#: Columns of a pose: turns in radians, shifts in face heights.
AXES: Final = ("pitch", "yaw", "roll", "across", "down", "nearer")
#: Turn (RMS over the three axes, degrees) and shift in the picture's plane (RMS, face heights) of a sway of 1.
_SWAY_DEG, _SWAY_SHIFT = 1.0, 0.012
#: Shares of the axes in the sway's turns and shifts.
_SWAY_SHARES: Final = np.array([0.65, 0.6, 0.45, 0.8, 0.6, 0.5])
#: Recoil of the head by the pumped blood, face heights per unit of the pulse's slope: about 0.3 mm (Balakrishnan et
#: al. 2013).
_RECOIL: Final = 0.00022
#: Rise of the shoulders and nod of the head with the breath: face heights and degrees per unit of lung volume.
_SHOULDERS, _BREATH_NOD_DEG = 0.011, 0.25
#: Largest turns, radians, that the relief bears: beyond them its sides would be seen.
_MAX_TURN: Final = np.radians([16.0, 24.0, 20.0])
#: Seconds that a lid needs to close, stays closed, and needs to open.
_LID_S: Final = (0.08, 0.05, 0.16)


@dataclass(frozen=True)
class Motion:
    """Motion of a person over the frames.

    pose       (n, 6) in the order of `AXES`
    jaw        (n,) opening of the mouth in [0, 1]
    lids       (n,) closure of the eyes in [0, 1]
    shoulders  (n, 2) shift across and down in face heights
    """

    pose: Floats
    jaw: Floats
    lids: Floats
    shoulders: Floats


def motion_of(shot: Shot) -> Motion:
    """Draw the motion of a shot: a photo stays, a print moves rigidly, the others move as people do."""
    conditions, count = shot.conditions, len(shot.times_s)
    still = Motion(np.zeros((count, 6)), np.zeros(count), np.zeros(count), np.zeros((count, 2)))
    if conditions.subject in ("photo", "wall", "noise"):
        return still
    grid = grid_for(shot.times_s)
    sway, strokes = _sway(conditions, len(grid)), _rhythm(conditions, len(grid))
    reaches = _reaches(conditions, grid)
    pose = sway + strokes + reaches
    if conditions.subject == "print":
        return Motion(_at(shot.times_s, grid, _bounded(pose)), still.jaw, still.lids, still.shoulders)
    lung = shot.breath.lung_at(grid)
    jaw = _speech(conditions, grid)
    pose[:, 0] += np.radians(_BREATH_NOD_DEG) * lung + np.radians(0.6) * conditions.talking * standardised(jaw)
    pose[:, 4] -= 0.25 * _SHOULDERS * lung
    if shot.pulse is not None:
        pose[:, 4] -= _RECOIL * np.gradient(shot.pulse.at(grid), grid)
    shoulders = np.stack([0.5 * pose[:, 3], 0.25 * (sway + reaches)[:, 4] - _SHOULDERS * lung], axis=1)
    return Motion(
        _at(shot.times_s, grid, _bounded(pose)),
        np.interp(shot.times_s, grid, jaw),
        np.interp(shot.times_s, grid, _blinks(conditions, grid)),
        _at(shot.times_s, grid, shoulders),
    )


def _at(times_s: Floats, grid: Floats, values: Floats) -> Floats:
    return np.stack([np.interp(times_s, grid, column) for column in values.T], axis=1)


def _bounded(pose: Floats) -> Floats:
    bounded = pose.copy()
    bounded[:, :3] = _MAX_TURN * np.tanh(pose[:, :3] / _MAX_TURN)
    return bounded


def _sway(conditions: Conditions, count: int) -> Floats:
    """Sway (m, 6): slow wandering and a neck that is struck like a spring."""
    rng = conditions.rng("head3d/sway")
    pose = np.zeros((count, 6))
    for axis, share in enumerate(_SWAY_SHARES):
        slow = wandering(rng, count, float(rng.uniform(1.5, 5.0)))
        quick = struck_spring(rng, count, float(rng.uniform(0.4, 1.3)), float(rng.uniform(0.25, 0.8)), 1.5)
        pose[:, axis] = share * standardised(slow + rng.uniform(0.05, 0.25) * standardised(quick))
    pose[:, :3] *= conditions.sway * np.radians(_SWAY_DEG) / np.linalg.norm(_SWAY_SHARES[:3])
    pose[:, 3:] *= conditions.sway * _SWAY_SHIFT / np.linalg.norm(_SWAY_SHARES[3:5])
    return pose


def _rhythm(conditions: Conditions, count: int) -> Floats:
    """Rhythmic strokes (m, 6): a quick one, a slower one back, each of minimum jerk, with a bounce."""
    pose = np.zeros((count, 6))
    if conditions.rhythmic_axis == "none":
        return pose
    rng = conditions.rng("head3d/rhythm")
    axis = AXES.index(conditions.rhythmic_axis)
    phase = phase_of(rng, count, conditions.rhythmic_hz, conditions.rhythmic_drift)
    quick, part = float(rng.uniform(0.3, 0.48)), phase % 1
    stroke = np.where(part < quick, minimum_jerk(part / quick), 1 - minimum_jerk((part - quick) / (1 - quick)))
    bounce = rng.uniform(0.0, 0.2) * np.sin(4 * np.pi * phase + rng.uniform(0, 2 * np.pi))
    heights = 1 + 0.12 * rng.standard_normal(int(phase[-1]) + 2)
    wave = (2 * stroke - 1 + bounce) * np.interp(phase, np.arange(len(heights)), heights)
    unit = np.radians(1.0) if axis < 3 else 0.01
    pose[:, axis] = conditions.rhythmic_size * unit * wave
    # A nod comes with a small turn or shift beside it.
    pose[:, (axis + 1) % 3 if axis < 3 else axis - 3] += 0.12 * conditions.rhythmic_size * np.radians(1.0) * wave
    return pose


def _reaches(conditions: Conditions, grid: Floats) -> Floats:
    """Large turns and shifts (m, 6), each held for a while."""
    pose = np.zeros((len(grid), 6))
    rng = conditions.rng("head3d/reaches")
    count = int(rng.poisson(conditions.large_moves * conditions.duration_s / 60))
    for start in np.sort(rng.uniform(0, conditions.duration_s, count)):
        size = np.array([*np.radians([5.0, 13.0, 6.0]), 0.12, 0.06, 0.08])
        target = size * rng.standard_normal(6).clip(-1.6, 1.6)
        length, back, held = rng.uniform(0.4, 1.0), rng.uniform(0.5, 1.2), rng.uniform(0.3, 3.0)
        course = minimum_jerk((grid - start) / length) - minimum_jerk((grid - start - length - held) / back)
        pose += course[:, None] * target
    return pose


def _speech(conditions: Conditions, grid: Floats) -> Floats:
    """Opening of the mouth (m,): syllables of 3 to 6 Hz in phrases, with pauses for the rest of the time."""
    jaw = np.zeros(len(grid))
    if conditions.talking <= 0:
        return jaw
    rng = conditions.rng("head3d/speech")
    moment = float(grid[0])
    while moment < grid[-1]:
        phrase = float(rng.uniform(1.0, 3.5))
        end = moment + phrase
        while moment < end:
            syllable = 1 / float(rng.uniform(3.0, 6.0))
            part = (grid - moment) / syllable
            opening = minimum_jerk(part / 0.4) - minimum_jerk((part - 0.4) / 0.75)
            jaw += float(rng.uniform(0.15, 1.0)) * opening
            moment += syllable
        moment += phrase * (1 / conditions.talking - 1) * float(rng.uniform(0.6, 1.4)) + float(rng.uniform(0.1, 0.3))
    return np.clip(jaw, 0.0, 1.0)


def _blinks(conditions: Conditions, grid: Floats) -> Floats:
    """Closure of the lids (m,): blinks with exponential intervals, at least 0.4 s apart."""
    rng = conditions.rng("head3d/blinks")
    lids = np.zeros(len(grid))
    mean = max(60 / conditions.blink_rate - 0.4, 0.1)
    closing, closed, opening = _LID_S
    moment = float(grid[0]) + float(rng.exponential(mean))
    while moment < grid[-1]:
        offset = grid - moment
        lids = np.maximum(lids, minimum_jerk(offset / closing) - minimum_jerk((offset - closing - closed) / opening))
        moment += 0.4 + float(rng.exponential(mean))
    return lids
