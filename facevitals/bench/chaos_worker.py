"""A worker that sleeps instead of analysing, and returns the clip's hash: for `facevitals bench chaos`.

Everything else is the real worker. A clip that contains `POISON` kills the process that opens it.
"""

import hashlib
import os
import random
import signal
import time
from pathlib import Path

from facevitals.bench.substitute_analyzer import abstentions, substitute_analyzer
from facevitals.bench.worker_variables import POISON, SLEEP_VARIABLE, TRIES_VARIABLE
from shared.schemas import ClipFacts
from shared.vitals import Branch, Reason, Stage
from workers.branch.result import BranchResult, Progress
from workers.tasks import app


class SleepingAnalyzer:
    """Replaces `workers.analyzer.Analyzer`."""

    def close(self) -> None:
        """Do nothing: no resource is open."""

    def branch(
        self, branch: Branch, path: Path, requested: frozenset[str], progress: Progress
    ) -> tuple[ClipFacts, BranchResult]:
        """Read the clip, sleep, and abstain from every requested vital."""
        content = path.read_bytes()
        with (Path(os.environ[TRIES_VARIABLE]) / f"{path.name}.{branch}").open("ab") as tries:
            tries.write(b".")
        progress.stage(Stage.ESTIMATING)
        longest = float(os.environ.get(SLEEP_VARIABLE, "1"))
        time.sleep(random.uniform(0.1 * longest, longest))
        if POISON in content:
            os.kill(os.getpid(), signal.SIGKILL)
        sha256 = hashlib.sha256(content).hexdigest()
        facts = ClipFacts(
            duration_s=0, frames=0, fps=0, width=0, height=0, container="", codec="", bytes=len(content), sha256=sha256
        )
        vitals = abstentions(branch, Reason.NO_PULSE, requested)
        for name, vital in vitals.items():
            progress.vital(name, vital)
        return facts, BranchResult(vitals=vitals)


substitute_analyzer(SleepingAnalyzer, "facevitals.bench.chaos_worker")

__all__ = ["app"]
