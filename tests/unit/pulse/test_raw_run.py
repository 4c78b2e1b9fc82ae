"""The verdict weighs the same evidence whatever is named; a raw run reports one estimator's rate as unconfirmed."""

from dataclasses import replace
from pathlib import Path

import pytest

from shared.schemas import HeartRateDiagnostics, VitalStatus
from shared.vitals import VITALS, Branch, Reason
from tests.unit.pulse.conftest import MakeTrack, pulse_at
from workers.rppg.network_sessions import RppgModels
from workers.rppg.pipeline import RppgOptions, check_choice, measure_rppg

RAW = RppgOptions(raw=True)


def only(models: RppgModels, *names: str) -> RppgModels:
    """The models with these estimators alone."""
    return replace(models, estimators={name: models.estimators[name] for name in names})


def test_named_estimators_need_a_raw_run_and_one_that_can_run(quick_models: RppgModels, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"whichever estimators are named \(pos\).*--raw"):
        check_choice(only(quick_models, "pos"), raw=False)
    missing = RppgModels.load(tmp_path, only=frozenset({"physnet"}))
    if missing.left_out:
        with pytest.raises(ValueError, match="can't be run: physnet: "):
            check_choice(missing, raw=True)


def test_a_raw_run_takes_exactly_one_estimator(quick_models: RppgModels) -> None:
    check_choice(only(quick_models, "pos"), raw=True)
    for several in (quick_models, only(quick_models, "pos", "chrom")):
        with pytest.raises(ValueError, match="exactly one estimator"):
            check_choice(several, raw=True)


@pytest.mark.parametrize("name", ["pos", "omit", "mrc"])
def test_a_raw_run_reports_the_estimators_rate_without_an_interval(
    make_track: MakeTrack, quick_models: RppgModels, name: str
) -> None:
    track, models = make_track(), only(quick_models, name)
    result = measure_rppg(track, models, options=RAW)
    rate = result.vitals["heart_rate"]
    assert rate.value == pytest.approx(72, abs=1)
    assert (rate.status, rate.interval, rate.interval_level) == (VitalStatus.EXPERIMENTAL, None, None)
    assert (
        rate.detail == f"raw run: {name} was the only estimator, and nothing confirms that its rate is that of a pulse"
    )
    assert rate.method is not None
    assert rate.method.name == f"rate of {name}"
    assert isinstance(rate.diagnostics, HeartRateDiagnostics)
    assert rate.diagnostics.estimators_run == 1
    assert result.waveforms is not None
    assert result.waveforms.waves.keys() == result.waveforms.spectra.keys() == {"heart_rate"}
    others = {vital.reason for vital_name, vital in result.vitals.items() if vital_name != "heart_rate"}
    assert others == {Reason.NOT_REQUESTED}
    assert result.vitals.keys() == {vital for vital, spec in VITALS.items() if spec.branch is Branch.RPPG}


def test_a_raw_run_takes_any_estimator(make_track: MakeTrack, quick_models: RppgModels) -> None:
    models = replace(quick_models, estimators={"new": lambda traces: pulse_at(traces.times_s, 140.0)})
    rate = measure_rppg(make_track(), models, options=RAW).vitals["heart_rate"]
    assert rate.value == pytest.approx(140, abs=0.5)


@pytest.mark.parametrize("rate_per_min", [38.0, 213.0])
def test_a_raw_run_abstains_at_the_edge_of_the_range(
    make_track: MakeTrack, quick_models: RppgModels, rate_per_min: float
) -> None:
    result = measure_rppg(make_track(rate_per_min=rate_per_min), only(quick_models, "mrc"), options=RAW)
    rate = result.vitals["heart_rate"]
    assert (rate.value, rate.status, rate.reason) == (None, VitalStatus.ABSTAINED, Reason.NO_PULSE)
    assert "no peak within 39 to 210 /min" in str(rate.detail)


def test_checks_and_lengths_apply_to_a_raw_run(make_track: MakeTrack, quick_models: RppgModels) -> None:
    models = only(quick_models, "pos")
    short = measure_rppg(make_track(duration_s=4), models, options=RAW).vitals["heart_rate"]
    assert short.reason is Reason.CLIP_TOO_SHORT
    lost = measure_rppg(make_track(lost_s=(4, 12)), models, options=RAW).vitals["heart_rate"]
    assert lost.reason is Reason.FACE_LOST
