"""A worker of a later release: it writes fields, events and checks that this release does not know."""

import dataclasses
import json
from typing import Any

from shared.jobs.events import EventStream
from shared.jobs.lua import Script
from shared.jobs.outcomes import BranchOutcomes, Written
from shared.jobs.scripts.completion import WriteOutcome
from shared.schemas import BranchOutcome, Waveforms
from shared.vitals import Branch
from tests.service import faulty_worker
from workers.tasks import app

_run, _write = Script.run, BranchOutcomes.write


def _run_as_the_next_release(script: Script[Any], client: Any) -> Any:  # noqa: ANN401
    if isinstance(script, WriteOutcome):
        outcome = json.loads(script.outcome)
        outcome |= {
            "seen_by": "the next release",
            "checks": {**outcome["checks"], "posture": {"status": "pass", "detail": "-"}},
        }
        for vital in outcome["vitals"].values():
            vital["confidence"] = 0.5
        script = dataclasses.replace(script, outcome=json.dumps(outcome))
    return _run(script, client)


def _emit_and_write(
    self: BranchOutcomes,
    job_id: str,
    branch: Branch,
    outcome: BranchOutcome,
    waveforms: Waveforms | None = None,
    *,
    only_waiting: bool = False,
) -> Written:
    EventStream(self._redis, job_id, 3600).emit("rumour", {"branch": branch})
    return _write(self, job_id, branch, outcome, waveforms, only_waiting=only_waiting)


Script.run = _run_as_the_next_release  # type: ignore[method-assign, assignment]
BranchOutcomes.write = _emit_and_write  # type: ignore[method-assign]
app.conf.imports = ("tests.service.next_release_worker",)

__all__ = ["app", "faulty_worker"]
