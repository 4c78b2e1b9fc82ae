"""A job's stream of events as server-sent events."""

import re
import time
from collections.abc import AsyncIterator
from typing import Final

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from pydantic import ValidationError
from redis.exceptions import RedisError
from starlette.concurrency import run_in_threadpool

from api.dependencies import Gateway
from api.job_notifier import wait_for
from shared.jobs.events import Event
from shared.schemas import EVENTS, DoneEvent, JobState

#: After this long without an event, a comment is sent so that proxies keep the connection, and the stream is read again
#: in case a wake-up was lost. Reading every 5 s cost 13 % of a core for a thousand idle clients.
PING_S: Final = 15.0

_STREAM_ID = re.compile(r"^\d{1,20}-\d{1,20}$")


def resume_point(last_event_id: str | None) -> str:
    """Return the id after which to continue: the client's last event, or "0" for all events."""
    if last_event_id and _STREAM_ID.fullmatch(last_event_id):
        milliseconds, sequence = last_event_id.split("-")
        if int(milliseconds) < 2**63 and int(sequence) < 2**63:
            return last_event_id
    return "0"


def event_data(event: Event) -> str | None:
    """Return the data of an event as JSON of its schema; None for an unknown event of another release."""
    schema = EVENTS.get(event.name)
    try:
        return schema.read(event.data).model_dump_json() if schema else None
    except ValidationError:
        return None


async def follow(gateway: Gateway, job_id: str, after: str) -> AsyncIterator[bytes]:
    """Yield the events after `after` until `done`. A job that is deleted meanwhile ends with `done` as well."""
    silent_since, stream = time.monotonic(), gateway.jobs.events.of(job_id)
    with gateway.notifier.watching(job_id) as changed:
        while True:
            changed.clear()
            try:
                entries = await run_in_threadpool(stream.after, after)
                gone = not entries and not await run_in_threadpool(gateway.records.exists, job_id)
            except RedisError:
                # The broker is away: keep the connection and try again.
                entries, gone = [], False
            for entry in entries:
                after = entry.id
                if (data := event_data(entry)) is not None:
                    yield format_sse_event(data_str=data, event=entry.name, id=entry.id)
                if entry.name == "done":
                    return
            if gone:
                cancelled = DoneEvent(state=JobState.CANCELLED)
                yield format_sse_event(data_str=cancelled.model_dump_json(), event="done")
                return
            if entries:
                silent_since = time.monotonic()
            elif time.monotonic() - silent_since >= PING_S:
                silent_since = time.monotonic()
                yield KEEPALIVE_COMMENT
            await wait_for(changed, PING_S)
