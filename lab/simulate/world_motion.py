"""Movements of a clip of the world: sway, rhythmic motion, large moves, speech, blinks, breath and recoil."""

from typing import Final

import numpy as np

from lab.arrays import Floats
from lab.simulate.physiology import wander
from lab.simulate.posture import BREATH_NOD, BREATH_RISE, RECOIL, Posture, at_rest, blinking
from lab.world.conditions import Conditions
from lab.world.shot import Shot

#: RMS of a person who sits: translation in face heights across, down and nearer, turns in radians (roll, yaw, pitch).
_SWAY: Final = {
    "across": 0.012,
    "down": 0.005,
    "nearer": 0.004,
    "roll": np.radians(0.6),
    "yaw": np.radians(1.0),
    "pitch": np.radians(0.6),
}
#: Largest turn that the warp of a flat portrait can show, radians.
_MAX_TURN: Final = {"yaw": 0.35, "pitch": 0.22, "roll": 0.45}
#: Size of large moves: standard deviation of the new pose, in the units of `_SWAY`.
_LARGE: Final = {"across": 0.15, "down": 0.04, "nearer": 0.05, "roll": 0.10, "yaw": 0.20, "pitch": 0.10}
#: Largest opening of a mouth that speaks, face heights, and syllables per second (Chandrasekaran et al. 2009: 2-7 Hz).
_MOUTH: Final = 0.075
_SYLLABLES_HZ: Final = (3.5, 6.0)
#: Nods and turns that stress words, radians, and the rise of brows, face heights.
_STRESS: Final = {"pitch": np.radians(1.8), "yaw": np.radians(1.2), "roll": np.radians(0.8)}
_BROWS: Final = 0.025


def posture_of(shot: Shot) -> Posture:
    """The posture of a person, or of a doll, which has no recoil and no pulse, in every frame of a shot.

    The pulse of a living person is in `pulse` and `pulse_speed`.
    """
    conditions, times = shot.conditions, shot.times_s
    curves = sway(conditions, times)
    lung = shot.breath.lung_at(times)
    curves["down"] = curves["down"] - 0.5 * BREATH_RISE * BREATH_NOD * lung
    curves["pitch"] = curves["pitch"] - 0.002 * lung
    curves["breath"] = lung
    curves["lids"] = blinking(times, conditions.blink_rate, conditions.rng("blinks"))
    if shot.pulse is not None:
        curves["pulse"] = shot.pulse.at(times)
        curves["pulse_speed"] = (shot.pulse.at(times + 0.02) - shot.pulse.at(times - 0.02)) / 0.04
        curves["down"] = curves["down"] - RECOIL * curves["pulse"]
    if conditions.talking > 0:
        for name, curve in _speech(conditions, times).items():
            curves[name] = curves.get(name, 0.0) + curve
    for name, most in _MAX_TURN.items():
        curves[name] = np.clip(curves[name], -most, most)
    return Posture(**{**vars(at_rest(len(times))), **curves})


def sway(conditions: Conditions, times: Floats) -> dict[str, Floats]:
    """Translations and turns (n,) that need no body: sway, rhythmic motion and large moves, by the names of `_SWAY`."""
    rng = conditions.rng("sway")
    curves = {name: conditions.sway * size * wander(times, 0.03, 0.4, rng) for name, size in _SWAY.items()}
    if conditions.rhythmic_axis != "none":
        axis = conditions.rhythmic_axis
        size = np.radians(conditions.rhythmic_size) if axis in _MAX_TURN else conditions.rhythmic_size / 100
        curves[axis] = curves[axis] + size * _rhythm(conditions, times)
    for name, curve in _large_moves(conditions, times).items():
        curves[name] = curves[name] + curve
    return curves


def _rhythm(conditions: Conditions, times: Floats) -> Floats:
    """A motion of amplitude 1 that repeats unevenly: its rate and its size drift."""
    rng = conditions.rng("rhythmic")
    grid = np.arange(times[0], times[-1] + 0.05, 0.02)
    rate = conditions.rhythmic_hz * np.clip(1 + conditions.rhythmic_drift * wander(grid, 0.05, 0.6, rng), 0.4, 1.8)
    phase = 2 * np.pi * np.interp(times, grid, np.cumsum(rate) * 0.02) + rng.uniform(0, 2 * np.pi)
    second = rng.uniform(0.0, 0.3) * np.sin(2 * phase + rng.uniform(0, 2 * np.pi))
    size = np.clip(1 + 0.15 * wander(times, 0.03, 0.3, rng), 0.4, 1.6)
    return np.asarray(size * (np.sin(phase) + second), dtype=np.float64)


def _large_moves(conditions: Conditions, times: Floats) -> dict[str, Floats]:
    """New poses at random times, each reached within a second and mostly left again."""
    rng = conditions.rng("large moves")
    curves = {name: np.zeros(len(times)) for name in _LARGE}
    for _ in range(rng.poisson(conditions.large_moves * conditions.duration_s / 60)):
        begin, lasts, hold = rng.uniform(0, conditions.duration_s), rng.uniform(0.4, 1.0), rng.uniform(0.3, 3.0)
        back = 1.0 if rng.uniform() < 0.75 else 0.0
        step = _smooth((times - begin) / lasts) - back * _smooth((times - begin - lasts - hold) / lasts)
        for name, size in _LARGE.items():
            curves[name] += size * float(rng.normal()) * step
    return curves


def _speech(conditions: Conditions, times: Floats) -> dict[str, Floats]:
    """Opening of the mouth by syllables in phrases, and the motion of head and brows that stresses them."""
    rng = conditions.rng("speech")
    speaks = np.zeros(len(times))
    moment = float(times[0]) - rng.uniform(0, 1)
    while moment < times[-1]:
        phrase, pause = rng.uniform(0.8, 3.0), rng.uniform(0.15, 0.5)
        silent = phrase * (1 / max(conditions.talking, 0.05) - 1)
        speaks += _smooth((times - moment) / 0.15) - _smooth((times - moment - phrase) / 0.2)
        moment += phrase + pause + silent * rng.uniform(0.5, 1.5)
    grid = np.arange(times[0], times[-1] + 0.05, 0.02)
    middle = float(rng.uniform(*_SYLLABLES_HZ))
    rate = middle * np.clip(1 + 0.25 * wander(grid, 0.2, 1.5, rng), 0.4, 1.8)
    phase = np.interp(times, grid, np.cumsum(rate) * 0.02)
    opening = (0.5 - 0.5 * np.cos(2 * np.pi * phase)) * np.clip(0.6 + 0.35 * wander(times, 0.3, 2.5, rng), 0.1, 1.2)
    curves = {name: speaks * size * wander(times, 0.4, 2.2, rng) for name, size in _STRESS.items()}
    curves["mouth"] = _MOUTH * speaks * opening
    curves["brows"] = _BROWS * speaks * np.clip(wander(times, 0.2, 1.2, rng), 0, 2)
    return curves


def _smooth(part: Floats) -> Floats:
    """0 below 0, 1 above 1, smooth in between."""
    part = np.clip(part, 0, 1)
    return np.asarray(part * part * (3 - 2 * part), dtype=np.float64)
