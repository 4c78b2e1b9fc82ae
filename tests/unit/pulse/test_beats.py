"""Beats are found by the phase of the wave; variability is computed from their intervals."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.schemas import VitalStatus
from shared.vitals import Reason
from workers.rppg.fusion.pulse import Pulse
from workers.rppg.pipeline import Examined, examine
from workers.rppg.signals.beats import beats_at, beats_of, mean_rate_per_min
from workers.rppg.signals.spectrum import snr_db, spectrum_of
from workers.rppg.vitals.heart_rate_variability import (
    POPULATION_SD,
    VARIABILITY_MODEL,
    interval_of,
    lf_hf,
    mean_ibi_ms,
    pnn50,
    reason_withheld,
    rmssd_ms,
    sdnn_ms,
    variability,
)

from .conftest import MakeTrack


def _wave(beat_times_s: NDArray[np.float64], duration_s: float, noise: float = 0.0) -> NDArray[np.float64]:
    """A photoplethysmogram (n,) at 30 Hz with those beats and a strong second harmonic."""
    grid = np.arange(round(30 * duration_s)) / 30
    phase = 2 * np.pi * np.interp(grid, beat_times_s, np.arange(len(beat_times_s)))
    wave = np.cos(phase) + 0.5 * np.cos(2 * phase - 1.2) + noise * np.random.default_rng(0).normal(size=len(grid))
    return np.asarray(wave, np.float64)


def _beats(rate_per_min: float, duration_s: float, sdnn: float, seed: int = 0) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    mean = 60 / rate_per_min
    count = int(duration_s / mean) + 6
    breath = 1.2 * sdnn * np.sin(2 * np.pi * 0.25 * mean * np.arange(count) + 1)
    intervals = mean + breath + 0.5 * sdnn * rng.normal(size=count)
    return np.asarray(np.cumsum(intervals) - 2 * mean, np.float64)


@pytest.mark.parametrize("rate", [45.0, 50.0, 55.0, 60.0, 90.0, 140.0])
def test_beats_are_not_doubled_by_a_second_harmonic(rate: float) -> None:
    times = _beats(rate, 20, 0.02)
    beats = beats_of(_wave(times, 20, noise=0.2), 30, rate)
    inside = ((times > 1) & (times < 19)).sum()
    assert abs(len(beats.times_s) - inside) <= 3
    assert beats.kept_share > 0.9


def test_beats_are_found_where_they_are() -> None:
    times = _beats(70, 30, 0.04)
    beats = beats_of(_wave(times, 30), 30, 70)
    nearest = np.abs(beats.times_s[:, None] - times).min(axis=1)
    # A constant shift is the phase of the template; only its variation matters.
    shift = beats.times_s - times[np.abs(beats.times_s[:, None] - times).argmin(axis=1)]
    assert nearest.max() < 0.25
    assert np.std(shift[2:-2]) < 0.02


@pytest.mark.parametrize("seed", range(4))
def test_variability_of_a_noisy_wave_is_close_to_the_true_one(seed: int) -> None:
    times = _beats(66, 60, 0.045, seed)
    inside = times[(times > 0) & (times < 60)]
    truth, beats = beats_at(inside), beats_of(_wave(times, 60, noise=0.15), 30, 66)
    assert sdnn_ms(beats) == pytest.approx(sdnn_ms(truth), abs=10)
    assert rmssd_ms(beats) == pytest.approx(rmssd_ms(truth), abs=12)
    assert mean_ibi_ms(beats) == pytest.approx(mean_ibi_ms(truth), abs=5)


def test_the_mean_rate_is_counted_from_beats() -> None:
    times = _beats(72, 15, 0.05, 3)
    inside = times[(times > 0) & (times < 15)]
    truth = 60 / np.diff(inside).mean()
    assert mean_rate_per_min(_wave(times, 15, noise=0.3), 30, truth + 1.5) == pytest.approx(truth, abs=0.8)


def test_a_rate_without_countable_beats_hardly_changes() -> None:
    noise = np.random.default_rng(0).normal(size=450)
    counted = mean_rate_per_min(noise, 30, 120)
    assert abs(counted - 120) <= 3


def test_implausible_intervals_are_excluded() -> None:
    intervals = np.array([0.8, 0.82, 0.79, 1.6, 0.81, 0.8, 0.4, 0.4, 0.81, 0.8])
    beats = beats_at(np.concatenate(([0.0], np.cumsum(intervals))))
    assert not beats.kept[3]
    assert beats.kept[[0, 1, 2, 4, 9]].all()


def test_variability_measures_have_their_definitions() -> None:
    beats = beats_at(np.cumsum([0.0, 0.8, 0.86, 0.8, 0.86, 0.8, 0.86, 0.8, 0.86]))
    assert mean_ibi_ms(beats) == pytest.approx(830)
    assert rmssd_ms(beats) == pytest.approx(60)
    assert pnn50(beats) == pytest.approx(100)
    assert sdnn_ms(beats) == pytest.approx(32.07, abs=0.1)


def test_slow_variation_is_low_frequency_and_fast_is_high() -> None:
    index = np.arange(150)
    slow = beats_at(np.cumsum(0.8 + 0.04 * np.sin(2 * np.pi * 0.08 * 0.8 * index)))
    fast = beats_at(np.cumsum(0.8 + 0.04 * np.sin(2 * np.pi * 0.3 * 0.8 * index)))
    assert lf_hf(slow) > 3
    assert lf_hf(fast) < 0.33


def test_a_measure_whose_interval_is_as_wide_as_the_population_is_withheld() -> None:
    clear = beats_at(np.cumsum(np.full(20, 0.8) + 0.01 * np.sin(np.arange(20))))
    assert reason_withheld("rmssd_ms", clear, 8.0) is None
    assert reason_withheld("rmssd_ms", clear, 0.0) is Reason.NO_PULSE
    rng = np.random.default_rng(0)
    trembling = beats_at(np.cumsum(1.3 + 0.09 * rng.normal(size=15)))
    for name in ("sdnn_ms", "rmssd_ms", "pnn50"):
        assert reason_withheld(name, trembling, 3.0) is Reason.TOO_UNCERTAIN, name
    assert reason_withheld("mean_ibi_ms", trembling, 3.0) is None


@pytest.mark.parametrize("name", ["sdnn_ms", "rmssd_ms"])
@pytest.mark.parametrize("spread", [0.005, 0.02, 0.05, 0.1])
@pytest.mark.parametrize("snr", [2.0, 6.0, 12.0])
def test_no_reported_interval_is_as_wide_as_an_answer_that_is_the_same_for_everyone(
    name: str, spread: float, snr: float
) -> None:
    beats = beats_at(np.cumsum(0.9 + spread * np.random.default_rng(1).normal(size=17)))
    value = {"sdnn_ms": sdnn_ms, "rmssd_ms": rmssd_ms}[name](beats)
    low, high = interval_of(name, value, beats, snr)
    if reason_withheld(name, beats, snr) is None:
        assert high - low < 2 * 1.645 * POPULATION_SD[name]
    else:
        assert high - value >= 1.645 * POPULATION_SD[name] - 0.1


def _pulse(make_track: MakeTrack, duration_s: float = 25.0) -> Pulse:
    examined = examine(make_track(duration_s=duration_s, noise=0.001))
    assert isinstance(examined, Examined)
    return examined.pulse


def test_variability_needs_sdnn_or_rmssd(make_track: MakeTrack) -> None:
    """A mean interval alone, which every accepted pulse has, is no variability."""
    pulse = _pulse(make_track)
    clear = variability(pulse)
    assert clear.status is VitalStatus.OK
    assert clear.value is not None
    assert clear.value.sdnn_ms.value is not None
    noisy = replace(pulse, snr_db=VARIABILITY_MODEL.min_snr_db - 0.1)
    vital = variability(noisy)
    assert (vital.value, vital.status, vital.reason) == (None, VitalStatus.ABSTAINED, Reason.NO_PULSE)
    assert vital.detail is not None
    assert "too noisy" in vital.detail


def test_variability_too_uncertain_to_inform_is_withheld(make_track: MakeTrack) -> None:
    pulse = _pulse(make_track)
    rng = np.random.default_rng(3)
    beats_s = np.concatenate(([-1.0], np.cumsum(0.9 + 0.1 * np.sin(1.1 * np.arange(40)) + 0.04 * rng.normal(size=40))))
    trembling = replace(
        pulse,
        rate_per_min=60 / 0.9,
        evidence=replace(pulse.evidence, wave=_wave(beats_s, pulse.duration_s)),
        snr_db=2.0,
    )
    vital = variability(trembling)
    assert (vital.value, vital.status, vital.reason) == (None, VitalStatus.ABSTAINED, Reason.TOO_UNCERTAIN)


def test_short_variability_is_experimental(make_track: MakeTrack) -> None:
    vital = variability(_pulse(make_track, 15.0))
    assert vital.status is VitalStatus.EXPERIMENTAL


def test_ten_frames_a_second_are_too_few_to_place_beats(make_track: MakeTrack) -> None:
    slow = replace(_pulse(make_track, 30.0), frames=300)
    vital = variability(slow)
    assert (vital.value, vital.reason) == (None, Reason.FRAME_RATE_LOW)
    assert "10.0" in (vital.detail or "")


def test_short_clips_underestimate_five_minute_variability() -> None:
    shortfalls = [VARIABILITY_MODEL.shortfall_of(duration_s)[0] for duration_s in (10, 15, 60, 120, 300)]
    assert shortfalls == sorted(shortfalls, reverse=True)
    # An SDNN of 50 ms over five minutes corresponds to about 35 ms in 15 s.
    assert 50 * np.exp(-shortfalls[1]) < 40
    assert shortfalls[-1] == 0


def test_the_interval_of_variability_covers_the_error_of_noise() -> None:
    inside = []
    for seed in range(12):
        times = _beats(80, 15, 0.03, seed)
        truth = beats_at(times[(times > 0) & (times < 15)])
        wave = _wave(times, 15, noise=0.6)
        snr = snr_db(spectrum_of(wave, 30.0), 80 / 60)
        beats = beats_of(wave, 30, 80, half_band_hz=VARIABILITY_MODEL.half_band_hz(snr))
        for name, measure in (("sdnn_ms", sdnn_ms), ("rmssd_ms", rmssd_ms)):
            low, high = interval_of(name, measure(beats), beats, snr)
            inside.append(low <= measure(truth) <= high)
    assert np.mean(inside) >= 0.85
