"""The gate depends on no vital, is fitted to clips of known pulse, and has no negative weight."""

from dataclasses import astuple, fields, replace
from importlib import import_module
from pkgutil import iter_modules

import numpy as np
import pytest

import workers.rppg.fusion
from lab.calibrate.gate import fit_pbv_contrast, regression
from lab.calibrate.halves import consistent_estimates, fit
from lab.data.measured_clips import Row
from shared.vitals import HEART_RATE, Reason, VitalSpec
from tests.unit.pulse.conftest import MakeTraces, pulse_at
from workers.rppg.estimators import BY_COLOUR
from workers.rppg.fusion.agreement import KNOTS_PER_MIN, Agreement
from workers.rppg.fusion.cascade import estimate_pulse
from workers.rppg.fusion.evidence import gather, relative
from workers.rppg.fusion.gate import GATE, RATE_RANGE_PER_MIN, refusal
from workers.rppg.fusion.pulse_presence import PresenceModel, features
from workers.rppg.network_sessions import RppgModels
from workers.rppg.signals.filters import to_pulse_wave

_HALVES_COHERENCE = [field.name for field in fields(PresenceModel)].index("halves_correlation")


def test_the_fusion_knows_no_vital() -> None:
    for found in iter_modules(workers.rppg.fusion.__path__, "workers.rppg.fusion."):
        values = vars(import_module(found.name)).items()
        assert not [name for name, value in values if isinstance(value, VitalSpec)], found.name
        assert not [
            name for name, value in values if str(getattr(value, "__module__", "")).startswith("workers.rppg.vitals")
        ]


def test_the_gates_range_of_rates_is_that_of_the_heart_rate() -> None:
    assert HEART_RATE.plausible == RATE_RANGE_PER_MIN


def test_the_regression_weights_evidence_of_a_pulse() -> None:
    rng = np.random.default_rng(0)
    x = np.column_stack([np.ones(400), rng.normal(size=(400, 2))])
    y = (x[:, 1] + 0.5 * rng.normal(size=400) > 0).astype(np.float64)
    constant, informative, nothing = regression(x, y)
    assert abs(constant) < 0.5
    assert informative > 2
    assert nothing < 0.5


def test_no_weight_is_negative() -> None:
    rng = np.random.default_rng(1)
    x = np.column_stack([np.ones(400), rng.normal(size=(400, 2))])
    y = (x[:, 1] - x[:, 2] > 0).astype(np.float64)
    _, informative, against = regression(x, y)
    assert informative > 0
    assert against == 0


def test_a_head_that_does_not_sway_is_a_picture(make_traces: MakeTraces) -> None:
    pulse = estimate_pulse(make_traces(), BY_COLOUR)
    assert refusal(pulse) is None
    swaying, still = (replace(pulse, evidence=replace(pulse.evidence, sway=sway)) for sway in (0.0007, 0.0002))
    assert refusal(swaying) is None
    refused = refusal(still)
    assert refused is not None
    assert refused[0] is Reason.NO_PULSE
    assert "picture" in refused[1]


def test_a_rate_that_goes_with_light_and_motion_is_not_reported(make_traces: MakeTraces) -> None:
    pulse = estimate_pulse(make_traces(), BY_COLOUR)
    rate = pulse.agreement.rate_per_min
    kept, lost = ((rate + 30, rate + 1, rate - 40), (rate + 30, rate + 6, rate - 40))
    assert refusal(replace(pulse, evidence=replace(pulse.evidence, cleaned_rates_per_min=kept))) is None
    refused = refusal(replace(pulse, evidence=replace(pulse.evidence, cleaned_rates_per_min=lost)))
    assert refused is not None
    assert refused[0] is Reason.ESTIMATORS_DISAGREE
    assert "motion" in refused[1]


@pytest.mark.parametrize("rate", [31.0, 34.0, 37.0])
def test_a_heart_below_the_band_is_not_doubled(make_traces: MakeTraces, rate: float) -> None:
    pulse = estimate_pulse(make_traces(rate_per_min=rate), BY_COLOUR)
    assert refusal(pulse) is not None


def test_a_breath_at_half_of_the_rate_hides_no_pulse(make_traces: MakeTraces) -> None:
    traces = make_traces(rate_per_min=66.0)
    breath = 1 + 0.002 * np.sin(2 * np.pi * 33 / 60 * traces.times_s)
    breathing = replace(traces, regions=traces.regions * breath)
    pulse = estimate_pulse(breathing, BY_COLOUR)
    assert pulse.evidence.below_db is not None
    assert pulse.evidence.below_db < 0
    assert refusal(pulse) is None


def test_the_fitted_gate_has_no_negative_weight() -> None:
    model = GATE.presence
    assert min(astuple(model)[1:-1]) >= 0
    assert min(model.region_coherence, model.halves_correlation, model.halves_agreeing, model.log_rate) > 0
    assert min(model.patches_snr_db, model.patches_coherence) > 0


def test_each_kind_of_evidence_uses_the_gate_fitted_to_it(make_traces: MakeTraces) -> None:
    gate, traces = GATE, make_traces()
    wave = to_pulse_wave(-relative(traces.face[1]), traces.fs)
    halves = {"left": wave, "right": wave}
    assert gate.presence_for(gather(traces, {"green": wave}, wave, 1.2)) is gate.presence_alone
    patches = gather(traces, {"green": wave, "mrc": wave}, wave, 1.2, {"mrc": halves})
    assert gate.presence_for(patches) is gate.presence_patches
    both = gather(traces, {"mrc": wave, "deepphys": wave}, wave, 1.2, {"mrc": halves, "deepphys": halves})
    assert gate.presence_for(both) is gate.presence


def test_the_same_coherence_counts_for_more_in_a_longer_clip_up_to_half_a_minute(
    make_traces: MakeTraces,
) -> None:
    traces = make_traces()
    wave = to_pulse_wave(-relative(traces.face[1]), traces.fs)
    evidence = replace(gather(traces, {"green": wave}, wave, 1.2), halves_correlation=0.6)
    agreement = Agreement(72.0, 0.9, ("green",), 0.2, 3.0, 0.2, 0)
    rows = [features(replace(evidence, duration_s=duration_s), agreement) for duration_s in (10, 15, 30, 120)]
    ten, fitted, thirty, long = (row[_HALVES_COHERENCE] for row in rows)
    assert fitted == pytest.approx(0.6)
    assert ten < fitted < thirty
    assert thirty == long


def test_estimates_consistent_across_halves_are_counted_on_living_clips() -> None:
    def row(kind: str, left: float, right: float, rate: float = 80.0) -> Row:
        estimates = {"pos": 50.0, "deepphys": 80.0, "deepphys.left": left, "deepphys.right": right}
        return {"conditions": {"kind": kind}, "truth": {"heart_rate": rate}, "estimates": estimates}

    rows = [row("live", 79, 81), row("live", 80, 80.5, 79.5), row("live", 60, 80), row("still", 80, 80)]
    found = consistent_estimates([*rows, row("live", 80, 80, 120), {"conditions": {"kind": "live"}}])
    assert found == {"deepphys": [(80, 80), (80, 79.5), (80, 120)]}
    model = fit(found["deepphys"])
    assert model.hit == pytest.approx(3 / 5)
    assert model.scale_per_min == pytest.approx(0.25)
    wrong = dict(zip(KNOTS_PER_MIN, model.misses, strict=True))
    assert wrong[80] > 4 * wrong[150] > 0
    never = fit([(80, 80), (90, 90.3)])
    assert max(never.misses) == pytest.approx(min(never.misses))


def _agreed_by(*members: str, parts: int = 4) -> Agreement:
    return Agreement(80.0, 0.9, members, 0.2, 3.0, 0.2, parts)


def test_networks_do_not_count_as_signal_estimators_in_however_many_halves_they_find_the_rate() -> None:
    too_few = GATE.too_few_signal_estimators
    assert not too_few(_agreed_by("pos", "green", parts=0))
    assert not too_few(_agreed_by("chrom", "mrc", "deepphys", parts=2))
    assert too_few(_agreed_by("green", "deepphys", parts=2))
    assert too_few(_agreed_by("deepphys", "tscan", parts=2))


def test_a_family_of_estimators_counts_once() -> None:
    too_few = GATE.too_few_signal_estimators
    assert too_few(_agreed_by("green", "mrc", "deepphys"))
    assert too_few(_agreed_by("omit", "pbv", "chrom", "deepphys"))
    assert not too_few(_agreed_by("omit", "mrc", "deepphys"))


def test_one_family_suffices_if_the_skin_varies_in_the_colours_of_blood(make_traces: MakeTraces) -> None:
    gate, traces = GATE, make_traces()
    wave = to_pulse_wave(-relative(traces.face[1]), traces.fs)
    unseen = gather(traces, {"mrc": wave}, wave, 1.2)
    one, two = _agreed_by("green", "mrc", "deepphys"), _agreed_by("pos", "mrc")
    assert gate.lacks_independent_support(unseen, one)
    assert not gate.lacks_independent_support(unseen, two)
    assert not gate.lacks_independent_support(replace(unseen, pbv_contrast=0.3, pbv_contrast_error=0.1), one)
    assert gate.lacks_independent_support(replace(unseen, pbv_contrast=0.05, pbv_contrast_error=0.01), one)
    assert gate.lacks_independent_support(replace(unseen, pbv_contrast=0.3, pbv_contrast_error=0.4), one)


def test_the_minimum_pbv_contrast_is_above_that_of_all_lamps() -> None:
    def row(kind: str, pbv_contrast: float | None) -> Row:
        return {"conditions": {"kind": kind}, "networks": [{"evidence": {"pbv_contrast": pbv_contrast}}]}

    lamps = [row("flicker", value) for value in (-0.02, 0.0, 0.02, None)]
    living = [row("live", value) for value in (0.05, 0.3)]
    least, report = fit_pbv_contrast([*lamps, *living, {"conditions": {"kind": "live"}}])
    assert least == pytest.approx(4 * np.sqrt(0.0008 / 3))
    assert report["living above"] == [1, 2]
    assert GATE.min_pbv_contrast > 0.1


@pytest.mark.parametrize("edge", RATE_RANGE_PER_MIN)
def test_the_edge_of_the_pulse_band_is_not_reported_unless_beats_confirm_it(
    make_traces: MakeTraces, quick_models: RppgModels, edge: float
) -> None:
    pulse = estimate_pulse(make_traces(rate_per_min=edge), quick_models.estimators)
    assert pulse.agreement.rate_per_min == pytest.approx(edge, abs=0.1)
    assert pulse.rate_per_min == pytest.approx(edge, abs=0.2)
    assert pulse.rate_per_min != pulse.agreement.rate_per_min
    assert refusal(pulse) is None
    refused = refusal(replace(pulse, rate_per_min=pulse.agreement.rate_per_min))
    assert refused == (
        Reason.NO_PULSE,
        "the rate found is at the edge of the range 39 to 210 /min, and may be outside of it",
    )


def test_half_of_a_rate_is_checked_in_patches_if_they_were_used(make_traces: MakeTraces) -> None:
    traces = make_traces()
    beats, halved = (pulse_at(traces.times_s, rate) for rate in (100.0, 50.0))
    noise = np.random.default_rng(3).normal(size=len(beats))
    waves = {"pos": halved + noise, "chrom": halved - noise}
    colours = gather(traces, waves, beats, 100 / 60)
    patches = gather(traces, {**waves, "mrc": np.sin(2 * np.pi * traces.times_s * 100 / 60)}, beats, 100 / 60)
    assert GATE.half_stands_out(colours)
    assert not GATE.half_stands_out(patches)
