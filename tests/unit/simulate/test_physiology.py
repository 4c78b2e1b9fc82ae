"""The simulated heart, lungs and pulse wave."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from lab.simulate import PulseWave, pulse_wave


def spectrum(values: NDArray[np.float64], fs: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    power = np.square(np.abs(np.fft.rfft((values - values.mean()) * np.hanning(len(values)), 2**18)))
    return np.asarray(np.fft.rfftfreq(2**18, 1 / fs) * 60, dtype=np.float64), power


def strongest(values: NDArray[np.float64], fs: float, low: float, high: float) -> float:
    rates, power = spectrum(values, fs)
    return float(rates[np.argmax(power * ((rates >= low) & (rates <= high)))])


@pytest.mark.parametrize("rate", [40.0, 50.0, 72.0, 120.0, 180.0])
def test_the_wave_has_the_requested_rate(rate: float) -> None:
    wave = pulse_wave(rate, 15, 60, 60, seed=3)
    assert strongest(wave.values, 60, 30, 220) == pytest.approx(rate, abs=1.0)
    assert 60 / np.diff(wave.beat_times_s).mean() == pytest.approx(rate, abs=1.0)


def test_beats_are_the_peaks_of_the_wave() -> None:
    wave = pulse_wave(60, 12, 30, 250, seed=1)
    for beat in wave.beat_times_s[1:-1]:
        near = np.abs(wave.times_s - beat) < 0.3
        assert wave.times_s[near][np.argmax(wave.values[near])] == pytest.approx(beat, abs=0.03)


def test_the_wave_has_a_second_harmonic() -> None:
    rates, power = spectrum(pulse_wave(60, 15, 60, 100, seed=2, hrv_sdnn_ms=0).values, 100)
    first, second = (power[np.abs(rates - centre) < 3].max() for centre in (60, 120))
    assert 0.15 < np.sqrt(second / first) < 0.9


def test_breathing_modulates_rate_amplitude_and_baseline() -> None:
    wave = pulse_wave(72, 15, 120, 100, seed=4, hrv_sdnn_ms=40)
    beats = wave.beat_times_s
    heights = np.interp(beats, wave.times_s, wave.values)
    troughs = np.array([wave.values[(wave.times_s > a) & (wave.times_s < b)].min() for a, b in pairwise(beats)])
    grid = np.arange(1, 119, 0.25)
    curves = (np.diff(beats), heights[:-1] - troughs, (heights[:-1] + troughs) / 2)
    for curve in curves:
        even = np.interp(grid, beats[:-1], curve)
        assert strongest(even, 4, 8, 30) == pytest.approx(15, abs=1.0)


def test_variability_is_as_requested_over_long_times() -> None:
    for sdnn_ms in (0.0, 20.0, 50.0):
        intervals = np.diff(pulse_wave(65, 14, 300, 30, seed=5, hrv_sdnn_ms=sdnn_ms).beat_times_s) * 1000
        assert intervals.std() == pytest.approx(sdnn_ms, abs=0.25 * sdnn_ms + 1)


def test_breaths_begin_at_the_minimum_of_lung_volume() -> None:
    wave = pulse_wave(72, 12, 60, 50, seed=6)
    assert len(wave.breath_times_s) == pytest.approx(12, abs=1)
    assert np.interp(wave.breath_times_s, wave.times_s, wave.lung_volume) == pytest.approx(-1, abs=0.05)


def test_the_seed_determines_the_wave() -> None:
    def same(one: PulseWave, other: PulseWave) -> bool:
        return bool(np.array_equal(one.values, other.values))

    assert same(pulse_wave(72, 15, 10, 30, seed=1), pulse_wave(72, 15, 10, 30, seed=1))
    assert not same(pulse_wave(72, 15, 10, 30, seed=1), pulse_wave(72, 15, 10, 30, seed=2))
