"""The rppg branch: from a track to all of its vitals."""

from dataclasses import replace

import pytest

from shared.schemas import Check, CheckStatus, Vital, VitalStatus
from shared.vitals import VITALS, Branch, Reason
from workers.branch.result import Progress
from workers.rppg.network_sessions import RppgModels
from workers.rppg.pipeline import measure_rppg

from .conftest import MakeTrack

RPPG = {name for name, spec in VITALS.items() if spec.branch is Branch.RPPG}


def test_no_network_takes_part(make_track: MakeTrack, models: RppgModels) -> None:
    vital = measure_rppg(make_track(), models).vitals["heart_rate"]
    assert vital.value == pytest.approx(72, abs=1)
    assert vital.method is not None
    assert not vital.method.models


@pytest.mark.parametrize("rate", [48.0, 72.0, 130.0])
def test_a_pulse_is_reported_with_an_interval_that_contains_it(
    make_track: MakeTrack, quick_models: RppgModels, rate: float
) -> None:
    vital = measure_rppg(make_track(rate_per_min=rate), quick_models).vitals["heart_rate"]
    assert vital.status is VitalStatus.OK
    assert vital.value == pytest.approx(rate, abs=1)
    assert vital.interval is not None
    assert vital.interval[0] <= rate <= vital.interval[1]
    assert vital.baseline is not None
    assert vital.method is not None
    assert vital.method.frames == 450


def test_the_interval_widens_with_noise(make_track: MakeTrack, quick_models: RppgModels) -> None:
    clear, noisy = (
        measure_rppg(make_track(noise=noise), quick_models).vitals["heart_rate"].interval for noise in (0.001, 0.012)
    )
    assert clear is not None
    assert noisy is not None
    assert clear[1] - clear[0] < noisy[1] - noisy[0]


@pytest.mark.parametrize("seed", range(8))
def test_noise_has_no_pulse(make_track: MakeTrack, quick_models: RppgModels, seed: int) -> None:
    vital = measure_rppg(make_track(strength=0, seed=seed), quick_models).vitals["heart_rate"]
    assert vital.status is VitalStatus.ABSTAINED
    assert vital.reason in {Reason.NO_PULSE, Reason.ESTIMATORS_DISAGREE, Reason.LIGHTING_UNSTABLE}


@pytest.mark.parametrize("beat", [55.0, 80.0, 140.0])
def test_a_flickering_lamp_is_not_a_pulse(make_track: MakeTrack, quick_models: RppgModels, beat: float) -> None:
    vital = measure_rppg(make_track(strength=0, flicker=0.01, flicker_per_min=beat), quick_models).vitals["heart_rate"]
    assert vital.status is VitalStatus.ABSTAINED


def test_every_vital_of_the_branch_is_in_the_result(make_track: MakeTrack, quick_models: RppgModels) -> None:
    for track in (make_track(), make_track(strength=0), make_track(duration_s=3), make_track(lost_s=(0, 99))):
        assert set(measure_rppg(track, quick_models).vitals) == RPPG


def test_a_clip_too_short_has_that_reason(make_track: MakeTrack, quick_models: RppgModels) -> None:
    vitals = measure_rppg(make_track(duration_s=4.5), quick_models).vitals
    assert {vital.reason for vital in vitals.values()} == {Reason.CLIP_TOO_SHORT}
    assert measure_rppg(make_track(duration_s=6), quick_models).vitals["heart_rate"].status is VitalStatus.OK


@pytest.mark.parametrize(("name", "reason"), [("face", Reason.MULTIPLE_FACES), ("motion", Reason.MOTION)])
def test_a_failed_check_is_the_vitals_reason(
    make_track: MakeTrack, quick_models: RppgModels, name: str, reason: Reason
) -> None:
    """A failed check counts even with a clear pulse: fast motion changes the light on all regions coherently."""
    check = Check(status=CheckStatus.FAIL, reason=reason, detail="why")
    vitals = measure_rppg(replace(make_track(), checks={name: check}), quick_models).vitals
    assert {vital.reason for vital in vitals.values()} == {reason}


def test_a_face_that_left_abstains_with_that_reason(make_track: MakeTrack, quick_models: RppgModels) -> None:
    assert measure_rppg(make_track(lost_s=(4, 12)), quick_models).vitals["heart_rate"].reason is Reason.FACE_LOST
    assert measure_rppg(make_track(lost_s=(0, 99)), quick_models).vitals["heart_rate"].reason is Reason.NO_FACE


def test_a_vital_needs_its_shortest_time_with_the_face_in_view(make_track: MakeTrack, quick_models: RppgModels) -> None:
    """Of a clip of 20 s in which the face is seen for 7 s, there is no respiration, however long the clip is."""
    vitals = measure_rppg(make_track(duration_s=20, lost_s=(7, 20)), quick_models).vitals
    assert vitals["heart_rate"].status is VitalStatus.OK
    for name, spec in VITALS.items():
        if name in vitals and spec.minimum_s > 7.2:
            assert vitals[name].reason is Reason.FACE_LOST, name
            assert vitals[name].detail == f"the face was seen for 7.0 s at a stretch, {spec.minimum_s:g} s are needed"
    assert VITALS["respiration_rate"].minimum_s > 7.2


@pytest.mark.parametrize("fps", [8.0, 15.0, 30.0, 60.0])
def test_a_clip_of_the_shortest_length_is_long_enough(
    make_track: MakeTrack, quick_models: RppgModels, fps: float
) -> None:
    track = make_track(duration_s=VITALS["respiration_rate"].minimum_s, fps=fps)
    reason = measure_rppg(track, quick_models).vitals["respiration_rate"].reason
    assert reason not in {Reason.FACE_LOST, Reason.CLIP_TOO_SHORT}


def test_a_vital_that_was_not_requested_is_not_computed(make_track: MakeTrack, quick_models: RppgModels) -> None:
    result = measure_rppg(make_track(), quick_models, requested=frozenset({"stress"}))
    assert result.vitals["heart_rate"].reason is Reason.NOT_REQUESTED


def test_progress_gets_each_vital_once(make_track: MakeTrack, quick_models: RppgModels) -> None:
    reported: list[str] = []

    class RecordingProgress(Progress):
        def vital(self, name: str, vital: Vital) -> None:
            reported.append(name)

    result = measure_rppg(make_track(), quick_models, progress=RecordingProgress())
    assert sorted(reported) == sorted(result.vitals)


def test_waves_come_with_their_times(make_track: MakeTrack, quick_models: RppgModels) -> None:
    waveforms = measure_rppg(make_track(), quick_models).waveforms
    assert waveforms is not None
    wave = waveforms.waves["heart_rate"]
    assert len(wave.times_s) == len(wave.values) == 450
    spectrum = waveforms.spectra["heart_rate"]
    assert spectrum.rates_per_min[spectrum.power.index(max(spectrum.power))] == pytest.approx(72, abs=1)


def test_vitals_are_reported_in_the_order_of_the_table(make_track: MakeTrack, quick_models: RppgModels) -> None:
    reported: list[str] = []

    class RecordingProgress(Progress):
        def vital(self, name: str, vital: Vital) -> None:
            reported.append(name)

    measure_rppg(make_track(), quick_models, progress=RecordingProgress())
    assert reported == [name for name in VITALS if name in RPPG]


def test_stress_is_the_same_if_variability_is_not_requested(make_track: MakeTrack, quick_models: RppgModels) -> None:
    track = make_track()
    alone = measure_rppg(track, quick_models, frozenset({"stress"})).vitals["stress"]
    assert alone == measure_rppg(track, quick_models).vitals["stress"]
