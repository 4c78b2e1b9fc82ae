"""Failures of the broker: their kind, a log line of each once a minute at most, and waiting for them to pass."""

import threading
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final, TypeVar

import redis
import structlog
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

#: A kind of failure in one place is logged at most this often, seconds.
LOG_EVERY_S: Final = 60.0
#: A worker keeps its results, and the message that it took, while the broker is away for this long, seconds.
PATIENCE_S: Final = 30.0

log = structlog.get_logger()

T = TypeVar("T")


class FailureKind(StrEnum):
    """Why the broker did not do what was requested."""

    #: It can't be reached, or is still loading its data.
    AWAY = "away"
    #: It is at its `maxmemory`: it reads and erases, and stores nothing new.
    FULL = "full"
    #: It answers, and refuses: a wrong password, a command that is not allowed, a replica, data of another type.
    REFUSED = "refused"


#: Errors after which the same command may succeed later, by itself or once an operator has acted.
PASSING: Final = (redis.ConnectionError, redis.TimeoutError, redis.OutOfMemoryError, redis.ReadOnlyError)


def failure_kind(error: BaseException) -> FailureKind:
    """Return the kind of failure behind an error of the broker's client."""
    if isinstance(error, redis.OutOfMemoryError):
        return FailureKind.FULL
    # A wrong password is a kind of ConnectionError to redis-py, but waiting does not help.
    if isinstance(error, redis.AuthenticationError):
        return FailureKind.REFUSED
    if isinstance(error, redis.ConnectionError | redis.TimeoutError | OperationalError):
        return FailureKind.AWAY
    return FailureKind.REFUSED if isinstance(error, RedisError) else FailureKind.AWAY


class FailureLog:
    """Logs a repeated failure once in `every_s` seconds, with the number of repetitions that were not logged."""

    def __init__(self, every_s: float = LOG_EVERY_S) -> None:
        self._every_s = every_s
        self._lock = threading.Lock()
        self._logged_at: dict[tuple[str, ...], float] = {}
        self._silent: dict[tuple[str, ...], int] = {}

    def due(self, *what: str) -> dict[str, int] | None:
        """Return None where `what` was logged a moment ago; else fields for the line: the repetitions not logged."""
        now = time.monotonic()
        with self._lock:
            if now - self._logged_at.get(what, -self._every_s) < self._every_s:
                self._silent[what] = self._silent.get(what, 0) + 1
                return None
            self._logged_at[what] = now
            repeated = self._silent.pop(what, 0)
        return {"repeated": repeated} if repeated else {}

    def warn(self, event: str, error: BaseException, **about: Any) -> None:  # noqa: ANN401  (structlog's own type)
        """Log `event` with the kind of failure, unless it was logged a moment ago."""
        kind = failure_kind(error)
        more = self.due(event, kind)
        if more is not None:
            log.warning(event, broker=kind, error=f"{type(error).__name__}: {error}"[:300], **about, **more)


#: This process's log of failures of the broker.
failure_log: Final = FailureLog()


def retry_passing_failures(command: Callable[[], T]) -> T:
    """Run a command of a worker, and repeat it while the broker is away or full.

    Raises:
        redis.exceptions.RedisError: it still is after `PATIENCE_S`, or it refuses.
    """
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            return command()
        except PASSING as error:
            failure_log.warn("worker waits for the broker", error)
            if time.monotonic() >= end:
                raise
            time.sleep(0.5)
