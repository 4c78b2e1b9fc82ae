"""The outcomes of the branches are assembled into the job document."""

import datetime as dt

import pytest
from pydantic import ValidationError

from shared.jobs.assembly import assemble, branches_for
from shared.schemas import (
    VITAL_TYPES,
    Age,
    BranchOutcome,
    BranchStatus,
    Check,
    CheckStatus,
    ClipFacts,
    ErrorCode,
    HeartRate,
    JobDocument,
    JobState,
    Measure,
    OxygenSaturation,
    Problem,
    Vital,
    Vitals,
    VitalStatus,
)
from shared.vitals import CHECKS, VITALS, Branch, Reason

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
FACTS = ClipFacts(
    duration_s=15, frames=450, fps=30, width=640, height=480, container="webm", codec="vp8", bytes=1, sha256="0" * 64
)


def good(branch: Branch, **checks: Check) -> BranchOutcome:
    vitals = {
        spec.name: VITAL_TYPES[spec.name].without_value(spec.unit, VitalStatus.ABSTAINED, Reason.NO_PULSE)
        for spec in VITALS.values()
        if spec.branch is branch
    }
    return BranchOutcome(status=BranchStatus.OK, elapsed_ms=5, clip=FACTS, checks=checks, vitals=vitals)


def bad(status: BranchStatus, code: ErrorCode) -> BranchOutcome:
    return BranchOutcome(status=status, elapsed_ms=5, error=Problem(code=code, detail="why"))


def put_together(outcomes: dict[Branch, BranchOutcome], wanted: list[str] | None = None) -> JobDocument:
    return assemble(
        job_id="x",
        created_at=NOW,
        finished_at=NOW,
        requested=branches_for(wanted),
        outcomes=outcomes,
        vitals=wanted,
        versions={"facevitals": "0"},
    )


def test_every_vital_and_check_is_in_every_document() -> None:
    for outcomes in ({}, {Branch.VISION: good(Branch.VISION)}, {branch: good(branch) for branch in Branch}):
        document = put_together(outcomes)
        assert set(document.vitals.by_name()) == set(VITALS)
        assert set(document.checks.by_name()) == set(CHECKS)


def test_one_failing_branch_loses_its_own_vitals() -> None:
    failed = bad(BranchStatus.ERROR, ErrorCode.BRANCH_FAILED)
    document = put_together({Branch.VISION: failed, Branch.RPPG: good(Branch.RPPG)})
    assert document.state is JobState.SUCCEEDED
    assert document.vitals.age.reason is Reason.BRANCH_FAILED
    assert document.vitals.heart_rate.reason is Reason.NO_PULSE
    assert document.clip == FACTS


def test_a_missing_branch_is_a_timeout() -> None:
    document = put_together({Branch.RPPG: good(Branch.RPPG)})
    assert document.branches.vision.status is BranchStatus.TIMEOUT
    assert document.vitals.bmi.reason is Reason.BRANCH_TIMEOUT


def test_a_rejected_clip_fails_the_job_even_if_the_other_branch_timed_out() -> None:
    rejected = bad(BranchStatus.ERROR, ErrorCode.CLIP_TOO_SHORT)
    document = put_together({Branch.VISION: bad(BranchStatus.TIMEOUT, ErrorCode.BRANCH_TIMEOUT), Branch.RPPG: rejected})
    assert document.state is JobState.FAILED
    assert document.error is not None
    assert document.error.code is ErrorCode.CLIP_TOO_SHORT
    assert document.vitals.heart_rate.reason is Reason.CLIP_TOO_SHORT


@pytest.mark.parametrize("code", [code for code in ErrorCode if code.rejects_clip])
def test_every_vital_of_a_rejected_clip_has_that_reason_and_the_error_has_the_sentence(code: ErrorCode) -> None:
    document = put_together(dict.fromkeys(Branch, bad(BranchStatus.ERROR, code)))
    expected = Reason.CLIP_TOO_SHORT if code is ErrorCode.CLIP_TOO_SHORT else Reason.CLIP_REJECTED
    assert {vital.reason for vital in document.vitals.by_name().values()} == {expected}
    assert {vital.detail for vital in document.vitals.by_name().values()} == {None}
    assert document.error == Problem(code=code, detail="why")


def test_a_rejected_clip_is_the_reason_of_the_vitals_of_a_branch_that_timed_out() -> None:
    timed_out = bad(BranchStatus.TIMEOUT, ErrorCode.BRANCH_TIMEOUT)
    rejected = bad(BranchStatus.ERROR, ErrorCode.NO_VIDEO)
    document = put_together({Branch.VISION: timed_out, Branch.RPPG: rejected})
    assert {vital.reason for vital in document.vitals.by_name().values()} == {Reason.CLIP_REJECTED}


def test_vitals_that_were_not_requested_have_that_reason() -> None:
    document = put_together({Branch.RPPG: good(Branch.RPPG)}, ["heart_rate"])
    assert document.branches.vision.status is BranchStatus.SKIPPED
    assert document.vitals.age.reason is Reason.NOT_REQUESTED
    assert document.vitals.stress.reason is Reason.NOT_REQUESTED
    assert document.state is JobState.SUCCEEDED


def test_the_worse_of_two_checks_counts_and_unknown_counts_least() -> None:
    fine, unknown = Check(status=CheckStatus.PASS), Check(status=CheckStatus.UNKNOWN)
    fail = Check(status=CheckStatus.FAIL, reason=Reason.MOTION)
    document = put_together(
        {
            Branch.VISION: good(Branch.VISION, face=fine, motion=fail, liveness=unknown),
            Branch.RPPG: good(Branch.RPPG, face=unknown, motion=fine, liveness=fine),
        }
    )
    assert document.checks.face == fine
    assert document.checks.motion == fail
    assert document.checks.liveness == fine


@pytest.mark.parametrize("kind", [Vital, Measure])
def test_a_value_needs_a_status_and_an_absent_value_a_reason(
    kind: type[Vital] | type[Measure],
) -> None:
    with pytest.raises(ValidationError):
        kind(value=72.0, unit="/min", status=VitalStatus.ABSTAINED, reason=Reason.NO_PULSE)
    with pytest.raises(ValidationError):
        kind(value=None, unit="/min", status=VitalStatus.OK)
    with pytest.raises(ValidationError):
        kind(value=None, unit="/min", status=VitalStatus.ABSTAINED)


def test_a_picture_of_a_person_has_no_heart_rate_but_an_age() -> None:
    fails = Check(status=CheckStatus.FAIL, reason=Reason.NOT_LIVE, detail="This looks like a picture.")
    rate = HeartRate(value=72.0, unit="/min", status=VitalStatus.OK)
    age = Age(value=40.0, unit="years", status=VitalStatus.OK)
    vision, rppg = good(Branch.VISION, liveness=fails), good(Branch.RPPG)
    vision = vision.model_copy(update={"vitals": Vitals(**{**vision.vitals.by_name(), "age": age})})
    rppg = rppg.model_copy(update={"vitals": Vitals(**{**rppg.vitals.by_name(), "heart_rate": rate})})
    document = put_together({Branch.VISION: vision, Branch.RPPG: rppg})
    reported_rate = document.vitals.heart_rate
    assert (reported_rate.value, reported_rate.status, reported_rate.reason) == (
        None,
        VitalStatus.ABSTAINED,
        Reason.NOT_LIVE,
    )
    assert document.vitals.age == age
    warns = fails.model_copy(update={"status": CheckStatus.WARN})
    warned = good(Branch.VISION, liveness=warns)
    assert put_together({Branch.VISION: warned, Branch.RPPG: rppg}).vitals.heart_rate == rate


@pytest.mark.parametrize("requested", [None, ["heart_rate", "age"]])
def test_a_failed_liveness_check_is_the_reason_of_every_requested_vital_of_the_pulse(
    requested: list[str] | None,
) -> None:
    fails = Check(status=CheckStatus.FAIL, reason=Reason.NOT_LIVE, detail="This looks like a picture.")
    missing = OxygenSaturation.without_value("%", VitalStatus.UNAVAILABLE, Reason.MODEL_NOT_INSTALLED)
    rppg = good(Branch.RPPG)
    rppg = rppg.model_copy(update={"vitals": Vitals(**{**rppg.vitals.by_name(), "oxygen_saturation": missing})})
    outcomes = {Branch.VISION: good(Branch.VISION, liveness=fails), Branch.RPPG: rppg}
    for name, vital in put_together(outcomes, requested).vitals.by_name().items():
        if VITALS[name].branch is Branch.RPPG:
            wanted = requested is None or name in requested
            assert vital.reason is (Reason.NOT_LIVE if wanted else Reason.NOT_REQUESTED), name
            assert vital.detail == (fails.detail if wanted else None), name
            assert (vital.value, vital.status) == (None, VitalStatus.ABSTAINED), name
        else:
            assert vital.reason is not Reason.NOT_LIVE, name


def test_a_failed_pulse_branch_of_a_picture_has_the_reason_of_the_picture() -> None:
    fails = Check(status=CheckStatus.FAIL, reason=Reason.NOT_LIVE, detail="This looks like a picture.")
    failed = bad(BranchStatus.ERROR, ErrorCode.BRANCH_FAILED)
    document = put_together({Branch.VISION: good(Branch.VISION, liveness=fails), Branch.RPPG: failed})
    assert document.vitals.heart_rate.reason is Reason.NOT_LIVE
    assert document.branches.rppg.status is BranchStatus.ERROR
