"""The connection to the broker, and its clock."""

from typing import Any

import redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry


def connect(url: str) -> redis.Redis:
    """Return a client that waits out a broker's restart of a few seconds."""
    return redis.Redis.from_url(
        url,
        decode_responses=True,
        # Another program may have put any bytes into a queue: they are no text, and no error.
        encoding_errors="replace",
        socket_connect_timeout=2,
        socket_timeout=10,
        socket_keepalive=True,
        health_check_interval=15,
        retry=Retry(ExponentialWithJitterBackoff(cap=1.0, base=0.05), 6),
        retry_on_error=[redis.ConnectionError, redis.TimeoutError],
    )


def broker_time(client: Any) -> float:  # noqa: ANN401  (redis-py's types do not know `decode_responses`)
    """Return the broker's time, seconds since the epoch.

    Raises:
        redis.exceptions.RedisError: the broker is away.
    """
    seconds, microseconds = client.time()
    return float(seconds + microseconds / 1e6)
