"""The jobs in the broker, with one object for each group of operations."""

from typing import Any

import redis

from shared.jobs.completion import JobCompletion
from shared.jobs.connection import broker_time, connect
from shared.jobs.counters import Counters
from shared.jobs.events import LIVE_TTL_S, JobEvents
from shared.jobs.leases import BranchLeases
from shared.jobs.outcomes import BranchOutcomes
from shared.jobs.overdue import OverdueJobs
from shared.jobs.records import JobRecords
from shared.jobs.submissions import JobSubmissions


class JobStore:
    """The jobs in one broker: gateways submit and read, workers lease and complete, the sweep ends what is overdue.

    Safe to share between threads.
    """

    def __init__(self, client: redis.Redis, result_ttl_s: int) -> None:
        """Use the broker behind `client` (`connect`); final documents are kept for `result_ttl_s` seconds."""
        # What an unfinished job has must not expire before the job does, however shortly results are kept.
        live_ttl_s = max(result_ttl_s, LIVE_TTL_S)
        # redis-py's types do not know `decode_responses`: every reply would be bytes or str.
        self.redis: Any = client
        self.submissions = JobSubmissions(client, result_ttl_s)
        self.records = JobRecords(client, result_ttl_s)
        self.events = JobEvents(client, live_ttl_s)
        self.leases = BranchLeases(client, live_ttl_s)
        self.completion = JobCompletion(client, self.events, result_ttl_s)
        self.outcomes = BranchOutcomes(client, self.completion, live_ttl_s)
        self.overdue = OverdueJobs(client)
        self.counters = Counters(client)

    @classmethod
    def connect(cls, redis_url: str, result_ttl_s: int) -> "JobStore":
        """Open the jobs of the broker at `redis_url`; the connection is made at the first use."""
        return cls(connect(redis_url), result_ttl_s)

    def now(self) -> float:
        """Return the broker's time, seconds since the epoch.

        Raises:
            redis.exceptions.RedisError: the broker is away.
        """
        return broker_time(self.redis)

    def close(self) -> None:
        """Close the connection."""
        self.redis.close()
