"""Oxygen saturation and stress: experimental vitals with diagnostics and intervals."""

from dataclasses import replace

import numpy as np
import pytest

from lab.calibrate.oxygen import fit
from shared.schemas import HeartRateVariability, Measure, OxygenSaturation, Stress, VariabilityMeasures, VitalStatus
from shared.vitals import Reason
from workers.rppg.network_sessions import RppgModels
from workers.rppg.pipeline import RppgOptions, measure_rppg
from workers.rppg.vitals.oxygen_saturation import OxygenCalibration
from workers.rppg.vitals.stress import StressThresholds, stress

from .conftest import MakeTrack


def test_oxygen_saturation_comes_from_red_over_blue_and_is_experimental(
    make_track: MakeTrack, quick_models: RppgModels
) -> None:
    vital = measure_rppg(make_track(strength=0.012, noise=0.001), quick_models).vitals["oxygen_saturation"]
    assert vital.status is VitalStatus.EXPERIMENTAL
    assert isinstance(vital, OxygenSaturation)
    assert vital.diagnostics is not None
    assert vital.diagnostics.ratio_of_ratios == pytest.approx(0.33 / 0.53, abs=0.03)
    assert vital.value == pytest.approx(97.5, abs=1)
    assert vital.interval is not None
    assert vital.interval[1] <= 100
    assert vital.baseline is not None


def test_a_value_out_of_range_is_not_clamped_but_absent(make_track: MakeTrack, quick_models: RppgModels) -> None:
    options = RppgOptions(oxygen=OxygenCalibration(a=125.0))
    vital = measure_rppg(make_track(noise=0.001), quick_models, options=options).vitals["oxygen_saturation"]
    assert vital.value is None
    assert vital.status is VitalStatus.UNAVAILABLE
    assert vital.reason is Reason.MODEL_NOT_INSTALLED
    assert vital.detail is not None
    assert "calibration" in vital.detail


def test_without_a_pulse_there_is_no_oxygen_saturation_and_no_stress(
    make_track: MakeTrack, quick_models: RppgModels
) -> None:
    vitals = measure_rppg(make_track(strength=0), quick_models).vitals
    assert vitals["oxygen_saturation"].reason is vitals["heart_rate"].reason
    assert vitals["stress"].status is VitalStatus.ABSTAINED


@pytest.mark.parametrize(
    ("colours", "reason"), [("grey", Reason.NO_COLOUR), ("high_dynamic_range", Reason.HIGH_DYNAMIC_RANGE)]
)
def test_without_reliable_colours_there_is_a_heart_rate_but_no_oxygen_saturation(
    make_track: MakeTrack, quick_models: RppgModels, colours: str, reason: Reason
) -> None:
    track = make_track(strength=0.012, noise=0.001)
    track = replace(track, grey=colours == "grey", high_dynamic_range=colours == "high_dynamic_range")
    vitals = measure_rppg(track, quick_models).vitals
    assert vitals["heart_rate"].status is VitalStatus.OK
    assert vitals["oxygen_saturation"].value is None
    assert vitals["oxygen_saturation"].reason is reason


def test_a_camera_is_calibrated_from_readings() -> None:
    rng = np.random.default_rng(0)
    ratios = rng.uniform(0.5, 1.1, 20)
    found = fit(ratios, 118 - 30 * ratios + 0.3 * rng.normal(size=20))
    assert found.a == pytest.approx(118, abs=1)
    assert found.b == pytest.approx(30, abs=1)
    healthy = fit(ratios, np.full(20, 97.5))
    assert healthy.b == OxygenCalibration().b
    with pytest.raises(ValueError, match="three clips"):
        fit(ratios[:2], ratios[:2])


def _variability(value: float, low: float, high: float, lf_hf: float | None = None) -> HeartRateVariability:
    def measure(value: float, low: float, high: float) -> Measure:
        return Measure(value=value, unit="ms", status=VitalStatus.OK, interval=(low, high), interval_level=0.9)

    absent = Measure(value=None, unit=None, status=VitalStatus.ABSTAINED, reason=Reason.CLIP_TOO_SHORT)
    measures = dict.fromkeys(VariabilityMeasures.model_fields, absent)
    measures["sdnn_ms"] = measure(value, low, high)
    if lf_hf is not None:
        measures["lf_hf"] = measure(lf_hf, lf_hf / 1.2, lf_hf * 1.2)
    return HeartRateVariability(value=measures, unit=None, status=VitalStatus.OK)


def _stress(vital: HeartRateVariability, duration_s: float = 300.0) -> Stress:
    return stress(vital, StressThresholds(), [], 450, duration_s)


def test_the_score_of_stress_follows_the_uncertainty_of_sdnn() -> None:
    low, toss, high = (_stress(_variability(*sdnn)) for sdnn in ((20, 15, 28), (50, 35, 71), (110, 75, 145)))
    assert (low.value, high.value) == ("stress", "no_stress")
    assert low.score is not None
    assert toss.score is not None
    assert high.score is not None
    assert low.score > 0.95
    assert 0.4 < toss.score < 0.6
    assert high.score < 0.05
    assert low.interval == (1.0, 1.0)
    assert toss.interval == (0.0, 1.0)


def test_an_undecided_score_has_no_verdict() -> None:
    toss = _stress(_variability(50, 35, 71))
    assert toss.value is None
    assert toss.status is VitalStatus.ABSTAINED
    assert toss.reason is Reason.CLIP_TOO_SHORT
    assert toss.detail is not None
    assert "do not show whether" in toss.detail
    assert toss.diagnostics is not None
    assert toss.diagnostics.sdnn_ms == 50


def test_low_variability_of_a_short_clip_is_not_stress_by_itself() -> None:
    of_clip = _variability(28, 20, 36)
    assert _stress(of_clip, 300).value == "stress"
    short = _stress(of_clip, 15)
    assert short.value is None
    assert short.score is not None
    assert 0.3 < short.score < 0.7
    assert short.diagnostics is not None
    low, high = short.diagnostics.sdnn_5_min_low_ms, short.diagnostics.sdnn_5_min_high_ms
    assert low is not None
    assert high is not None
    assert low < 28
    assert high > 50


def test_a_value_far_from_the_threshold_has_a_verdict_in_a_short_clip_too() -> None:
    assert _stress(_variability(6, 1, 9), 15).value == "stress"
    assert _stress(_variability(110, 90, 135), 15).value == "no_stress"


def test_the_ratio_of_bands_changes_the_score() -> None:
    calm = _stress(_variability(50, 40, 62, lf_hf=0.5))
    tense = _stress(_variability(50, 40, 62, lf_hf=6.0))
    assert calm.score is not None
    assert tense.score is not None
    assert calm.score < 0.3
    assert tense.score > 0.7


def test_no_variability_is_no_verdict() -> None:
    silent = HeartRateVariability.without_value(None, VitalStatus.ABSTAINED, Reason.CLIP_TOO_SHORT)
    verdict = _stress(silent)
    assert verdict.value is None
    assert verdict.reason is Reason.CLIP_TOO_SHORT
