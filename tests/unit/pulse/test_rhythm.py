"""Irregular beats have the reason `irregular_pulse`, and a regular pulse keeps its rate."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.schemas import VitalStatus
from shared.vitals import HEART_RATE, Reason
from workers.face.tracker import FaceTrack
from workers.rppg.fusion.pulse import Pulse
from workers.rppg.network_sessions import RppgModels
from workers.rppg.pipeline import Examined, examine, measure_rppg
from workers.rppg.signals.filters import band_pass, standardise
from workers.rppg.signals.rhythm import UNKNOWN, Rhythm, rhythm_of
from workers.rppg.vitals.heart_rate import heart_rate, irregularity

from .conftest import MakeTrack

FS = 30.0
Floats = NDArray[np.float64]


def _volume(beats_s: Floats, heights: Floats, duration_s: float) -> Floats:
    """Blood volume (n,) at 30 Hz: each beat rises fast, falls slowly and has a second, lower peak."""
    grid = np.arange(round(duration_s * FS)) / FS
    offsets = grid - beats_s[:, None]
    main = np.exp(-0.5 * (offsets / np.where(offsets < 0, 0.09, 0.14)) ** 2)
    second = 0.35 * np.exp(-0.5 * ((offsets - 0.33) / 0.13) ** 2)
    return np.asarray(heights @ (main + second), np.float64)


def _steady(rate: float, duration_s: float = 15.0) -> Floats:
    beats = np.arange(-2, duration_s + 2, 60 / rate)
    return _volume(beats, np.ones(len(beats)), duration_s)


def _alternating(rate: float, duration_s: float = 15.0, early: float = 0.33) -> Floats:
    """Beats of which every second one comes early, and is weak."""
    cycles = np.arange(-2, duration_s + 2, 120 / rate)
    beats = np.sort(np.concatenate((cycles, cycles + (1 - early) * 60 / rate)))
    return _volume(beats, np.resize([1.15, 0.65], len(beats)), duration_s)


def _uneven(rate: float, duration_s: float = 15.0, seed: int = 0) -> Floats:
    """Beats whose intervals vary independently by 22 %."""
    rng = np.random.default_rng(seed)
    intervals = 60 / rate * np.exp(0.22 * rng.normal(size=round(duration_s * rate / 60) + 12))
    beats = np.cumsum(intervals) - 3
    return _volume(beats, np.ones(len(beats)), duration_s)


def _rhythm(volume: Floats, rate: float, noise: float = 0.2) -> Rhythm:
    """Rhythm of a blood volume (n,), as two estimators with noise of their own see it."""
    rng = np.random.default_rng(1)
    first, second = (
        standardise(band_pass(standardise(volume) + noise * rng.normal(size=len(volume)), FS)) for _ in range(2)
    )
    return rhythm_of(first, second, band_pass(standardise(volume), FS, (0.33, 3.5)), FS, rate)


@pytest.mark.parametrize("rate", [45.0, 60.0, 75.0, 100.0, 140.0])
@pytest.mark.parametrize("duration_s", [10.0, 15.0, 60.0])
def test_a_steady_pulse_is_neither_uneven_nor_alternating(rate: float, duration_s: float) -> None:
    rhythm = _rhythm(_steady(rate, duration_s), rate)
    assert not rhythm.is_uneven
    assert rhythm.cycle_multiple is None


@pytest.mark.parametrize(("found", "multiple"), [(0.5, 1), (1.0, 2), (1.5, 3)])
@pytest.mark.parametrize("rate", [84.0, 96.0])
@pytest.mark.parametrize("duration_s", [15.0, 45.0])
def test_alternating_beats_are_recognised_at_half_once_and_three_halves_of_their_rate(
    found: float, multiple: int, rate: float, duration_s: float
) -> None:
    rhythm = _rhythm(_alternating(rate, duration_s), found * rate)
    assert rhythm.cycle_multiple == multiple


def test_most_hearts_with_uneven_intervals_are_recognised_in_a_clear_wave() -> None:
    found = [_rhythm(_uneven(72.0, seed=seed), 72.0) for seed in range(20)]
    assert min(rhythm.agreement for rhythm in found) > 0.9
    assert np.mean([rhythm.is_uneven for rhythm in found]) > 0.6


def test_noise_is_not_uneven_beats_since_estimators_do_not_agree_on_them() -> None:
    noisy = _rhythm(_uneven(72.0), 72.0, noise=5.0)
    assert not noisy.is_uneven
    assert noisy.unevenness > 0.2


def test_a_heart_that_slows_down_over_a_long_clip_is_not_uneven() -> None:
    beats = np.cumsum(np.linspace(0.65, 1.0, 110)) - 2
    assert not _rhythm(_volume(beats, np.ones(110), 75.0), 73.0).is_uneven


def test_a_short_wave_has_no_rhythm() -> None:
    assert _rhythm(_uneven(72.0, 9.5), 72.0) == UNKNOWN


def test_a_wave_without_anything_in_it_has_no_rhythm() -> None:
    nothing = np.zeros(450)
    rhythm = rhythm_of(nothing, nothing, nothing, FS, 70.0)
    assert not rhythm.is_uneven
    assert rhythm.cycle_multiple is None


def _pulse(track: FaceTrack) -> Pulse:
    examined = examine(track)
    assert isinstance(examined, Examined)
    return examined.pulse


def test_alternating_beats_are_reported_neither_halved_nor_doubled(
    make_track: MakeTrack, quick_models: RppgModels
) -> None:
    track = make_track(volume=_alternating(110.0))
    # Without the check the rate of the strong beats alone is reported.
    plain = heart_rate(replace(_pulse(track), rhythm=UNKNOWN))
    assert plain.value == pytest.approx(55, abs=2)
    vitals = measure_rppg(track, quick_models).vitals
    for name in ("heart_rate", "heart_rate_variability", "stress"):
        assert vitals[name].status is VitalStatus.ABSTAINED
        assert vitals[name].reason is Reason.IRREGULAR_PULSE
    assert "110 a minute, of which 55 are strong" in str(vitals[HEART_RATE.name].detail)


def test_two_likely_rates_of_alternating_beats_have_their_reason(make_track: MakeTrack) -> None:
    pulse = _pulse(make_track(volume=_alternating(90.0)))
    assert heart_rate(replace(pulse, rhythm=UNKNOWN)).reason is Reason.ESTIMATORS_DISAGREE
    assert heart_rate(pulse).reason is Reason.IRREGULAR_PULSE
    unrelated = replace(pulse, verdict=replace(pulse.verdict, second_per_min=1.25 * pulse.verdict.rate_per_min))
    assert heart_rate(unrelated).reason is Reason.ESTIMATORS_DISAGREE


def test_the_same_skin_with_steady_beats_has_a_rate(make_track: MakeTrack) -> None:
    vital = heart_rate(_pulse(make_track(volume=_steady(72.0))))
    assert vital.value == pytest.approx(72, abs=1)


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_uneven_beats_have_a_reason_of_their_own(make_track: MakeTrack, seed: int) -> None:
    """In the first of these clips a rate would be reported; in the others none would be sure."""
    vital = heart_rate(_pulse(make_track(volume=_uneven(72.0, seed=seed))))
    assert vital.value is None
    assert vital.reason is Reason.IRREGULAR_PULSE
    assert "uneven intervals" in str(vital.detail)


def test_light_motion_and_pictures_remain_the_reason(make_track: MakeTrack) -> None:
    pulse = _pulse(make_track())
    uneven = replace(pulse, rhythm=Rhythm((-1.0, -1.0, -1.0), 1.0, 0.3, 0.4))
    unsure = replace(uneven, verdict=replace(pulse.verdict, probability=0.2))
    assert irregularity(unsure, (Reason.NO_PULSE, "")) is not None
    assert irregularity(unsure, (Reason.MOTION, "")) is None
    assert irregularity(unsure, (Reason.LIGHTING_UNSTABLE, "")) is None
    assert irregularity(replace(unsure, sway=0.0), (Reason.NO_PULSE, "")) is None


def test_an_alternating_shape_is_not_the_reason_where_no_rate_is_sure(make_track: MakeTrack) -> None:
    alternating = replace(_pulse(make_track()), rhythm=Rhythm((0.5, -1.0, -1.0), 1.0, 0.0, 0.9))
    assert irregularity(alternating, None) is not None
    assert irregularity(alternating, (Reason.NO_PULSE, "")) is None
