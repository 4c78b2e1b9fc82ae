"""Usage by owner and day: how many jobs, and how many seconds of video. Nothing about a job or its result.

The scripts of submission and completion count (`shared.jobs.scripts`), so that a repeated command counts nothing twice.
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from shared.jobs.keys import USAGE_PREFIX, Key, usage_key

#: How long the counts of a day are kept after the last one, seconds: a month can be read in the week after it.
USAGE_TTL_S: Final = 35 * 86_400


@dataclass(frozen=True)
class DayOfUsage:
    """What an owner used on one day (UTC, by the broker's clock).

    Jobs are submitted on the day of their creation, and succeed or fail on the day of their end. `clip_s` is the length
    of the ended jobs' clips, seconds; 0 of a clip that could not be read.
    """

    day: dt.date
    owner: str
    submitted: int
    succeeded: int
    failed: int
    clip_s: float


def usage_of(owner: str, now: float) -> Key:
    """Return the key of an owner's usage on the day of `now`, seconds since the epoch."""
    return usage_key(owner, dt.datetime.fromtimestamp(now, dt.UTC).date().isoformat())


def read_usage(client: Any) -> list[DayOfUsage]:  # noqa: ANN401  (redis-py's types do not know `decode_responses`)
    """Return the usage of every owner on every day that is kept, the newest day first.

    Raises:
        redis.exceptions.RedisError: the broker is away.
    """
    return sorted(_read(client), key=lambda used: (-used.day.toordinal(), used.owner))


def _read(client: Any) -> Iterator[DayOfUsage]:  # noqa: ANN401
    for key in set(client.scan_iter(match=f"{USAGE_PREFIX}*", count=500)):
        owner, _, day = key.removeprefix(USAGE_PREFIX).rpartition(":")
        counts = {name: int(value) for name, value in client.hgetall(key).items()}
        # It may have ended between the two steps.
        if counts:
            submitted, succeeded, failed = (counts.get(name, 0) for name in ("submitted", "succeeded", "failed"))
            clip_s = counts.get("clip_ms", 0) / 1000
            yield DayOfUsage(dt.date.fromisoformat(day), owner, submitted, succeeded, failed, clip_s)
