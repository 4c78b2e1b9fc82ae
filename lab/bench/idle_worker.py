"""A worker with the work taken out: everything that a job costs besides its analysis."""

import os
import time
from pathlib import Path
from typing import Final

from shared.records import JobRecords, connect
from shared.schemas import ClipFacts, Vital, VitalStatus
from shared.settings import Settings
from shared.store import ClipStore
from shared.vitals import VITALS, Branch, Reason
from shared.workers import WorkerCard
from workers.app import app
from workers.branch import BranchResult, Progress
from workers.process import WorkerProcess

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
        vitals = {
            spec.name: Vital.without_value(spec.unit, VitalStatus.ABSTAINED, Reason.NOT_REQUESTED)
            for spec in VITALS.values()
            if spec.branch is branch and spec.name in wanted
        }
        return facts, BranchResult(vitals=vitals)


def _start(settings: Settings, queues: list[str]) -> WorkerProcess:
    card = WorkerCard(id=f"idle:{os.getpid()}", queues=queues, device="cpu", models=[])
    records = JobRecords(connect(settings.redis_url), settings.result_ttl_s)
    return WorkerProcess(records, ClipStore(settings.store), IdleAnalyzer(), card)  # type: ignore[arg-type]


WorkerProcess.start = staticmethod(_start)  # type: ignore[method-assign]
# Spawned processes import the modules of this setting, and so this one, before they load anything.
app.conf.imports = ("lab.bench.idle_worker",)

__all__ = ["app"]
