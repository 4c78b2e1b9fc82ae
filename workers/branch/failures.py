"""Outcome of a branch that ended with an exception, for the service and for `facevitals analyze` alike."""

from billiard.exceptions import SoftTimeLimitExceeded

from shared.clips.store import ClipMissingError, StoreUnavailableError
from shared.jobs.assembly import failed_outcome
from shared.schemas import BranchOutcome, BranchStatus, ErrorCode
from shared.vitals import Branch
from workers.branch.result import ClipRejected

_MISSING = "The clip could not be read from the store. Submit it again."
# The limit counts wall time: a busy server exceeds it as well as an expensive clip.
_TOO_SLOW = (
    "The analysis took longer than the operator allows: the clip is expensive to analyse, or the server is busy. "
    "Submit it again; if it fails again, contact the operator."
)


def outcome_of_exception(
    error: Exception, branch: Branch, elapsed_ms: int, *, log_reference: str | None = None
) -> BranchOutcome:
    """Return the outcome of a branch that failed with `error` after `elapsed_ms` milliseconds.

    Of an unexpected exception only the type is reported: its message could quote the clip's content.
    """
    match error:
        case ClipRejected():
            return failed_outcome(BranchStatus.ERROR, error.code, error.detail, elapsed_ms)
        case ClipMissingError() | StoreUnavailableError():
            return failed_outcome(BranchStatus.ERROR, ErrorCode.CLIP_MISSING, _MISSING, elapsed_ms)
        case SoftTimeLimitExceeded():
            return failed_outcome(BranchStatus.TIMEOUT, ErrorCode.BRANCH_TIMEOUT, _TOO_SLOW, elapsed_ms)
    reference = f", log reference {log_reference}" if log_reference else ""
    detail = f"The {branch} branch failed on this clip ({type(error).__name__}{reference})."
    return failed_outcome(BranchStatus.ERROR, ErrorCode.BRANCH_FAILED, detail, elapsed_ms)
