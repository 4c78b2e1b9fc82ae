"""A worker whose work is a short sleep, and whose result tells which clip it was made of: `facevitals bench chaos`.

Everything else about it is the real worker. A clip that holds `POISON` kills the process that opens it.
"""

import hashlib
import os
import random
import signal
import socket
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
        vitals = {
            spec.name: Vital.without_value(spec.unit, VitalStatus.ABSTAINED, Reason.NO_PULSE)
            for spec in VITALS.values()
            if spec.branch is branch and spec.name in wanted
        }
        for name, vital in vitals.items():
            progress.vital(name, vital)
        return facts, BranchResult(vitals=vitals)


def _start(settings: Settings, queues: list[str]) -> WorkerProcess:
    card = WorkerCard(id=f"{socket.gethostname()}:{os.getpid()}", queues=queues, device="cpu", models=[])
    records = JobRecords(connect(settings.redis_url), settings.result_ttl_s)
    return WorkerProcess(records, ClipStore(settings.store), SleepyAnalyzer(), card)  # type: ignore[arg-type]


WorkerProcess.start = staticmethod(_start)  # type: ignore[method-assign]
# Spawned processes import the modules of this setting, and so this one, before they load anything.
app.conf.imports = ("lab.bench.chaos_worker",)

__all__ = ["app"]
