"""Simulated physiology: beats, breaths, and the pulse wave that they cause.

Beats come from integral pulse frequency modulation: the heart rate is modulated by respiration (respiratory sinus
arrhythmia), by 0.1 Hz waves of blood pressure and by a little noise, and a beat occurs wherever its integral passes a
whole number. Each beat has a systolic and a diastolic (dicrotic) peak. Respiration modulates the wave's rate, amplitude
and baseline, from which breathing can be estimated (Karlen et al. 2013, "Multiparameter respiratory rate estimation
from the photoplethysmogram", IEEE Transactions on Biomedical Engineering 60(7):1946).
"""

from dataclasses import dataclass

import numpy as np

from lab.arrays import Floats

_GRID_HZ = 250.0
#: Seconds simulated before the first frame and after the last, so that waves have no edges in the clip.
_LEAD_S = 2.0

SYSTOLIC_RISE, SYSTOLIC_FALL = 0.085, 0.115
#: Shape of one beat, widths and delay as fractions of the interval at 60 /min: two pulses, as in Tang et al. 2020,
#: "PPGSynth".
DIASTOLIC_DELAY, DIASTOLIC_WIDTH, DIASTOLIC_STRENGTH = 0.37, 0.125, 0.42

#: Share of a breath that is inspiration: a ratio of 1 to 1.5, usual at rest.
INSPIRATION_SHARE = 0.4

#: Shares of the pulse's height; of the order of Karlen et al. 2013.
AMPLITUDE_MODULATION, BASELINE_MODULATION, PRESSURE_WAVE = 0.10, 0.18, 0.12

#: /min; above it variability falls with the square of the rate, as vagal tone is withdrawn (Sacha 2013, "Why should one
#: normalize heart rate variability with respect to average heart rate").
FAST_HEART = 100.0

#: Largest standard deviation of the beat intervals, as a share of their mean.
MAX_SPREAD = 0.08


@dataclass(frozen=True)
class PulseWave:
    """A pulse wave and its events.

    times_s         (n,) seconds
    values          (n,) blood volume: an average beat is 1 high, the mean about 0, more blood is up (darker skin)
    beat_times_s    (b,) systolic peaks between the first and the last of `times_s`
    breath_times_s  (k,) beginnings of inspiration between the first and the last of `times_s`
    lung_volume     (n,) in [-1, 1], inspiration is up
    """

    times_s: Floats
    values: Floats
    beat_times_s: Floats
    breath_times_s: Floats
    lung_volume: Floats


@dataclass(frozen=True)
class Body:
    """A person's rhythms on an even grid of seconds (m,).

    cardiac_phase, respiratory_phase  in beats and breaths;  amplitude, pressure  slow modulations of the pulse
    """

    grid_s: Floats
    cardiac_phase: Floats
    respiratory_phase: Floats
    amplitude: Floats
    pressure: Floats

    def lung_volume(self, times_s: Floats) -> Floats:
        """Lung volume in [-1, 1] at `times_s` (n,) seconds."""
        return lung_volume(np.interp(times_s, self.grid_s, self.respiratory_phase))

    def pulse(self, times_s: Floats) -> Floats:
        """Blood volume at `times_s` (n,) seconds: an average beat is 1 high, the mean about 0."""
        phase = np.interp(times_s, self.grid_s, self.cardiac_phase)
        rate_hz = np.interp(times_s, self.grid_s, np.gradient(self.cardiac_phase, self.grid_s))
        breath = self.lung_volume(times_s)
        amplitude = np.interp(times_s, self.grid_s, self.amplitude) * (1.0 - AMPLITUDE_MODULATION * breath)
        baseline = BASELINE_MODULATION * breath + PRESSURE_WAVE * np.interp(times_s, self.grid_s, self.pressure)
        return amplitude * beat_shape(phase, rate_hz) - baseline

    def events(self, phase: Floats, start_s: float, stop_s: float) -> Floats:
        """Times (k,) in [start_s, stop_s] at which `phase` (m,) passes a whole number."""
        whole = np.arange(np.ceil(phase[0]), np.floor(phase[-1]) + 1)
        times = np.interp(whole, phase, self.grid_s)
        return times[(times >= start_s) & (times <= stop_s)]

    def beats(self, start_s: float, stop_s: float) -> Floats:
        """Systolic peaks (b,) in [start_s, stop_s], seconds."""
        return self.events(self.cardiac_phase, start_s, stop_s)

    def breaths(self, start_s: float, stop_s: float) -> Floats:
        """Beginnings of inspiration (k,) in [start_s, stop_s], seconds."""
        return self.events(self.respiratory_phase, start_s, stop_s)


def beat_shape(phase: Floats, rate_hz: Floats) -> Floats:
    """The pulse at `phase` (in beats, systolic peaks at whole numbers) of a heart at `rate_hz`; height 1, mean about 0.

    Systole shortens less than the interval when the heart speeds up (Bazett's square root), so fast pulses are rounder.
    """
    stretch = np.sqrt(np.clip(rate_hz, 0.4, 4.0))
    position = phase - np.round(phase)
    wave = np.zeros_like(position)
    for turn in (-1.0, 0.0, 1.0):
        offset = position + turn
        width = np.where(offset < 0, SYSTOLIC_RISE, SYSTOLIC_FALL) * stretch
        wave += np.exp(-0.5 * (offset / width) ** 2)
        late = offset - DIASTOLIC_DELAY * stretch
        wave += DIASTOLIC_STRENGTH * np.exp(-0.5 * (late / (DIASTOLIC_WIDTH * stretch)) ** 2)
    mean = np.sqrt(2 * np.pi) * stretch * ((SYSTOLIC_RISE + SYSTOLIC_FALL) / 2 + DIASTOLIC_STRENGTH * DIASTOLIC_WIDTH)
    return np.asarray(wave - mean, dtype=np.float64)


def lung_volume(phase: Floats) -> Floats:
    """Lung volume in [-1, 1] at `phase` (in breaths, inspiration begins at whole numbers).

    Inspiration is shorter than expiration.
    """
    part = phase - np.floor(phase)
    rising = part / INSPIRATION_SHARE
    falling = (part - INSPIRATION_SHARE) / (1 - INSPIRATION_SHARE)
    return np.where(part < INSPIRATION_SHARE, -np.cos(np.pi * rising), np.cos(np.pi * falling))


def wander(times_s: Floats, low_hz: float, high_hz: float, rng: np.random.Generator, parts: int = 12) -> Floats:
    """A smooth random curve at `times_s` (n,) seconds, with an RMS of 1 over long times.

    Its energy is between `low_hz` and `high_hz` and falls as 1/f; `parts` is the number of sinusoids.
    """
    frequencies = np.exp(rng.uniform(np.log(low_hz), np.log(high_hz), parts))
    strengths = 1 / np.sqrt(frequencies)
    phases = rng.uniform(0, 2 * np.pi, parts)
    curve = strengths @ np.sin(2 * np.pi * frequencies[:, None] * times_s + phases[:, None])
    result: Floats = curve / np.sqrt(0.5 * np.sum(strengths**2))
    return result


def live(
    heart_rate: float,
    respiration_rate: float,
    duration_s: float,
    rng: np.random.Generator,
    hrv_sdnn_ms: float = 30.0,
) -> Body:
    """A body whose mean rates over [0, duration_s] are `heart_rate` and `respiration_rate` (/min).

    `hrv_sdnn_ms` is the standard deviation of the beat intervals over long times. Six tenths of its variance come from
    respiration, three tenths from 0.1 Hz waves, the rest from noise. Hearts faster than `FAST_HEART` vary less than
    requested. SDNN of a short clip differs; it is in the clip's truth.
    """
    grid = np.arange(-_LEAD_S, duration_s + _LEAD_S, 1 / _GRID_HZ)
    inside = (grid >= 0) & (grid <= duration_s)

    def integrate(rate: float, modulation: Floats, start: float) -> Floats:
        speed = np.maximum(1.0 + modulation, 0.3)
        phase = np.concatenate([[0.0], np.cumsum((speed[1:] + speed[:-1]) / (2 * _GRID_HZ))])
        first, last = np.interp([0.0, duration_s], grid, phase)
        phase = (phase - first) * (rate / 60 * duration_s) / (last - first) + start
        return np.asarray(phase, dtype=np.float64)

    respiratory_phase = integrate(respiration_rate, 0.06 * wander(grid, 0.01, 0.12, rng), rng.uniform())
    breath = lung_volume(respiratory_phase)
    pressure = wander(grid, 0.08, 0.12, rng)
    noise = wander(grid, 0.15, 0.5 * heart_rate / 60, rng, 40)
    rate_factor = min(1.0, FAST_HEART / heart_rate) ** 2
    spread = min(hrv_sdnn_ms * rate_factor * heart_rate / 60_000, MAX_SPREAD)
    modulation = spread * (
        np.sqrt(0.6) * breath / max(float(np.std(breath[inside])), 1e-9)
        + np.sqrt(0.3) * pressure
        + np.sqrt(0.1) * noise
    )
    cardiac_phase = integrate(heart_rate, modulation, rng.uniform())
    amplitude = 1.0 + 0.04 * wander(grid, 0.05, heart_rate / 120, rng)
    return Body(grid, cardiac_phase, respiratory_phase, amplitude, pressure)


def pulse_wave(
    heart_rate: float,
    respiration_rate: float,
    duration_s: float,
    fs: float,
    seed: int,
    *,
    hrv_sdnn_ms: float = 30.0,
) -> PulseWave:
    """The wave without a video: `fs` samples a second over [0, duration_s), for mean rates in /min.

    The same seed gives the same wave, which is also that of a clip with these rates, this length and this seed.
    """
    body = live(heart_rate, respiration_rate, duration_s, np.random.default_rng([seed, 0]), hrv_sdnn_ms)
    return sample_body(body, np.arange(round(duration_s * fs)) / fs)


def sample_body(body: Body, times_s: Floats) -> PulseWave:
    """The wave and events of `body` at `times_s` (n,), increasing seconds."""
    start, stop = float(times_s[0]), float(times_s[-1])
    return PulseWave(
        times_s, body.pulse(times_s), body.beats(start, stop), body.breaths(start, stop), body.lung_volume(times_s)
    )
