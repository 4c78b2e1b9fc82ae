"""Webhooks that are due, in the broker: they outlive every gateway, and one gateway at a time attempts each.

The end of a job lists its webhook (`shared.jobs.scripts.completion.FinishJob`); the job's record counts the attempts
and holds the document.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import redis
import structlog
from pydantic import ValidationError

from shared.jobs.keys import COUNTERS, COUNTERS_TTL_S, WEBHOOKS, record_key
from shared.jobs.scripts.webhooks import ListDueWebhooks, PostponeWebhook, PutBackWebhook, TakeWebhooks
from shared.schemas import JobDocument, JobOptions

#: A gateway that took a webhook and died loses it to another one after this many seconds. Above the longest attempt.
HOLD_S: Final = 60
#: The prefix under which `Outcome`s are counted in `shared.jobs.keys.COUNTERS`.
COUNTED: Final = "webhooks"

log = structlog.get_logger()


class Outcome(StrEnum):
    """The outcome of an attempt. All but `RETRIED` end the webhook."""

    DELIVERED = "delivered"
    #: Not accepted; there will be another attempt.
    RETRIED = "retried"
    #: Not accepted, and it was the last attempt.
    GIVEN_UP = "given_up"
    #: 410: the receiver wants no more.
    GONE = "gone"
    #: Its name resolves to an address that gateways do not call.
    REFUSED = "refused"
    #: Its key was revoked.
    UNSIGNED = "unsigned"
    #: Its job's record can't be used.
    BROKEN = "broken"


@dataclass(frozen=True)
class Webhook:
    """One webhook to attempt now; `tries` counts this attempt."""

    job_id: str
    url: str
    owner: str
    tries: int
    state: str
    finished_at: str
    document: str
    #: The same at every attempt, so that a receiver can recognise a repetition.
    message_id: str

    @property
    def body(self) -> str:
        """The body to send: the same bytes at every attempt."""
        head = f'{{"type":"job.{self.state}","timestamp":"{self.finished_at}","data":'
        return f"{head}{self.document}}}"


class Webhooks:
    """Webhooks that are due. Safe to share between threads."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis: Any = client

    def take(self, limit: int) -> list[Webhook]:
        """Take up to `limit` webhooks that are due, to attempt within `HOLD_S`; those that can't be used are ended.

        Raises:
            redis.exceptions.RedisError: the broker is away.
        """
        due = ListDueWebhooks(webhooks=WEBHOOKS, limit=limit).run(self._redis)
        if not due:
            return []
        taken, broken = TakeWebhooks(
            webhooks=WEBHOOKS, hold_s=HOLD_S, job_ids=tuple(due), records=tuple(map(record_key, due))
        ).run(self._redis)
        webhooks = []
        for job_id in taken:
            try:
                webhooks.append(self._read(job_id))
            except (ValueError, TypeError) as error:
                log.warning("webhook given up", job=job_id, why="its record can't be read", error=type(error).__name__)
                self.end(job_id, Outcome.BROKEN)
        for job_id in broken:
            log.warning("webhook given up", job=job_id, why="its record is of another kind")
            self.end(job_id, Outcome.BROKEN)
        return webhooks

    def _read(self, job_id: str) -> Webhook:
        required = ("options", "owner", "webhook_tries", "state", "finished_at", "document")
        *values, random_id = self._redis.hmget(record_key(job_id), *required, "webhook_id")
        if missing := [name for name, value in zip(required, values, strict=True) if value is None]:
            raise ValueError(f"the record lacks {', '.join(missing)}")
        options, owner, tries, state, finished_at, document = values
        url = JobOptions.read(options).webhook_url
        if not url:
            raise ValueError("the record names no webhook")
        # An older release made no id of its own: its webhooks keep theirs through an upgrade.
        message_id = f"msg_{random_id or job_id}"
        return Webhook(job_id, url, owner, int(tries), state, finished_at, _rename(document), message_id)

    def waiting(self) -> int:
        """Return the number of webhooks that are neither delivered nor given up."""
        return int(self._redis.zcard(WEBHOOKS))

    @contextmanager
    def _counting(self, outcome: Outcome) -> Iterator[Any]:
        with self._redis.pipeline() as pipe:
            yield pipe
            pipe.hincrby(COUNTERS, f"{COUNTED}:{outcome}", 1)
            pipe.expire(COUNTERS, COUNTERS_TTL_S)
            pipe.execute()

    def end(self, job_id: str, outcome: Outcome) -> None:
        """Count and end a webhook that was delivered or given up."""
        with self._counting(outcome) as pipe:
            pipe.zrem(WEBHOOKS, job_id)

    def put_back(self, job_id: str, wait_s: float) -> None:
        """Put back a webhook that was taken and not attempted: that counts as no attempt."""
        PutBackWebhook(webhooks=WEBHOOKS, record=record_key(job_id), job_id=job_id, wait_s=wait_s).run(self._redis)

    def postpone(self, job_id: str, wait_s: float) -> None:
        """Count a failed attempt and plan the next one in `wait_s`; a job deleted meanwhile stays deleted."""
        with self._counting(Outcome.RETRIED) as pipe:
            PostponeWebhook(webhooks=WEBHOOKS, job_id=job_id, wait_s=wait_s).eval(pipe)


def _rename(document: str) -> str:
    """Return a stored document with the present names of its fields: the first releases had others."""
    if '"ingredients"' not in document:
        return document
    with suppress(ValidationError):
        return JobDocument.read(document).model_dump_json()
    return document
