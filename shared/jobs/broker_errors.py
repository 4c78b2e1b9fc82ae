"""What is wrong where the broker fails: away, full, or refusing; and a log line of it once a minute at most."""

import threading
import time
from enum import StrEnum
from typing import Any, Final

import redis
import structlog
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

#: One kind of trouble in one place is logged this often at most, seconds.
LOG_EVERY_S: Final = 60.0

log = structlog.get_logger()


class Trouble(StrEnum):
    """Why the broker did not do what it was told to."""

    #: It can't be reached, or is still loading its data.
    AWAY = "away"
    #: It is at its `maxmemory`: it reads and erases, and takes nothing new.
    FULL = "full"
    #: It answers, and refuses: a wrong password, a command that is not allowed, a replica, data of another type.
    REFUSED = "refused"


#: Errors after which the same command may succeed in a while, with nobody's help or an operator's.
PASSING: Final = (redis.ConnectionError, redis.TimeoutError, redis.OutOfMemoryError, redis.ReadOnlyError)


def trouble_of(error: BaseException) -> Trouble:
    """The kind of trouble that an error of the broker's client stands for."""
    if isinstance(error, redis.OutOfMemoryError):
        return Trouble.FULL
    # A wrong password is a kind of ConnectionError to redis-py, but waiting does not mend it.
    if isinstance(error, redis.AuthenticationError):
        return Trouble.REFUSED
    if isinstance(error, redis.ConnectionError | redis.TimeoutError | OperationalError):
        return Trouble.AWAY
    return Trouble.REFUSED if isinstance(error, RedisError) else Trouble.AWAY


class TroubleLog:
    """Logs what goes wrong again and again once in `every_s`, with the number of times that it was not logged since."""

    def __init__(self, every_s: float = LOG_EVERY_S) -> None:
        self._every_s = every_s
        self._lock = threading.Lock()
        self._logged_at: dict[tuple[str, ...], float] = {}
        self._silent: dict[tuple[str, ...], int] = {}

    def due(self, *what: str) -> dict[str, int] | None:
        """None where `what` was logged a moment ago; else what the line should add: how often it was not."""
        now = time.monotonic()
        with self._lock:
            if now - self._logged_at.get(what, -self._every_s) < self._every_s:
                self._silent[what] = self._silent.get(what, 0) + 1
                return None
            self._logged_at[what] = now
            repeated = self._silent.pop(what, 0)
        return {"repeated": repeated} if repeated else {}

    def warn(self, event: str, error: BaseException, **about: Any) -> None:  # noqa: ANN401  (structlog's own type)
        """Log `event` with the kind of the broker's trouble, unless it was logged a moment ago."""
        kind = trouble_of(error)
        more = self.due(event, kind)
        if more is not None:
            log.warning(event, broker=kind, error=f"{type(error).__name__}: {error}"[:300], **about, **more)


#: This process's log of the broker's troubles.
troubles: Final = TroubleLog()
