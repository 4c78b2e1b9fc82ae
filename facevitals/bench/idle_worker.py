"""A worker that sleeps instead of analysing, to measure the other costs of a job."""

import os
import time
from pathlib import Path

from facevitals.bench.substitute_analyzer import abstentions, substitute_analyzer
from facevitals.bench.worker_variables import SLEEP_VARIABLE
from shared.schemas import ClipFacts
from shared.vitals import Branch, Reason, Stage
from workers.branch.result import BranchResult, Progress
from workers.tasks import app


class IdleAnalyzer:
    """Replaces `workers.analyzer.Analyzer`; abstains from every vital."""

    def close(self) -> None:
        """Do nothing: no resource is open."""

    def branch(
        self, branch: Branch, path: Path, requested: frozenset[str], progress: Progress
    ) -> tuple[ClipFacts, BranchResult]:
        """Read only the clip's size, sleep, and abstain from every requested vital."""
        time.sleep(float(os.environ.get(SLEEP_VARIABLE, "0")))
        size = path.stat().st_size
        facts = ClipFacts(
            duration_s=0, frames=0, fps=0, width=0, height=0, container="", codec="", bytes=size, sha256=""
        )
        progress.stage(Stage.ESTIMATING)
        return facts, BranchResult(vitals=abstentions(branch, Reason.NOT_REQUESTED, requested))


substitute_analyzer(IdleAnalyzer, "facevitals.bench.idle_worker")

__all__ = ["app"]
