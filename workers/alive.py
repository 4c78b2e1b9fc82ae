"""`python -m workers.alive`: exit 0 if a worker of this machine works, for container health checks.

It works if its consumer answers on the broker (a process that exists may have lost its connection) and one of its
processes has loaded its models. A worker that is busy answers all the same.
"""

import socket
import sys
from typing import Final

import redis

from shared.jobs.queues import make_celery
from shared.jobs.worker_registry import worker_cards
from shared.settings import Settings, settings

ANSWER_S: Final = 3.0


def trouble(config: Settings, host: str) -> str | None:
    """What is wrong with the worker on `host`, or None."""
    try:
        # No retries: the caller has its own, and a time limit.
        limits = {"socket_connect_timeout": ANSWER_S, "socket_timeout": ANSWER_S}
        with redis.Redis.from_url(config.redis_url, decode_responses=True, retry=None, **limits) as client:
            cards = worker_cards(client)
    except (redis.RedisError, OSError, ValueError) as error:
        return f"the broker cannot be asked: {error}"
    if not any(card.id.partition(":")[0] == host for card in cards):
        return "no process of this worker has its models loaded"
    # Only this machine's consumers answer, however many there are elsewhere.
    answers = make_celery(config).control.broadcast(
        "ping", reply=True, timeout=ANSWER_S, limit=1, pattern=f"*@{host}", matcher="glob"
    )
    return None if answers else f"the consumer does not answer within {ANSWER_S:.0f} s"


if __name__ == "__main__":
    wrong = trouble(settings(), socket.gethostname())
    if wrong is not None:
        sys.exit(wrong)
