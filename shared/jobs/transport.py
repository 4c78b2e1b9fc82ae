"""Celery's connection to the broker, which survives foreign messages in a queue and a full broker.

kombu takes a message off the queue first and reads it afterwards. A message that it can't read ends the worker's
connection or takes up one of its slots for good; one that it can't store as taken, because the broker is at its
`maxmemory`, is lost. Here a message is read before Celery receives it, and dropped if no worker could process it; and a
script that a full broker still runs stores it as taken.
"""

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import structlog
from celery.utils.dispatch import Signal
from kombu.transport import redis as kombu_redis
from kombu.transport import virtual
from redis.exceptions import OutOfMemoryError

from shared.jobs.broker_errors import failure_log
from shared.jobs.celery_messages import Dropped, canonical
from shared.jobs.keys import Key
from shared.jobs.lua import Script
from shared.jobs.queues import ALL_QUEUES

#: How long a starting worker waits for a full broker before it connects anew, seconds; it handles no signal meanwhile.
FULL_PATIENCE_S: Final = 10.0

#: Sent with `queue` and `why` (`Dropped`) for a message that was taken and dropped.
message_dropped: Final = Signal(name="message_dropped", providing_args={"queue", "why"})

#: Raised by kombu for a message that is not JSON, or whose dates, numbers or bytes in kombu's own form are invalid.
_UNREADABLE: Final = (ValueError, TypeError, AttributeError, ArithmeticError, RecursionError)

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class MarkTaken(Script[int]):
    """Store a message as taken and not yet done, where kombu looks for it, by the broker's clock."""

    allow_oom: ClassVar[bool] = True
    source: ClassVar[str] = """
redis.call('ZADD', unacked_index, redis.call('TIME')[1], tag)
return redis.call('HSET', unacked, tag, message)
"""

    unacked_index: Key
    unacked: Key
    tag: str
    message: str


def _drop(queue: str, why: Dropped) -> None:
    # Its content comes from another program: it is not logged.
    log.warning("message dropped", queue=queue, why=why)
    message_dropped.send(sender=None, queue=queue, why=why)


class QoS(kombu_redis.QoS):
    """Messages that were taken and are not yet done."""

    def append(self, message: Any, delivery_tag: str) -> None:  # noqa: ANN401  (kombu has no types)
        """Store a message as taken, by the broker's clock, also where the broker is full."""
        channel, delivery = self.channel, message.delivery_info
        mark = MarkTaken(
            unacked_index=Key(channel.global_keyprefix + self.unacked_index_key),
            unacked=Key(channel.global_keyprefix + self.unacked_key),
            tag=delivery_tag,
            message=json.dumps([message._raw, delivery["exchange"], delivery["routing_key"]]),
        )
        with channel.conn_or_acquire() as client:
            mark.eval(client)
        virtual.QoS.append(self, message, delivery_tag)  # type: ignore[no-untyped-call]

    @contextlib.contextmanager
    def pipe_or_acquire(self, pipe: Any = None, client: Any = None) -> Iterator[Any]:  # noqa: ANN401
        """Yield a pipeline without MULTI, after which a full Redis 7.0 refuses every command."""
        if pipe is not None:
            yield pipe
            return
        with self.channel.conn_or_acquire(client) as acquired:
            yield acquired.pipeline(transaction=False)

    def restore_visible(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Queue again what dead workers took; while the broker is full, that can wait."""
        with contextlib.suppress(OutOfMemoryError):
            super().restore_visible(*args, **kwargs)  # type: ignore[no-untyped-call]


class Channel(kombu_redis.Channel):
    """A channel that skips what is not JSON, and connects to a full broker again."""

    QoS = QoS

    def _brpop_read(self, **options: Any) -> Any:  # noqa: ANN401
        self.connection.is_read = False
        try:
            return super()._brpop_read(**options)  # type: ignore[no-untyped-call]
        except _UNREADABLE:
            if self.connection.is_read or self.client.connection is None:
                raise
            # Taken and unreadable. The queue that it came from was moved to the end of the cycle.
            _drop(self._queue_cycle.items[-1], Dropped.MALFORMED)
            return True

    def _size(self, queue: str) -> int:
        """Count the messages that wait, without MULTI, as above: each connection starts with it."""
        with self.conn_or_acquire() as client:
            keys = [self._q_for_pri(queue, step) for step in self.priority_steps]  # type: ignore[no-untyped-call]
            return sum(map(client.llen, keys))

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        """Register a queue; where a full broker refuses, wait for a while.

        Raises:
            redis.exceptions.OutOfMemoryError: the broker is still full. Celery then connects anew.
        """
        end = time.monotonic() + FULL_PATIENCE_S
        while True:
            try:
                super()._queue_bind(exchange, routing_key, pattern, queue)  # type: ignore[no-untyped-call]
            except OutOfMemoryError as error:
                # Another worker has registered it before.
                if queue in {name for _, _, name in self.get_table(exchange)}:  # type: ignore[no-untyped-call]
                    return
                failure_log.warn("worker waits for the broker", error)
                if time.monotonic() >= end:
                    raise
                time.sleep(1)
            else:
                return


class Transport(kombu_redis.Transport):
    """Passes to Celery what a worker can work on."""

    Channel = Channel
    #: Whether the last message could be read.
    is_read = False

    def _deliver(self, message: Any, queue: str) -> None:  # noqa: ANN401
        self.is_read = True
        if queue in ALL_QUEUES:
            message = canonical(message, queue)
            if isinstance(message, Dropped):
                _drop(queue, message)
                return
        super()._deliver(message, queue)  # type: ignore[no-untyped-call]
