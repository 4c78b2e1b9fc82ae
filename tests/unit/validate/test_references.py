"""A reference is the mean rate of the beats in the part that was analysed, or there is none."""

import numpy as np
import pytest

from lab.data.reference import BeatTimes, Constant, PulseWave, Series


def ppg(beats_s: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """A contact pulse: a fast rise and a slow fall at each beat, with a dicrotic wave."""
    since = times_s[:, None] - beats_s[None, :]
    systole = np.where(since > 0, since**2 * np.exp(-since / 0.06), 0).sum(axis=1)
    dicrotic = np.exp(-(((since - 0.32) / 0.06) ** 2)).sum(axis=1)
    return np.asarray(systole / systole.max() + 0.25 * dicrotic)


def irregular_beats(rate_per_min: float, duration_s: float, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 0.3 + np.cumsum(rng.normal(60 / rate_per_min, 0.03, round(duration_s * rate_per_min / 60)))


@pytest.mark.parametrize("fs", [30.0, 64.0, 100.0])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("rate", [45.0, 72.0, 130.0])
def test_a_wave_gives_the_rate_of_its_beats_in_the_part(fs: float, sign: int, rate: float) -> None:
    beats = irregular_beats(rate, 40)
    times = np.arange(round(40 * fs)) / fs
    found = PulseWave(times, 100 + 20 * sign * ppg(beats, times)).between(15, 30)
    inside = beats[(beats >= 15) & (beats <= 30)]
    assert found == pytest.approx(60 / np.diff(inside).mean(), abs=0.4)


def test_the_rate_follows_the_part() -> None:
    beats = np.concatenate((np.arange(0, 20, 1.0), 20 + np.arange(0, 20, 0.5)))
    times = np.arange(0, 40, 0.02)
    wave = PulseWave(times, ppg(beats, times))
    assert wave.between(2, 17) == pytest.approx(60, abs=0.3)
    assert wave.between(22, 37) == pytest.approx(120, abs=0.3)


def test_a_wave_with_a_gap_without_a_pulse_or_off_the_part_gives_none() -> None:
    times = np.arange(0, 40, 0.02)
    values = ppg(irregular_beats(70, 40), times)
    whole = PulseWave(times, values)
    assert whole.between(5, 20) is not None
    kept = (times < 10) | (times > 12)
    assert PulseWave(times[kept], values[kept]).between(5, 20) is None
    assert PulseWave(times, np.ones(len(times))).between(5, 20) is None
    assert PulseWave(times, np.random.default_rng(0).normal(size=len(times))).between(5, 20) is None
    assert whole.between(60, 75) is None
    assert whole.between(33, 48) is None, "it ends before half of the part"


def test_repeated_times_of_an_oximeter_are_no_gap() -> None:
    times = np.repeat(np.arange(0, 40, 1 / 30), 2)
    wave = PulseWave(times, ppg(np.arange(0.2, 40, 0.8), times))
    assert wave.between(10, 25) == pytest.approx(75, abs=0.3)


def test_a_series_is_its_mean_where_the_monitor_has_values() -> None:
    times = np.arange(0, 30, 1.0)
    values = np.where(times < 15, 96.0, 98.0)
    values[16:20] = 0
    series = Series(times, values, (70, 100))
    assert series.between(0, 14) == 96.0
    assert series.between(15, 29) == 98.0
    assert series.between(15, 20) is None, "four of six are missing"
    assert series.between(40, 55) is None
    assert Constant(71.0).between(40, 55) == 71.0


def test_missed_beats_leave_no_reference() -> None:
    beats = np.arange(0, 40, 0.8)
    assert BeatTimes(beats).between(10, 25) == pytest.approx(75)
    one_missed = np.delete(beats, 20)
    assert BeatTimes(one_missed).between(10, 25) == pytest.approx(75), "its interval is left out"
    assert BeatTimes(np.delete(beats, [14, 17, 20, 23, 26])).between(10, 25) is None
    assert BeatTimes(np.array([])).between(0, 15) is None
