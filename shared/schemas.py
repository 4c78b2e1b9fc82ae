"""The job document and its parts, as every client sees them."""

import json
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.vitals import Reason

NOTICE: Final = "Estimates for wellness and research. Not a medical device."


class Schema(BaseModel):
    """Base of every schema: immutable, and no field that is not named."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null")

    def as_json(self) -> dict[str, Any]:
        """Plain values that JSON can hold; what is not finite is None.

        `model_dump(mode="json")` leaves NaN as it is, which `json.dumps` writes as a word that is no JSON.
        """
        values: dict[str, Any] = json.loads(self.model_dump_json())
        return values

    @classmethod
    def read(cls, text: str) -> Self:
        """What a process of ours wrote into the broker, leaving out fields that only a later release knows.

        Raises:
            pydantic.ValidationError: it says what this release does not understand.
        """
        return cls.model_validate_json(text, extra="ignore")


class JobState(StrEnum):
    """Where a job is; the last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether the document will not change any more."""
        return self in {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}


class VitalStatus(StrEnum):
    """How far a vital can be trusted."""

    OK = "ok"
    EXPERIMENTAL = "experimental"
    ABSTAINED = "abstained"
    UNAVAILABLE = "unavailable"


class CheckStatus(StrEnum):
    """The verdict of a check on the clip."""

    PASS = "pass"  # noqa: S105  (a verdict, not a secret)
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"


class BranchStatus(StrEnum):
    """Where one branch of a job is. `skipped`: none of its vitals was requested."""

    PENDING = "pending"
    RUNNING = "running"
    OK = "ok"
    ERROR = "error"
    TIMEOUT = "timeout"
    SKIPPED = "skipped"

    @property
    def is_final(self) -> bool:
        """Whether the branch has given all that it will give."""
        return self not in {BranchStatus.PENDING, BranchStatus.RUNNING}


class ErrorCode(StrEnum):
    """Why a job or a branch failed. All but the last four say that the clip itself was rejected."""

    CLIP_UNDECODABLE = "clip_undecodable"
    CLIP_TOO_SHORT = "clip_too_short"
    CLIP_TOO_LONG = "clip_too_long"
    CLIP_TOO_LARGE = "clip_too_large"
    CONTAINER_NOT_ALLOWED = "container_not_allowed"
    CODEC_NOT_ALLOWED = "codec_not_allowed"
    NO_VIDEO = "no_video"
    CLIP_MISSING = "clip_missing"
    BRANCH_FAILED = "branch_failed"
    BRANCH_TIMEOUT = "branch_timeout"
    QUEUE_TIMEOUT = "queue_timeout"

    @property
    def rejects_clip(self) -> bool:
        """Whether another try, or the other branch, would end the same way."""
        return self not in {
            ErrorCode.CLIP_MISSING,
            ErrorCode.BRANCH_FAILED,
            ErrorCode.BRANCH_TIMEOUT,
            ErrorCode.QUEUE_TIMEOUT,
        }


class Problem(Schema):
    """What went wrong, for programs (`code`) and for people (`detail`: what happened and what to do)."""

    code: ErrorCode
    detail: str


class ClipFacts(Schema):
    """What decoding found out about the clip; headers are not believed."""

    duration_s: float
    frames: int
    fps: float
    width: int
    height: int
    container: str
    codec: str
    bytes: int
    sha256: str


class BranchReport(Schema):
    """One branch in the job document."""

    status: BranchStatus = BranchStatus.PENDING
    elapsed_ms: int | None = None
    error: Problem | None = None


class Check(Schema):
    """One verdict on the clip: `score` in [0, 1], higher is better; `detail` says what to do about it.

    `votes`, where a verdict is made of some, are the log-odds that each cue adds.
    """

    status: CheckStatus
    score: float | None = None
    reason: Reason | None = None
    detail: str | None = None
    votes: dict[str, float] | None = None


class Baseline(Schema):
    """What knowing nothing would give: the error of always answering `value`, and where that figure is from."""

    value: float
    mae: float
    source: str


class Method(Schema):
    """How a value came about."""

    name: str
    version: str
    models: list[str] = []
    frames: int | None = None


Interval = Annotated[tuple[float, float], Field(description="Lower and upper bound, at `interval_level`")]


class Measure(Schema):
    """One number of several in a vital (heart-rate variability), with a status of its own."""

    value: float | None
    unit: str | None
    status: VitalStatus
    reason: Reason | None = None
    interval: Interval | None = None
    interval_level: float | None = None

    @model_validator(mode="after")
    def _honest(self) -> Self:
        _check_honest(self.status, self.value is not None, self.reason)
        return self


class Vital(Schema):
    """One vital: a value with what it is worth, or the reason why there is none."""

    value: float | Literal["female", "male", "stress", "no_stress"] | dict[str, Measure] | None
    unit: str | None
    status: VitalStatus
    reason: Reason | None = None
    detail: str | None = None
    interval: Interval | None = None
    interval_level: float | None = None
    probability: float | None = None
    score: float | None = None
    diagnostics: dict[str, float | None] | None = None
    baseline: Baseline | None = None
    method: Method | None = None

    @model_validator(mode="after")
    def _honest(self) -> Self:
        _check_honest(self.status, self.value is not None, self.reason)
        return self

    @classmethod
    def without_value(
        cls,
        unit: str | None,
        status: VitalStatus,
        reason: Reason,
        detail: str | None = None,
        method: Method | None = None,
    ) -> Self:
        """A vital that abstains or is unavailable."""
        return cls(value=None, unit=unit, status=status, reason=reason, detail=detail, method=method)


def _check_honest(status: VitalStatus, has_value: bool, reason: Reason | None) -> None:
    """A number without a status, or silence without a reason, can't be written down."""
    gives = status in {VitalStatus.OK, VitalStatus.EXPERIMENTAL}
    if gives != has_value:
        msg = f"status {status.value} {'needs' if gives else 'forbids'} a value"
        raise ValueError(msg)
    if not gives and reason is None:
        msg = f"status {status.value} needs a reason"
        raise ValueError(msg)


class BranchOutcome(Schema):
    """All that one branch hands over when it ends; written once."""

    status: BranchStatus
    elapsed_ms: int
    error: Problem | None = None
    clip: ClipFacts | None = None
    checks: dict[str, Check] = {}
    vitals: dict[str, Vital] = {}


class Wave(Schema):
    """A sampled wave. `times_s` counts from the clip's first frame; `values` have no unit unless `unit` says more."""

    times_s: list[float]
    values: list[float]
    unit: str | None = None


class Spectrum(Schema):
    """Power over rate."""

    rates_per_min: list[float]
    power: list[float]


class Waveforms(Schema):
    """Waves and spectra behind the vitals, by vital name (`heart_rate`, `respiration_rate`)."""

    waves: dict[str, Wave] = {}
    spectra: dict[str, Spectrum] = {}


class JobDocument(Schema):
    """A job, in any state. A finished one names every vital."""

    id: str
    state: JobState
    created_at: datetime
    finished_at: datetime | None = None
    clip: ClipFacts | None = None
    branches: dict[str, BranchReport]
    checks: dict[str, Check] = {}
    vitals: dict[str, Vital] = {}
    error: Problem | None = None
    versions: dict[str, str]
    notice: str = NOTICE


class JobOptions(Schema):
    """What the submitter asked for."""

    vitals: list[str] | None = None
    retain_clip: bool = False
    webhook_url: str | None = None
