"""The result of a branch and its progress callbacks, used by the queue's tasks and by `facevitals analyze`."""

from dataclasses import dataclass, field

from shared.clips.rejection import ClipRejected
from shared.schemas import Check, Vital, Waveforms

__all__ = ["BranchResult", "ClipRejected", "Progress"]


class Progress:
    """Callbacks for stages, checks and vitals as they become known. Those of the base class do nothing."""

    def stage(self, name: str) -> None:
        """Called when a stage begins: decoding, tracking, estimating, …"""

    def vital(self, name: str, vital: Vital) -> None:
        """Called when a vital is known."""

    def check(self, name: str, check: Check) -> None:
        """Called when a check on the clip is known."""


@dataclass(frozen=True)
class BranchResult:
    """Checks and vitals by name, and the waveforms from which the vitals were computed."""

    checks: dict[str, Check] = field(default_factory=dict)
    vitals: dict[str, Vital] = field(default_factory=dict)
    waveforms: Waveforms | None = None
