"""Heart and breath of a clip: a photoplethysmogram that a contact sensor recorded, or a synthetic rhythm.

Contact pulses are those of the BIDMC data (`lab.data.bidmc`), played faster or slower to reach the rate that was drawn.
A synthetic rhythm is a series of beats, each with one wave; an early beat is a small one, since the heart had less time
to fill.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from scipy.signal import find_peaks

from lab.arrays import Floats
from lab.contact_ppg import BIDMC_HZ, patients_in, steepest_rises
from lab.world.conditions import Conditions
from workers.rppg.signals.filters import band_pass

#: Seconds before the first frame and after the last.
_LEAD_S: Final = 3.0
_GRID_HZ: Final = 125.0
#: Most and least of playing a recording faster: beyond it a wave's shape is no heart's.
_PLAYED: Final = (0.7, 1.6)
#: Share of intervals within a third of their median for a recorded stretch to be taken: others are artefacts, unless
#: the patient's heart is irregular, of which synthetic rhythms take care.
_MIN_REGULAR: Final = 0.9
_ATTEMPTS: Final = 400
#: Half-width of the line at the rate of the beats, Hz, and its least share of the highest power.
_LINE_HZ: Final = 0.05
_MIN_LINE: Final = 0.3
#: Heights of a beat by the time that the heart had to fill, relative to the mean interval: (interval, height).
_FILLING: Final = ((0.4, 0.6, 0.8, 1.0, 1.4, 2.0), (0.15, 0.55, 0.85, 1.0, 1.2, 1.3))


@dataclass(frozen=True)
class Pulse:
    """A person's heart and breath on an even grid (m,) of seconds that begins before the clip and ends after it.

    volume  (m,) blood volume: an average beat is 1 high, the mean 0, more blood is up
    lung    (m,) lung volume in [-1, 1], inspiration is up
    beats_s, breaths_s  times of the beats and of the beginnings of inspiration, over the whole grid
    source  what it was made from
    """

    grid_s: Floats
    volume: Floats
    lung: Floats
    beats_s: Floats
    breaths_s: Floats
    source: str

    def at(self, times_s: Floats) -> Floats:
        """Blood volume (n,) at `times_s` (n,) seconds."""
        return np.interp(times_s, self.grid_s, self.volume)

    def lung_at(self, times_s: Floats) -> Floats:
        """Lung volume (n,) at `times_s` (n,) seconds."""
        return np.interp(times_s, self.grid_s, self.lung)

    def rate_per_min(self, start_s: float, stop_s: float) -> float | None:
        """60 over the mean interval of the beats in [start_s, stop_s]; None with fewer than three."""
        return rate_between(self.beats_s, start_s, stop_s)

    def breaths_per_min(self, start_s: float, stop_s: float) -> float | None:
        """The same of the breaths; where the stretch holds fewer than three, of all breaths of the grid."""
        first, last = float(self.grid_s[0]), float(self.grid_s[-1])
        return rate_between(self.breaths_s, start_s, stop_s) or rate_between(self.breaths_s, first, last)


def pulse_of(conditions: Conditions, ppg: Path | None) -> Pulse:
    """The pulse of a clip; without a file of recorded pulses a sinus rhythm takes the place of "contact"."""
    if conditions.rhythm == "contact" and ppg is not None:
        return _recorded(conditions, ppg)
    return _synthetic(conditions)


def rate_between(events_s: Floats, start_s: float, stop_s: float) -> float | None:
    """60 over the mean interval of the events (k,) in [start_s, stop_s]; None with fewer than three."""
    inside = events_s[(events_s >= start_s) & (events_s <= stop_s)]
    return 60 * (len(inside) - 1) / float(inside[-1] - inside[0]) if len(inside) > 2 else None


def _recorded(conditions: Conditions, ppg: Path) -> Pulse:
    """A stretch of a patient's recording, played at the speed that brings it nearest to the rate that was drawn."""
    rng = conditions.rng("recorded")
    patients = _patients(ppg)
    names = sorted(patients)
    length = conditions.duration_s + 2 * _LEAD_S
    for _ in range(_ATTEMPTS):
        name = names[int(rng.integers(len(names)))]
        wave, breath = patients[name]
        # At its own speed first, to know its rate; then as much as that speed takes.
        begin = int(rng.integers(len(wave) - round(length * _PLAYED[1] * BIDMC_HZ) - 1))
        rate = _regular_rate(wave[begin : begin + round(length * BIDMC_HZ)])
        if rate is None:
            continue
        speed = float(np.clip(conditions.heart_rate / rate, *_PLAYED))
        part = slice(begin, begin + round(length * speed * BIDMC_HZ) + 1)
        if _regular_rate(wave[part]) is None:
            continue
        grid = np.arange(part.stop - part.start) / (BIDMC_HZ * speed) - _LEAD_S
        lung = _lung(breath[part])
        beats = steepest_rises(wave[part]) / speed - _LEAD_S
        breaths = _inspirations(lung, BIDMC_HZ * speed) - _LEAD_S
        return Pulse(grid, _standard(wave[part]), lung, beats, breaths, f"bidmc {name} x{speed:.2f}")
    raise ValueError(f"{ppg} holds no regular stretch for {conditions.heart_rate:.0f} /min")


def _regular_rate(wave: Floats) -> float | None:
    """Rate of a wave (n,) at 125 Hz, /min, or None if its beats are irregular or its spectrum has no line there."""
    intervals = np.diff(steepest_rises(wave))
    if len(intervals) < 7 or not _is_regular(intervals) or not _has_line(wave, 1 / float(intervals.mean())):
        return None
    return 60 / float(intervals.mean())


def _is_regular(intervals: Floats) -> bool:
    middle = np.median(intervals)
    return bool((np.abs(intervals - middle) < middle / 3).mean() >= _MIN_REGULAR)


def _has_line(wave: Floats, beat_hz: float) -> bool:
    """Whether the spectrum of a wave (n,) at 125 Hz confirms the beats that were found: its power there is high.

    The second harmonic may be higher, as in some waves with a late second peak.
    """
    clean = band_pass(wave, BIDMC_HZ, (0.4, 8.0), order=2)
    power = np.abs(np.fft.rfft(clean * np.hanning(len(clean)), 1 << 15)) ** 2
    hz = np.fft.rfftfreq(1 << 15, 1 / BIDMC_HZ)
    at_beat = float(power[np.abs(hz - beat_hz) < _LINE_HZ].max())
    return at_beat >= _MIN_LINE * float(power[(hz > 0.4) & (hz < 4.0)].max())


@lru_cache(maxsize=2)
def _patients(path: Path) -> dict[str, tuple[Floats, Floats]]:
    """Each patient's photoplethysmogram and breath, (n,) at 125 Hz."""
    with np.load(path) as data:
        return {
            name: (data[f"{name}_ppg"].astype(np.float64), data[f"{name}_resp"].astype(np.float64))
            for name in patients_in(data)
        }


def _standard(wave: Floats) -> Floats:
    """A wave (n,) whose median beat is 1 high, without drift below 0.1 Hz and noise above 12 Hz."""
    clean = band_pass(wave, BIDMC_HZ, (0.1, 12.0), order=2)
    seconds = round(1.5 * BIDMC_HZ)
    heights = [np.ptp(clean[start : start + seconds]) for start in range(0, len(clean) - seconds, seconds)]
    return np.asarray(clean / max(float(np.median(heights)), 1e-9), np.float64)


def _lung(wave: Floats) -> Floats:
    clean = band_pass(wave, BIDMC_HZ, (0.08, 0.7), order=2)
    return np.asarray(np.clip(clean / max(float(np.percentile(np.abs(clean), 90)), 1e-9), -1.3, 1.3), np.float64)


def _inspirations(lung: Floats, fs: float) -> Floats:
    lows, _ = find_peaks(-lung, prominence=0.5, distance=round(1.2 * fs))
    return np.asarray(lows / fs, np.float64)


def _synthetic(conditions: Conditions) -> Pulse:
    rng = conditions.rng("synthetic")
    length = conditions.duration_s + 2 * _LEAD_S
    grid = np.arange(round(length * _GRID_HZ) + 1) / _GRID_HZ - _LEAD_S
    breaths, lung = _breathing(conditions.respiration_rate, grid, rng)
    beats = _beats(conditions, grid, lung, rng)
    intervals = np.diff(beats)
    mean = float(intervals.mean())
    heights = np.interp(np.concatenate(([mean], intervals)) / mean, *_FILLING)
    heights = heights * (1 + 0.04 * rng.standard_normal(len(heights)))
    width = float(rng.uniform(0.85, 1.2))
    notch, late = float(rng.uniform(0.1, 0.55)), float(rng.uniform(0.3, 0.4))
    volume = np.zeros(len(grid))
    for beat, height, interval in zip(beats, heights, np.append(intervals, mean), strict=True):
        stretch = width * np.sqrt(np.clip(interval, 0.3, 2.0))
        near = slice(*np.searchsorted(grid, (beat - stretch, beat + 2 * stretch)))
        offset = grid[near] - beat
        side = np.where(offset < 0, 0.09, 0.14) * stretch
        volume[near] += height * np.exp(-0.5 * (offset / side) ** 2)
        volume[near] += height * notch * np.exp(-0.5 * ((offset - late * stretch) / (0.13 * stretch)) ** 2)
    volume -= 0.12 * lung
    volume -= volume.mean()
    keep = (beats >= grid[0]) & (beats <= grid[-1])
    return Pulse(grid, volume, lung, beats[keep], breaths, conditions.rhythm)


def _breathing(rate_per_min: float, grid: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Beginnings of inspiration, and lung volume (m,)."""
    starts = [float(grid[0]) - rng.uniform(0.5, 1.0) * 60 / rate_per_min]
    while starts[-1] < grid[-1]:
        starts.append(starts[-1] + 60 / rate_per_min * float(np.clip(1 + 0.08 * rng.standard_normal(), 0.7, 1.3)))
    events = np.array(starts)
    phase = np.interp(grid, events, np.arange(len(events)))
    part, depth = phase % 1, 1 + 0.1 * np.sin(2 * np.pi * 0.03 * grid + rng.uniform(0, 6))
    share = float(rng.uniform(0.33, 0.48))
    lung = np.where(part < share, -np.cos(np.pi * part / share), np.cos(np.pi * (part - share) / (1 - share)))
    return events[(events >= grid[0]) & (events <= grid[-1])], np.asarray(lung * depth, np.float64)


def _beats(conditions: Conditions, grid: Floats, lung: Floats, rng: np.random.Generator) -> Floats:
    """Times of the beats of a rhythm over the grid."""
    mean = 60 / conditions.heart_rate
    # Vagal tone falls with the rate, and with it the variability (Sacha 2013).
    deviation = min(conditions.sdnn_ms / 1000 * min(1.0, (100 / conditions.heart_rate) ** 2), 0.1 * mean)
    slope = float(rng.choice([-1, 1]) * rng.uniform(0.08, 0.25)) if conditions.rhythm == "ramp" else 0.0
    wave = float(rng.uniform(0, 2 * np.pi))
    moment, beats, early = float(grid[0]) - mean * rng.uniform(0.5, 1.5), [], 0.0
    while moment < grid[-1] + mean:
        beats.append(moment)
        middle = mean * (1 - slope * (moment / max(conditions.duration_s, 1.0) - 0.5))
        breath = float(np.interp(moment, grid, lung))
        regular = middle + deviation * (
            -0.9 * breath + 0.6 * np.sin(2 * np.pi * 0.1 * moment + wave) + 0.45 * rng.standard_normal()
        )
        if conditions.rhythm == "fibrillation":
            interval = mean * float(np.clip(np.exp(0.22 * rng.standard_normal()), 0.5, 2.0))
        elif conditions.rhythm == "bigeminy":
            early = 0.0 if early else float(rng.uniform(0.26, 0.4))
            interval = (
                regular * (1 - early) if early else 2 * mean - (beats[-1] - beats[-2] if len(beats) > 1 else mean)
            )
        elif early:
            interval, early = regular * (1 + early), 0.0  # the pause after an early beat
        elif conditions.rhythm == "ectopic" and rng.uniform() < 0.1:
            early = float(rng.uniform(0.25, 0.45))
            interval = regular * (1 - early)
        else:
            interval = regular
        moment += max(float(interval), 0.24)
    return np.array(beats)
