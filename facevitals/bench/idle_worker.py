"""A worker with the work taken out: everything that a job costs besides its analysis."""

import os
import time
from pathlib import Path
from typing import Final

from facevitals.bench.substitute_analyzer import abstentions, stand_in
from shared.schemas import ClipFacts
from shared.vitals import Branch, Reason
from workers.branch.result import BranchResult, Progress
from workers.tasks import app

#: Seconds that each branch sleeps in place of its work.
SLEEP_VARIABLE: Final = "FACEVITALS_BENCH_SLEEP_S"


class IdleAnalyzer:
    """Abstains from everything at once."""

    def close(self) -> None:
        """Nothing is held."""

    def branch(
        self, branch: Branch, path: Path, wanted: frozenset[str], progress: Progress
    ) -> tuple[ClipFacts, BranchResult]:
        """Read nothing but the size of the clip."""
        time.sleep(float(os.environ.get(SLEEP_VARIABLE, "0")))
        size = path.stat().st_size
        facts = ClipFacts(
            duration_s=0, frames=0, fps=0, width=0, height=0, container="", codec="", bytes=size, sha256=""
        )
        progress.stage("idling")
        return facts, BranchResult(vitals=abstentions(branch, Reason.NOT_REQUESTED, wanted))


stand_in(IdleAnalyzer, "facevitals.bench.idle_worker")

__all__ = ["app"]
