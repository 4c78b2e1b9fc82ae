"""Celery's connection to the broker, made to bear what kombu's own does not: strangers in a queue, and a full broker.

kombu takes a message off the queue first and looks at it afterwards. What it can't read then costs the worker its
connection or its place for good; and what it can't note as taken, because the broker is at its `maxmemory`, is lost.
Here a message is read before Celery sees it, and dropped where nobody could work on it; and taking it is noted by a
script that a full broker lets through.
"""

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any, Final

import structlog
from celery.utils.dispatch import Signal
from kombu.transport import redis as kombu_redis
from kombu.transport import virtual
from redis.exceptions import OutOfMemoryError

from shared.jobs.broker_errors import troubles
from shared.jobs.celery_messages import Dropped, canonical
from shared.jobs.queues import QUEUES

#: How long a worker that starts waits for a full broker before it connects anew, seconds; it heeds no signal meanwhile.
FULL_PATIENCE_S: Final = 10.0

#: Sent with `queue` and `why` (`Dropped`) for a message that was taken and dropped.
message_dropped: Final = Signal(name="message_dropped", providing_args={"queue", "why"})

#: What kombu's reading of a message raises: no JSON, or a date, number or bytes in kombu's own form that are none.
_UNREADABLE: Final = (ValueError, TypeError, AttributeError, ArithmeticError, RecursionError)

log = structlog.get_logger()

# KEYS index messages; ARGV tag message
_NOTE_TAKEN: Final = """#!lua flags=allow-oom
redis.call('ZADD', KEYS[1], redis.call('TIME')[1], ARGV[1])
return redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
"""


def _drop(queue: str, why: Dropped) -> None:
    # What it holds is a stranger's: not for the log.
    log.warning("message dropped", queue=queue, why=why)
    message_dropped.send(sender=None, queue=queue, why=why)


class QoS(kombu_redis.QoS):
    """Messages that were taken and are not done yet."""

    def append(self, message: Any, delivery_tag: str) -> None:  # noqa: ANN401  (kombu has no types)
        """Note a message as taken, by the broker's clock, also where the broker is full."""
        channel, delivery = self.channel, message.delivery_info
        keys = [channel.global_keyprefix + key for key in (self.unacked_index_key, self.unacked_key)]
        text = json.dumps([message._raw, delivery["exchange"], delivery["routing_key"]])
        with channel.conn_or_acquire() as client:
            client.eval(_NOTE_TAKEN, 2, *keys, delivery_tag, text)
        virtual.QoS.append(self, message, delivery_tag)  # type: ignore[no-untyped-call]

    @contextlib.contextmanager
    def pipe_or_acquire(self, pipe: Any = None, client: Any = None) -> Iterator[Any]:  # noqa: ANN401
        """A pipeline for noting what is done, without MULTI: a full Redis 7.0 refuses every command after one."""
        if pipe is not None:
            yield pipe
            return
        with self.channel.conn_or_acquire(client) as acquired:
            yield acquired.pipeline(transaction=False)

    def restore_visible(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Queue again what dead workers took; beside a full broker that can wait."""
        with contextlib.suppress(OutOfMemoryError):
            super().restore_visible(*args, **kwargs)  # type: ignore[no-untyped-call]


class Channel(kombu_redis.Channel):
    """A channel that reads past what is no JSON, and connects to a full broker again."""

    QoS = QoS

    def _brpop_read(self, **options: Any) -> Any:  # noqa: ANN401
        self.connection.is_read = False
        try:
            return super()._brpop_read(**options)  # type: ignore[no-untyped-call]
        except _UNREADABLE:
            if self.connection.is_read or self.client.connection is None:
                raise
            # Taken, and not to be read. The queue that it came from was put at the end of the cycle.
            _drop(self._queue_cycle.items[-1], Dropped.MALFORMED)
            return True

    def _size(self, queue: str) -> int:
        """Messages that wait, asked without MULTI, as above: whoever connects asks for it."""
        with self.conn_or_acquire() as client:
            keys = [self._q_for_pri(queue, step) for step in self.priority_steps]  # type: ignore[no-untyped-call]
            return sum(map(client.llen, keys))

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        """Note that a queue exists; where a full broker takes no note, wait for it for a while.

        Raises:
            redis.exceptions.OutOfMemoryError: it is full still. Celery then connects anew.
        """
        end = time.monotonic() + FULL_PATIENCE_S
        while True:
            try:
                super()._queue_bind(exchange, routing_key, pattern, queue)  # type: ignore[no-untyped-call]
            except OutOfMemoryError as error:
                # A worker that has been here before finds all its notes.
                if queue in {name for _, _, name in self.get_table(exchange)}:  # type: ignore[no-untyped-call]
                    return
                troubles.warn("worker waits for the broker", error)
                if time.monotonic() >= end:
                    raise
                time.sleep(1)
            else:
                return


class Transport(kombu_redis.Transport):
    """Lets through to Celery what a worker can work on."""

    Channel = Channel
    #: Whether the message that was taken last could be read.
    is_read = False

    def _deliver(self, message: Any, queue: str) -> None:  # noqa: ANN401
        self.is_read = True
        if queue in QUEUES.values():
            message = canonical(message, queue)
            if isinstance(message, Dropped):
                _drop(queue, message)
                return
        super()._deliver(message, queue)  # type: ignore[no-untyped-call]
