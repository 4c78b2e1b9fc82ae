"""Random courses over time: what drifts, swings and jumps."""

from typing import Final

import numpy as np
from scipy.signal import lfilter

from lab.arrays import Floats

#: Samples per second of the grid that courses are drawn on.
GRID_HZ: Final = 120.0
#: Seconds of the grid before the first frame and after the last.
_LEAD_S: Final = 2.0


def grid_for(times_s: Floats) -> Floats:
    """Grid (m,) of seconds at `GRID_HZ` around the frames at `times_s` (n,)."""
    start, stop = float(times_s[0]) - _LEAD_S, float(times_s[-1]) + _LEAD_S
    return start + np.arange(round((stop - start) * GRID_HZ) + 1) / GRID_HZ


def standardised(course: Floats) -> Floats:
    """The course (m,) with mean 0 and standard deviation 1; a constant one becomes 0."""
    centred = course - course.mean()
    deviation = float(centred.std())
    return centred / deviation if deviation > 1e-12 else np.zeros_like(centred)


def ornstein_uhlenbeck(rng: np.random.Generator, count: int, tau_s: float) -> Floats:
    """Ornstein-Uhlenbeck process (count,) of variance 1 and correlation time `tau_s` (Uhlenbeck & Ornstein 1930)."""
    keep = float(np.exp(-1 / (tau_s * GRID_HZ)))
    noise = rng.standard_normal(count) * np.sqrt(1 - keep**2)
    noise[0] /= np.sqrt(1 - keep**2)
    return np.asarray(lfilter([1.0], [1.0, -keep], noise), np.float64)


def wandering(rng: np.random.Generator, count: int, tau_s: float) -> Floats:
    """Smooth random course (count,) of mean 0 and variance 1: the process above after a lag of a third of its time.

    An Ornstein-Uhlenbeck process has no slope: heads have mass and clouds have soft edges.
    """
    keep = float(np.exp(-3 / (tau_s * GRID_HZ)))
    lead = round(2 * tau_s * GRID_HZ)
    rough = ornstein_uhlenbeck(rng, count + lead, tau_s)
    return standardised(np.asarray(lfilter([1 - keep], [1.0, -keep], rough)[lead:], np.float64))


def struck_spring(rng: np.random.Generator, count: int, hz: float, damping: float, strikes_hz: float) -> Floats:
    """Damped spring (count,) of natural frequency `hz`, struck at random times by impulses of random size."""
    angle, decay = 2 * np.pi * hz / GRID_HZ, damping * 2 * np.pi * hz / GRID_HZ
    radius, turn = float(np.exp(-decay)), angle * float(np.sqrt(1 - damping**2))
    struck = rng.random(count) < strikes_hz / GRID_HZ
    impulses = np.where(struck, rng.standard_normal(count), 0.0)
    poles = [1.0, -2 * radius * np.cos(turn), radius**2]
    return np.asarray(lfilter([0.0, radius * np.sin(turn)], poles, impulses), np.float64)


def minimum_jerk(part: Floats) -> Floats:
    """Course of a reach from 0 to 1 over `part` in [0, 1] (Flash & Hogan 1985)."""
    part = np.clip(part, 0.0, 1.0)
    return np.asarray(part**3 * (10 - 15 * part + 6 * part**2), np.float64)


def phase_of(rng: np.random.Generator, count: int, hz: float, drift: float) -> Floats:
    """Phase (count,) in cycles of a rhythm whose rate wanders by a share `drift` (standard deviation)."""
    rate = hz * np.clip(1 + drift * ornstein_uhlenbeck(rng, count, 2.0), 0.3, 1.7)
    return np.asarray(rng.random() + np.cumsum(rate) / GRID_HZ, np.float64)


def events(rng: np.random.Generator, grid_s: Floats, shortest_s: float, longest_s: float) -> Floats:
    """Times (k,) of events over the grid, the intervals even in [`shortest_s`, `longest_s`]."""
    length = float(grid_s[-1] - grid_s[0])
    intervals = rng.uniform(shortest_s, longest_s, int(length / shortest_s) + 2)
    times = float(grid_s[0]) + np.cumsum(intervals) - intervals[0] * rng.random()
    return np.asarray(times[times < grid_s[-1]], np.float64)
