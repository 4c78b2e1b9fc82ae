"""A job's stream of events as server-sent events."""

import re
import time
from collections.abc import AsyncIterator
from typing import Final

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from redis.exceptions import RedisError
from starlette.concurrency import run_in_threadpool

from api.gateway import Gateway
from api.hub import wait_for

#: A comment is sent after this much silence, so that proxies keep the connection; and we look ourselves, should the
#: hub have missed something. Looking every 5 s took a thousand silent clients 13 % of a core.
PING_S: Final = 15.0

_STREAM_ID = re.compile(r"^\d{1,20}-\d{1,20}$")


def resume_point(last_event_id: str | None) -> str:
    """Where to go on: after the event that the client saw last, else from the first."""
    if last_event_id and _STREAM_ID.fullmatch(last_event_id):
        milliseconds, sequence = last_event_id.split("-")
        if int(milliseconds) < 2**63 and int(sequence) < 2**63:
            return last_event_id
    return "0"


async def follow(gateway: Gateway, job_id: str, after: str) -> AsyncIterator[bytes]:
    """Events after `after` until `done`; a job that is deleted meanwhile ends with `done` too."""
    silent_since = time.monotonic()
    with gateway.hub.watching(job_id) as changed:
        while True:
            changed.clear()
            try:
                entries = await run_in_threadpool(gateway.records.events_after, job_id, after)
                gone = not entries and not await run_in_threadpool(
                    gateway.records.redis.exists, gateway.records.key(job_id)
                )
            except RedisError:
                # The broker is away: the client keeps its connection, and we look again.
                entries, gone = [], False
            for entry in entries:
                after = entry.id
                yield format_sse_event(data_str=entry.data, event=entry.name, id=entry.id)
                if entry.name == "done":
                    return
            if gone:
                yield format_sse_event(data_str='{"state":"cancelled"}', event="done")
                return
            if entries:
                silent_since = time.monotonic()
            elif time.monotonic() - silent_since >= PING_S:
                silent_since = time.monotonic()
                yield KEEPALIVE_COMMENT
            await wait_for(changed, PING_S)
