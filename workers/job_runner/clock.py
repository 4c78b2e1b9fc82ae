"""This machine's clock compared with the broker's: logs, traces and Celery's bookkeeping use the machine's."""

import time
from typing import Final

import structlog

from shared.jobs.job_store import JobStore

#: A worker whose clock is off by more than this does not start, seconds.
MAX_SKEW_S: Final = 5.0
#: A running worker whose clock has gone wrong logs it this often, seconds.
WARN_EVERY_S: Final = 60.0

log = structlog.get_logger()


class ClockSkewError(Exception):
    """This machine's clock is off; the message contains by how much and what to do."""


class _Warned:
    at = -WARN_EVERY_S


def skew_s(jobs: JobStore) -> float:
    """Return the seconds by which this machine's clock is ahead of the broker's, at least; negative: behind.

    A broker that was away for a while answers late, and its time may be that of any moment between the request and the
    answer: 0 where one of these moments agrees.

    Raises:
        redis.exceptions.RedisError: the broker is away.
    """
    before = time.time()
    broker = jobs.now()
    return max(before - broker, 0.0) + min(time.time() - broker, 0.0)


def check_clock(jobs: JobStore) -> None:
    """Check that this machine's clock is near the broker's.

    Raises:
        ClockSkewError: it is not.
        redis.exceptions.RedisError: the broker is away.
    """
    if abs(skew := skew_s(jobs)) > MAX_SKEW_S:
        way = "ahead of" if skew > 0 else "behind"
        raise ClockSkewError(
            f"This machine's clock is {abs(skew):.0f} s {way} the broker's, which is more than {MAX_SKEW_S:.0f} s. "
            "Set both by NTP (timedatectl set-ntp true) and start the worker again."
        )


def warn_of_skew(jobs: JobStore) -> None:
    """Log a clock that has gone wrong while the worker runs, once a minute.

    Raises:
        redis.exceptions.RedisError: the broker is away.
    """
    try:
        check_clock(jobs)
    except ClockSkewError as error:
        if (now := time.monotonic()) - _Warned.at >= WARN_EVERY_S:
            _Warned.at = now
            log.error("clock is off", why=str(error))
