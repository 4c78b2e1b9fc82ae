"""`python -m workers.alive`: exit 0 if a worker on this machine is healthy, for container health checks.

It is healthy if its consumer answers through the broker (a process that exists may have lost its connection) and one
of its processes has loaded its models. A busy worker answers too.
"""

import socket
import sys
from typing import Final

import redis

from shared.jobs.queues import make_celery
from shared.jobs.worker_registry import worker_cards
from shared.settings import Settings, settings

#: How long the broker and the consumer have to answer, seconds.
ANSWER_S: Final = 3.0


def health_problem(config: Settings, host: str) -> str | None:
    """Return what is wrong with the worker on `host`, or None."""
    try:
        # No retries: the caller has its own, and a timeout.
        limits = {"socket_connect_timeout": ANSWER_S, "socket_timeout": ANSWER_S}
        with redis.Redis.from_url(config.redis_url, decode_responses=True, retry=None, **limits) as client:
            cards = worker_cards(client)
    except (redis.RedisError, OSError, ValueError) as error:
        return f"the broker cannot be reached: {error}"
    if not any(card.id.partition(":")[0] == host for card in cards):
        return "no process of this worker has its models loaded"
    # Only this machine's consumers answer, however many there are elsewhere.
    answers = make_celery(config).control.broadcast(
        "ping", reply=True, timeout=ANSWER_S, limit=1, pattern=f"*@{host}", matcher="glob"
    )
    return None if answers else f"the consumer does not answer within {ANSWER_S:.0f} s"


if __name__ == "__main__":
    wrong = health_problem(settings(), socket.gethostname())
    if wrong is not None:
        sys.exit(wrong)
