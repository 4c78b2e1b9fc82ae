"""Assemble branch outcomes into the job document. Pure functions: no store, no broker, no clock."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from pydantic import ValidationError

from shared.clips.warnings import warnings_of
from shared.schemas import (
    VITAL_TYPES,
    BranchOutcome,
    BranchReport,
    BranchStatus,
    Check,
    CheckStatus,
    ClipFacts,
    ErrorCode,
    JobDocument,
    JobState,
    Problem,
    Vital,
    VitalStatus,
)
from shared.version import VERSION
from shared.vitals import CHECKS, VITALS, Branch, Reason, VitalSpec

#: Of two verdicts of one check the worse one counts; `unknown` counts least.
_SEVERITY: Final = {CheckStatus.UNKNOWN: 0, CheckStatus.PASS: 1, CheckStatus.WARN: 2, CheckStatus.FAIL: 3}


def branches_for(vitals: Iterable[str] | None) -> list[Branch]:
    """Return the branches that serve these vitals (None: all vitals)."""
    names = VITALS if vitals is None else vitals
    requested = {VITALS[name].branch for name in names}
    return [branch for branch in Branch if branch in requested]


def branch_reports(reports: Mapping[Branch, BranchReport]) -> dict[str, BranchReport]:
    """Return every branch's report by name; a branch that was not requested is `skipped`."""
    return {branch.value: reports.get(branch, BranchReport(status=BranchStatus.SKIPPED)) for branch in Branch}


def assemble(
    *,
    job_id: str,
    created_at: dt.datetime,
    finished_at: dt.datetime,
    requested: Sequence[Branch],
    outcomes: Mapping[Branch, BranchOutcome],
    vitals: Sequence[str] | None,
    versions: dict[str, str],
) -> JobDocument:
    """Return the final document. It names every vital, with a reason where there is no value.

    A job fails when its clip was rejected or when no branch succeeded; if one branch fails, its vitals are missing.
    `vitals` are the names requested; None: all.
    """
    ended = {branch: outcomes.get(branch) or _missing(branch) for branch in requested}
    reports = {branch: outcome.report for branch, outcome in ended.items()}
    errors = [outcome.error for outcome in ended.values() if outcome.error is not None]
    rejected = next((error for error in errors if error.code.rejects_clip), None)
    error = rejected or (errors[0] if len(errors) == len(ended) else None)
    checks = _checks(ended.values())
    reported = {spec.name: _vital(spec, ended.get(spec.branch), vitals, rejected) for spec in VITALS.values()}
    facts = _facts(ended.values())
    return JobDocument(
        id=job_id,
        state=JobState.FAILED if error else JobState.SUCCEEDED,
        created_at=created_at,
        finished_at=finished_at,
        clip=facts,
        warnings=[] if facts is None else warnings_of(facts),
        branches=branch_reports(reports),
        checks=checks,
        vitals={name: _if_live(VITALS[name], vital, checks["liveness"]) for name, vital in reported.items()},
        error=error,
        versions=versions,
    )


def _missing(branch: Branch) -> BranchOutcome:
    problem = Problem(code=ErrorCode.BRANCH_TIMEOUT, detail=f"The {branch} branch gave no outcome.")
    return BranchOutcome(status=BranchStatus.TIMEOUT, elapsed_ms=0, error=problem)


def _facts(outcomes: Iterable[BranchOutcome]) -> ClipFacts | None:
    return next((outcome.clip for outcome in outcomes if outcome.clip is not None), None)


def _checks(outcomes: Iterable[BranchOutcome]) -> dict[str, Check]:
    checks = {name: Check(status=CheckStatus.UNKNOWN, detail="Not measured.") for name in CHECKS}
    for outcome in outcomes:
        for name, check in outcome.checks.items():
            if name not in checks:
                continue  # a worker of a later release may have more checks
            # Of two equal verdicts the one with a score counts.
            new, old = ((_SEVERITY[one.status], one.score is not None) for one in (check, checks[name]))
            if new >= old:
                checks[name] = check
    return checks


def _vital(
    spec: VitalSpec, outcome: BranchOutcome | None, requested: Sequence[str] | None, rejected: Problem | None
) -> Vital:
    if outcome is None or (requested is not None and spec.name not in requested):
        return VITAL_TYPES[spec.name].without_value(spec.unit, VitalStatus.ABSTAINED, Reason.NOT_REQUESTED)
    if (known := outcome.vitals.by_name().get(spec.name)) is not None:
        return known
    if rejected is not None:
        # The document's error has the sentence, once for all vitals.
        too_short = rejected.code is ErrorCode.CLIP_TOO_SHORT
        reason = Reason.CLIP_TOO_SHORT if too_short else Reason.CLIP_REJECTED
        return VITAL_TYPES[spec.name].without_value(spec.unit, VitalStatus.ABSTAINED, reason)
    detail = outcome.error.detail if outcome.error else None
    if outcome.error is not None and outcome.error.code is ErrorCode.QUEUE_TIMEOUT:
        reason = Reason.QUEUE_TIMEOUT
    elif outcome.status is BranchStatus.TIMEOUT:
        reason = Reason.BRANCH_TIMEOUT
    else:
        reason = Reason.BRANCH_FAILED
    return VITAL_TYPES[spec.name].without_value(spec.unit, VitalStatus.ABSTAINED, reason, detail)


def _if_live(spec: VitalSpec, vital: Vital, liveness: Check) -> Vital:
    """Return the vital; one that rests on a pulse abstains where the liveness check failed, for that reason alone.

    Without liveness no other reason matters: whatever a better clip of the same picture gave would be refused too.
    """
    rests_on_pulse = spec.branch is Branch.RPPG and vital.reason is not Reason.NOT_REQUESTED
    if liveness.status is not CheckStatus.FAIL or not rests_on_pulse:
        return vital
    reason = liveness.reason or Reason.NOT_LIVE
    return type(vital).without_value(vital.unit, VitalStatus.ABSTAINED, reason, liveness.detail, vital.method)


def failed_outcome(status: BranchStatus, code: ErrorCode, detail: str, elapsed_ms: int = 0) -> BranchOutcome:
    """Return the outcome of a branch that ended without results."""
    return BranchOutcome(status=status, elapsed_ms=elapsed_ms, error=Problem(code=code, detail=detail))


def versions() -> dict[str, str]:
    """Return the versions that a document names."""
    return {"facevitals": VERSION}


def read_outcome(text: str) -> BranchOutcome:
    """Read an outcome; one that this release does not understand becomes a failed one, so that the job ends."""
    try:
        return BranchOutcome.read(text)
    except ValidationError:
        detail = "The outcome was written by another release and could not be read. Submit the clip again."
        return failed_outcome(BranchStatus.ERROR, ErrorCode.BRANCH_FAILED, detail)
