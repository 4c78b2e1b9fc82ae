"""A job's events: appended by workers and by the end of the job, read by gateways for the clients that follow it."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import redis
from pydantic import ValidationError

from shared.jobs.keys import events_key, record_key
from shared.jobs.scripts.claim import AppendEvent
from shared.schemas import Check, Vital, VitalEvent
from shared.vitals import VITALS, Branch

#: Events and waveforms of unfinished jobs are kept for this long at least, seconds; the longest job ends sooner
#: (`Settings.batch_wait_s` has a maximum).
LIVE_TTL_S: Final = 30 * 3600


@dataclass(frozen=True)
class Event:
    """One entry of a job's stream."""

    id: str
    name: str
    #: JSON.
    data: str


class EventStream:
    """The events of one job, in order."""

    def __init__(self, client: Any, job_id: str, live_ttl_s: int) -> None:  # noqa: ANN401  (redis-py's types)
        self.job_id = job_id
        self._redis, self._live_ttl_s = client, live_ttl_s

    def after(self, last_id: str = "0") -> list[Event]:
        """Return the events after `last_id` ("0": all), in order."""
        start = "-" if last_id == "0" else f"({last_id}"
        entries = self._redis.xrange(events_key(self.job_id), min=start)
        return [
            Event(id=entry, name=fields["event"], data=_rename(fields["event"], fields["data"]))
            for entry, fields in entries
        ]

    def emit(self, name: str, data: Mapping[str, Any], *, branch: Branch | None = None) -> bool:
        """Append an event, which `branch` reports if one is given.

        Returns False where the job has ended or is gone, or the branch has its outcome: work on it may stop.
        """
        reply = AppendEvent(
            record=record_key(self.job_id),
            events=events_key(self.job_id),
            job_id=self.job_id,
            name=name,
            data=json.dumps(data),
            token=secrets.token_hex(4),
            ttl_s=self._live_ttl_s,
            branch=branch,
        ).run(self._redis)
        return bool(reply)

    def emit_stage(self, branch: Branch, stage: str, elapsed_ms: int) -> bool:
        """Report that a stage of a branch began."""
        return self.emit("stage", {"branch": branch, "stage": stage, "elapsed_ms": elapsed_ms}, branch=branch)

    def emit_vital(self, name: str, vital: Vital) -> bool:
        """Report a vital."""
        return self.emit("vital", {"name": name, "vital": vital.as_json()}, branch=VITALS[name].branch)

    def emit_check(self, branch: Branch, name: str, check: Check) -> bool:
        """Report a check on the clip."""
        return self.emit("check", {"name": name, "check": check.as_json()}, branch=branch)


class JobEvents:
    """The event streams of jobs. Safe to share between threads."""

    def __init__(self, client: redis.Redis, live_ttl_s: int) -> None:
        self._redis: Any = client
        self._live_ttl_s = live_ttl_s

    def of(self, job_id: str) -> EventStream:
        """Return the events of a job; no command is sent yet."""
        return EventStream(self._redis, job_id, self._live_ttl_s)


def _rename(name: str, data: str) -> str:
    """Return an event's data with the current names of a vital's fields, which differed in the first releases."""
    if name != "vital" or '"ingredients"' not in data:
        return data
    try:
        return VitalEvent.read(data).model_dump_json()
    except ValidationError:
        # It stays as it is: the end of the job reads all events, and must not fail because of one.
        return data
