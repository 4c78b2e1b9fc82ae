"""Workers whose analysis something else stands in for; everything else about them is the real worker."""

import os
import socket
from collections.abc import Callable
from typing import Any

from shared.clips.store import ClipStore
from shared.jobs.records import JobRecords, connect
from shared.jobs.worker_registry import WorkerCard
from shared.schemas import VITAL_TYPES, Vital, VitalStatus
from shared.settings import Settings
from shared.vitals import VITALS, Branch, Reason
from workers.job_runner.process import WorkerProcess
from workers.tasks import app


def stand_in(analyzer: Callable[[], Any], module: str) -> None:
    """Have the worker processes of `module`, which Celery is given as its application, use `analyzer()`."""

    def start(settings: Settings, queues: list[str]) -> WorkerProcess:
        card = WorkerCard(id=f"{socket.gethostname()}:{os.getpid()}", queues=queues, device="cpu", models=[])
        records = JobRecords(connect(settings.redis_url), settings.result_ttl_s)
        return WorkerProcess(records, ClipStore(settings.store), analyzer(), card, settings.job_deadline_s)

    WorkerProcess.start = staticmethod(start)  # type: ignore[method-assign]
    # Spawned processes import the modules of this setting before they load anything.
    app.conf.imports = (module,)


def abstentions(branch: Branch, reason: Reason, wanted: frozenset[str] = frozenset(VITALS)) -> dict[str, Vital]:
    """Those of the branch's vitals that are wanted, all of them abstained."""
    return {
        spec.name: VITAL_TYPES[spec.name].without_value(spec.unit, VitalStatus.ABSTAINED, reason)
        for spec in VITALS.values()
        if spec.branch is branch and spec.name in wanted
    }
