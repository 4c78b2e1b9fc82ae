"""What a branch gives back, and how it tells what it is doing. Shared by the queue's tasks and by `analyze`."""

from dataclasses import dataclass, field

from shared.clips.rejection import ClipRejected
from shared.schemas import Check, Vital, Waveforms

__all__ = ["BranchResult", "ClipRejected", "Progress"]


class Progress:
    """Told at each stage and at each vital as it is known. The base class listens to nothing."""

    def stage(self, name: str) -> None:
        """A stage began: decoding, tracking, estimating, …"""

    def vital(self, name: str, vital: Vital) -> None:
        """A vital is known."""

    def check(self, name: str, check: Check) -> None:
        """A check on the clip is known."""


@dataclass(frozen=True)
class BranchResult:
    """Checks and vitals by name, and the waves behind them."""

    checks: dict[str, Check] = field(default_factory=dict)
    vitals: dict[str, Vital] = field(default_factory=dict)
    waveforms: Waveforms | None = None
