"""The job document and its parts, as every client gets them."""

from datetime import datetime
from enum import StrEnum
from typing import Final, Literal

from pydantic import Field

from shared.schemas.base import ABSENT, PartialSchema, Schema
from shared.schemas.vital_types import Vitals
from shared.vitals import Reason

#: Notice in every document.
NOTICE: Final = "Estimates for wellness and research. Not a medical device."


class JobState(StrEnum):
    """The state of a job; the last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether the document will not change any more."""
        return self in {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}


class Priority(StrEnum):
    """The class of a job: a worker takes a batch job only where no interactive one waits."""

    INTERACTIVE = "interactive"
    BATCH = "batch"


class CheckStatus(StrEnum):
    """The verdict of a check on the clip."""

    PASS = "pass"  # noqa: S105  (a verdict, not a secret)
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"


class BranchStatus(StrEnum):
    """The status of one branch. `skipped`: none of its vitals was requested."""

    PENDING = "pending"
    RUNNING = "running"
    OK = "ok"
    ERROR = "error"
    TIMEOUT = "timeout"
    SKIPPED = "skipped"

    @property
    def is_final(self) -> bool:
        """Whether the branch has ended."""
        return self not in {BranchStatus.PENDING, BranchStatus.RUNNING}


class ErrorCode(StrEnum):
    """Why a job or a branch failed. All but the last four mean that the clip itself was rejected."""

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
        """Whether another attempt, or the other branch, would end the same way."""
        return self not in {
            ErrorCode.CLIP_MISSING,
            ErrorCode.BRANCH_FAILED,
            ErrorCode.BRANCH_TIMEOUT,
            ErrorCode.QUEUE_TIMEOUT,
        }


class Problem(Schema):
    """What went wrong: `code` for programs, `detail` for people (what happened and what to do)."""

    code: ErrorCode
    detail: str


class RotationSource(StrEnum):
    """What the rotation of the frames was decided by."""

    METADATA = "metadata"
    FACE = "face"


class ClipColour(Schema):
    """The colours of the clip. `range` and `transfer` are None where the file does not state them."""

    range: Literal["limited", "full"] | None = Field(default=None, description="Range of the samples.")
    transfer: str | None = Field(default=None, description="Transfer function, such as `bt709`, `hlg` or `pq`.")
    grey: bool = Field(default=False, description="Whether the picture has no colour, as an infrared camera's.")


class IgnoredTrack(Schema):
    """A track of the file that was not analysed."""

    kind: Literal["video", "audio", "other"]
    codec: str | None = None


class ClipFacts(Schema):
    """Facts about the clip, from decoding it; its headers are not trusted."""

    duration_s: float
    frames: int
    fps: float
    width: int = Field(description="Width in square pixels of the upright picture.")
    height: int = Field(description="Height in square pixels of the upright picture.")
    container: str
    codec: str
    bytes: int
    sha256: str
    rotation: Literal[0, 90, 180, 270] = Field(
        default=0, description="Degrees clockwise by which the frames were turned upright."
    )
    rotation_source: RotationSource | None = Field(default=None, description="What decided the rotation, if any.")
    mirrored: bool = Field(default=False, description="Whether the frames were mirrored, as the metadata requires.")
    pixel_aspect: float = Field(default=1.0, description="Width of a stored pixel over its height.")
    size_changes: int = Field(default=0, description="How often the picture's size changes within the clip.")
    colour: ClipColour = ClipColour()
    device: str | None = Field(default=None, description="Make and model of the device, where the file states them.")
    encoder: str | None = Field(default=None, description="The program that wrote the file, where it states it.")
    tracks_ignored: list[IgnoredTrack] = Field(default_factory=list)


class WarningCode(StrEnum):
    """What was unusual about a clip that was analysed nevertheless."""

    ROTATED_BY_FACE = "rotated_by_face"
    MIRRORED = "mirrored"
    PIXELS_NOT_SQUARE = "pixels_not_square"
    SIZE_CHANGED = "size_changed"
    HIGH_DYNAMIC_RANGE = "high_dynamic_range"
    GREY_PICTURE = "grey_picture"
    VIDEO_TRACKS_IGNORED = "video_tracks_ignored"


class ClipWarning(Schema):
    """Something unusual about the clip: `code` for programs, `detail` for people (what it is and what to do)."""

    code: WarningCode
    detail: str


class BranchReport(Schema):
    """One branch in the job document."""

    status: BranchStatus = BranchStatus.PENDING
    elapsed_ms: int | None = None
    error: Problem | None = None


class Check(Schema):
    """One verdict on the clip: `score` in [0, 1], higher is better; `detail` explains what to do about it.

    `votes` are the log-odds that each cue adds, if the verdict is made of cues.
    """

    status: CheckStatus
    score: float | None = None
    reason: Reason | None = None
    detail: str | None = None
    votes: dict[str, float] | None = None


class Branches(Schema):
    """The two halves of the analysis; a failure of one does not affect the other."""

    vision: BranchReport
    rppg: BranchReport

    def by_name(self) -> dict[str, BranchReport]:
        """Return the reports by the names of their branches."""
        return self.fields_by_name()


class Checks(PartialSchema):
    """The checks on the clip by name. A finished job has all of them, an unfinished one none."""

    face: Check = Field(default=ABSENT)
    obstruction: Check = Field(default=ABSENT)
    liveness: Check = Field(default=ABSENT)
    lighting: Check = Field(default=ABSENT)
    motion: Check = Field(default=ABSENT)
    timing: Check = Field(default=ABSENT)

    def by_name(self) -> dict[str, Check]:
        """Return the checks that are present, by their names."""
        return self.fields_by_name()


class BranchOutcome(Schema):
    """The result of one branch, written once when it ends."""

    status: BranchStatus
    elapsed_ms: int
    error: Problem | None = None
    clip: ClipFacts | None = None
    checks: dict[str, Check] = Field(default_factory=dict)
    vitals: Vitals = Vitals()

    @property
    def report(self) -> BranchReport:
        """The outcome as the job document reports it."""
        return BranchReport(status=self.status, elapsed_ms=self.elapsed_ms, error=self.error)


class Wave(Schema):
    """A sampled wave. `times_s` counts from the clip's first frame; `values` have the unit `unit`, if any."""

    times_s: list[float]
    values: list[float]
    unit: str | None = None


class Spectrum(Schema):
    """Power over rate."""

    rates_per_min: list[float]
    power: list[float]


class Waveforms(Schema):
    """Waves and spectra of the vitals, by name (`heart_rate`, `respiration_rate`)."""

    waves: dict[str, Wave] = Field(default_factory=dict)
    spectra: dict[str, Spectrum] = Field(default_factory=dict)


class JobDocument(Schema):
    """A job, in any state. A finished job has every vital."""

    id: str
    state: JobState
    created_at: datetime
    finished_at: datetime | None = None
    expected_wait_s: float | None = Field(
        default=None,
        description="Expected seconds until all of its work has begun, by the jobs before it; only while it is queued.",
    )
    clip: ClipFacts | None = None
    warnings: list[ClipWarning] = Field(default_factory=list)
    branches: Branches
    checks: Checks = Checks()
    vitals: Vitals = Vitals()
    error: Problem | None = None
    versions: dict[str, str]
    notice: str = NOTICE


class JobOptions(Schema):
    """The options of an upload."""

    vitals: list[str] | None = None
    retain_clip: bool = False
    webhook_url: str | None = None
    priority: Priority = Priority.INTERACTIVE
