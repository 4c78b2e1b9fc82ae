"""Oxygen saturation and stress: experimental vitals with diagnostics and intervals."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from lab.calibrate.oxygen import fit
from shared.schemas import HeartRateVariability, Measure, OxygenSaturation, Stress, VariabilityMeasures, VitalStatus
from shared.vitals import Reason
from workers.face.tracker import FaceTrack
from workers.rppg.network_sessions import RppgModels
from workers.rppg.pipeline import Examined, RppgOptions, examine, measure_rppg
from workers.rppg.signals.traces import traces_of
from workers.rppg.vitals.oxygen_saturation import OxygenCalibration, is_one_channel, oxygen_saturation
from workers.rppg.vitals.stress import REST_IBI_MS, StressThresholds, stress

from .conftest import MakeTrack

Filter = Callable[[NDArray[np.float64]], NDArray[np.float64]]


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


def test_a_value_of_a_camera_without_a_calibration_has_that_reason(
    make_track: MakeTrack, quick_models: RppgModels
) -> None:
    track = make_track(strength=0.012, noise=0.001)
    default = measure_rppg(track, quick_models).vitals["oxygen_saturation"]
    assert default.value is not None
    assert default.reason is Reason.NOT_CALIBRATED
    assert default.detail is not None
    assert "not calibrated" in default.detail
    options = RppgOptions(oxygen=OxygenCalibration(a=113.0, residual_sd=2.0))
    fitted = measure_rppg(track, quick_models, options=options).vitals["oxygen_saturation"]
    assert fitted.value is not None
    assert (fitted.status, fitted.reason, fitted.detail) == (VitalStatus.EXPERIMENTAL, None, None)


@pytest.mark.parametrize("offset", [125.0, 80.0])
def test_a_value_out_of_range_is_not_clamped_but_absent(
    make_track: MakeTrack, quick_models: RppgModels, offset: float
) -> None:
    options = RppgOptions(oxygen=OxygenCalibration(a=offset))
    vital = measure_rppg(make_track(noise=0.001), quick_models, options=options).vitals["oxygen_saturation"]
    assert vital.value is None
    assert vital.interval is None
    assert vital.status is VitalStatus.ABSTAINED
    assert vital.reason is Reason.NOT_CALIBRATED
    assert isinstance(vital, OxygenSaturation)
    assert vital.diagnostics is not None
    assert vital.diagnostics.ratio_of_ratios == pytest.approx(0.33 / 0.53, abs=0.03)
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


def _tinted(track: FaceTrack, tint: Filter, noise: float = 0.0) -> FaceTrack:
    """The track as a tinted grey picture shows it: one channel, with the pulse of green, of varied brightness."""
    light = np.repeat(track.regions[..., 1:2].astype(np.float64), 3, axis=2)
    texture = np.random.default_rng(1).uniform(40, 200, (72, 72, 1)) * np.ones(3)
    noisy = tint(texture) + noise * np.random.default_rng(2).normal(size=(len(track.crops), 72, 72, 3))
    linear = np.asarray((tint(255 * light ** (1 / 2.2)) / 255) ** 2.2, np.float32)
    return replace(track, regions=linear, crops=np.clip(np.rint(noisy), 0, 255).astype(np.uint8))


@pytest.mark.parametrize(
    "tint",
    [
        lambda grey: grey,
        lambda grey: grey * [1.1, 1.0, 0.85],
        lambda grey: grey + np.array([45.0, -10.0, -40.0]),
        lambda grey: grey * [0.6, 1.0, 0.6],
    ],
    ids=["grey", "warm", "sepia", "night vision"],
)
def test_a_tinted_grey_picture_has_no_oxygen_saturation(
    make_track: MakeTrack, quick_models: RppgModels, tint: Filter
) -> None:
    examined = examine(make_track(strength=0.012, noise=0.001))
    assert isinstance(examined, Examined)
    traces = traces_of(_tinted(make_track(strength=0.012, noise=0.001), tint))
    vital = oxygen_saturation(traces, examined.pulse, OxygenCalibration())
    assert (vital.value, vital.status, vital.reason) == (None, VitalStatus.ABSTAINED, Reason.NO_COLOUR)


def test_a_pulse_as_strong_in_red_as_in_green_is_not_of_blood(make_track: MakeTrack, quick_models: RppgModels) -> None:
    """The noise of an infrared camera's channels differs, but not what they show."""
    examined = examine(make_track(strength=0.012, noise=0.001))
    assert isinstance(examined, Examined)
    traces = traces_of(_tinted(make_track(strength=0.012, noise=0.001), lambda grey: grey, noise=8))
    assert not is_one_channel(traces.crops)
    vital = oxygen_saturation(traces, examined.pulse, OxygenCalibration())
    assert vital.reason is Reason.NO_COLOUR
    assert vital.detail is not None
    assert "as strong as in green" in vital.detail


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


def _variability(
    value: float, low: float, high: float, lf_hf: float | None = None, mean_ibi_ms: float = REST_IBI_MS
) -> HeartRateVariability:
    def measure(value: float, low: float, high: float) -> Measure:
        return Measure(value=value, unit="ms", status=VitalStatus.OK, interval=(low, high), interval_level=0.9)

    absent = Measure(value=None, unit=None, status=VitalStatus.ABSTAINED, reason=Reason.CLIP_TOO_SHORT)
    measures = dict.fromkeys(VariabilityMeasures.model_fields, absent)
    measures["sdnn_ms"] = measure(value, low, high)
    measures["mean_ibi_ms"] = measure(mean_ibi_ms, mean_ibi_ms - 10, mean_ibi_ms + 10)
    if lf_hf is not None:
        measures["lf_hf"] = measure(lf_hf, lf_hf / 1.2, lf_hf * 1.2)
    return HeartRateVariability(value=measures, unit=None, status=VitalStatus.OK)


def _stress(vital: HeartRateVariability, duration_s: float = 300.0) -> Stress:
    return stress(vital, StressThresholds(), 450, duration_s)


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
    assert toss.reason is Reason.TOO_UNCERTAIN
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


@pytest.mark.parametrize("rate_per_min", [50.0, 75.0, 90.0, 130.0, 160.0])
def test_a_fast_heart_alone_does_not_raise_the_score_of_stress(rate_per_min: float) -> None:
    """The same variation of the heart rate has the same score at any rate; its intervals vary by the rate's square."""
    of_rate = (60_000 / rate_per_min / REST_IBI_MS) ** 2
    at_rest = _stress(_variability(50, 35, 71))
    faster = _stress(_variability(50 * of_rate, 35 * of_rate, 71 * of_rate, mean_ibi_ms=60_000 / rate_per_min))
    assert at_rest.score is not None
    assert faster.score == pytest.approx(at_rest.score, abs=0.001)


def test_an_exercised_heart_is_not_stressed_but_not_at_rest() -> None:
    """SDNN of 10 ms, which at rest is far below the threshold, is usual at 130 /min."""
    exercised = _stress(_variability(10, 7, 14, mean_ibi_ms=60_000 / 130))
    assert _stress(_variability(10, 7, 14)).value == "stress"
    assert (exercised.value, exercised.status, exercised.reason) == (None, VitalStatus.ABSTAINED, Reason.NOT_AT_REST)
    assert exercised.detail is not None
    assert "130 times a minute" in exercised.detail
    assert "exercise" in exercised.detail
    assert exercised.score is not None
    assert exercised.score < 0.9


def test_a_very_low_variability_of_a_fast_heart_is_not_called_stress_either() -> None:
    assert _stress(_variability(2, 1, 3, mean_ibi_ms=60_000 / 130)).value is None


@pytest.mark.parametrize("sdnn", [20.0, 25.0, 30.0, 35.0, 40.0, 60.0, 70.0, 80.0, 90.0])
@pytest.mark.parametrize("lf_hf", [None, 0.3, 9.0])
def test_a_verdict_has_an_interval_on_one_side_of_the_threshold(sdnn: float, lf_hf: float | None) -> None:
    verdict = _stress(_variability(sdnn, sdnn / 1.4, sdnn * 1.4, lf_hf))
    if verdict.value is None:
        assert verdict.reason is Reason.TOO_UNCERTAIN
    else:
        assert verdict.interval in {(0.0, 0.0), (1.0, 1.0)}


def test_no_variability_is_no_verdict() -> None:
    silent = HeartRateVariability.without_value(None, VitalStatus.ABSTAINED, Reason.CLIP_TOO_SHORT)
    verdict = _stress(silent)
    assert verdict.value is None
    assert verdict.reason is Reason.CLIP_TOO_SHORT
