"""The jobs that the broker holds, for operators: whose they are, in which state, and what failed."""

import datetime as dt
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final

from shared.ids import is_id
from shared.jobs.keys import record_key
from shared.jobs.records import created_at
from shared.schemas import JobDocument, JobState

#: Records that are read in one round trip.
_BATCH: Final = 500


@dataclass(frozen=True)
class ListedJob:
    """A job without its results; `owner` is that of its record, as `shared.access.api_keys` names owners."""

    id: str
    state: JobState
    created_at: dt.datetime
    owner: str


def list_jobs(
    client: Any,  # noqa: ANN401  (redis-py's types do not know `decode_responses`)
    *,
    owner: str | None = None,
    states: Collection[JobState] = tuple(JobState),
) -> list[ListedJob]:
    """Return the jobs of an owner, or of all, in these states, the newest first."""
    ids = list(_ids(client))
    found = [job for first in range(0, len(ids), _BATCH) for job in _read(client, ids[first : first + _BATCH])]
    chosen = [job for job in found if job.state in states and owner in {None, job.owner}]
    return sorted(chosen, key=lambda job: job.created_at, reverse=True)


def _ids(client: Any) -> Iterator[str]:  # noqa: ANN401
    """Ids of every record; the keys beside them, of events and waveforms, have longer names."""
    prefix = record_key("")
    for key in client.scan_iter(match=f"{prefix}*", count=_BATCH):
        job_id = key.removeprefix(prefix)
        if is_id(job_id):
            yield job_id


def _read(client: Any, ids: Collection[str]) -> Iterator[ListedJob]:  # noqa: ANN401
    with client.pipeline(transaction=False) as pipe:
        for job_id in ids:
            pipe.hmget(record_key(job_id), "state", "created", "created_at", "owner")
        replies = pipe.execute()
    for job_id, (name, created, stated, owner) in zip(ids, replies, strict=True):
        # A record may end between the two steps.
        if name is None:
            continue
        times = {field: value for field, value in (("created", created), ("created_at", stated)) if value}
        yield ListedJob(job_id, JobState(name), created_at(times), owner or "")


def error_of(client: Any, job: ListedJob) -> str | None:  # noqa: ANN401
    """Return the code of what failed, for a job that failed. It reads the whole document."""
    text = client.hget(record_key(job.id), "document") if job.state is JobState.FAILED else None
    error = JobDocument.read(text).error if text else None
    return str(error.code) if error else None
