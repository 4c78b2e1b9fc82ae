"""A worker whose work is a short sleep, and whose result tells which clip it was made of: `facevitals bench chaos`.

Everything else about it is the real worker. A clip that holds `POISON` kills the process that opens it.
"""

import hashlib
import os
import random
import signal
import time
from pathlib import Path
from typing import Final

from facevitals.bench.substitute_analyzer import abstentions, stand_in
from shared.schemas import ClipFacts
from shared.vitals import Branch, Reason
from workers.branch.result import BranchResult, Progress
from workers.tasks import app

#: Seconds of the longest sleep; the shortest is a tenth of it.
SLEEP_VARIABLE: Final = "FACEVITALS_BENCH_SLEEP_S"
#: Folder in which every try of a branch leaves a byte.
TRIES_VARIABLE: Final = "FACEVITALS_BENCH_TRIES"
POISON: Final = b"POISON"


class SleepyAnalyzer:
    """Takes the place of `Analyzer`."""

    def close(self) -> None:
        """Nothing is held."""

    def branch(
        self, branch: Branch, path: Path, wanted: frozenset[str], progress: Progress
    ) -> tuple[ClipFacts, BranchResult]:
        """Read the clip, sleep, abstain from every vital."""
        content = path.read_bytes()
        with (Path(os.environ[TRIES_VARIABLE]) / f"{path.name}.{branch}").open("ab") as tries:
            tries.write(b".")
        progress.stage("sleeping")
        longest = float(os.environ.get(SLEEP_VARIABLE, "1"))
        time.sleep(random.uniform(0.1 * longest, longest))
        if POISON in content:
            os.kill(os.getpid(), signal.SIGKILL)
        sha256 = hashlib.sha256(content).hexdigest()
        facts = ClipFacts(
            duration_s=0, frames=0, fps=0, width=0, height=0, container="", codec="", bytes=len(content), sha256=sha256
        )
        vitals = abstentions(branch, Reason.NO_PULSE, wanted)
        for name, vital in vitals.items():
            progress.vital(name, vital)
        return facts, BranchResult(vitals=vitals)


stand_in(SleepyAnalyzer, "facevitals.bench.chaos_worker")

__all__ = ["app"]
