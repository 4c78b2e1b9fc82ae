"""Real workers with a substitute for the analyzer, for load and chaos measurements and for tests."""

import os
import socket
from collections.abc import Callable
from typing import Any

from shared.clips.store import ClipStore
from shared.jobs.job_store import JobStore
from shared.jobs.worker_registry import WorkerCard
from shared.schemas import VITAL_TYPES, Vital, VitalStatus
from shared.settings import Settings
from shared.vitals import VITALS, Branch, Reason
from workers.job_runner.process import WorkerProcess
from workers.tasks import app


def substitute_analyzer(analyzer: Callable[[], Any], module: str) -> None:
    """Have the worker processes of the Celery application `module` use `analyzer()` instead of `Analyzer`."""

    def start(settings: Settings, queues: list[str]) -> WorkerProcess:
        card = WorkerCard(id=f"{socket.gethostname()}:{os.getpid()}", queues=queues, device="cpu", models=[])
        jobs = JobStore.connect(settings.redis_url, settings.result_ttl_s)
        return WorkerProcess(jobs, ClipStore(settings.store), analyzer(), card, settings.job_deadline_s)

    WorkerProcess.start = staticmethod(start)  # type: ignore[method-assign]
    # Spawned processes import the modules of this setting before they load anything.
    app.conf.imports = (module,)


def abstentions(branch: Branch, reason: Reason, requested: frozenset[str] = frozenset(VITALS)) -> dict[str, Vital]:
    """The branch's requested vitals, each abstained for `reason`."""
    return {
        spec.name: VITAL_TYPES[spec.name].without_value(spec.unit, VitalStatus.ABSTAINED, reason)
        for spec in VITALS.values()
        if spec.branch is branch and spec.name in requested
    }
