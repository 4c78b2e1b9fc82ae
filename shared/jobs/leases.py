"""Leases: a worker holds a branch of a job while it renews its lease; a lease that ends counts as a lost try."""

import contextlib
import threading
import uuid
from collections.abc import Iterator
from enum import StrEnum
from typing import Any, Final

import redis
from redis.exceptions import RedisError

from shared.jobs.keys import LEASES, PACE, WORKING, events_key, record_key, waiting_keys
from shared.jobs.scripts.claim import BeginBranch, RenewLease
from shared.vitals import Branch

#: A worker renews its lease every third of this; without renewal the try counts as lost.
LEASE_S: Final = 15.0
#: Tries of one branch; bounds a clip that kills its worker.
MAX_TRIES: Final = 2


class Begin(StrEnum):
    """What a worker that took a message should do."""

    GO = "go"
    #: Another worker holds the branch.
    BUSY = "busy"
    #: The branch has its outcome, or the job has ended.
    DONE = "done"
    #: No try is left.
    EXHAUSTED = "exhausted"
    #: There is no such job.
    GONE = "gone"


class BranchLease:
    """One worker's lease on one branch of a job."""

    def __init__(
        self,
        client: Any,  # noqa: ANN401  (redis-py's types)
        job_id: str,
        branch: Branch,
        token: str,
        live_ttl_s: int,
    ) -> None:
        self._redis, self._job_id, self._branch = client, job_id, branch
        self._token, self._live_ttl_s = token, live_ttl_s

    def begin(self, work_s: float) -> Begin:
        """Take the lease, for at most `work_s` seconds of work. Only `GO` may work on the branch."""
        reply = BeginBranch(
            record=record_key(self._job_id),
            events=events_key(self._job_id),
            leases=LEASES,
            working=WORKING,
            waiting=waiting_keys(self._branch),
            pace=PACE,
            job_id=self._job_id,
            branch=self._branch,
            token=self._token,
            max_tries=MAX_TRIES,
            lease_s=LEASE_S,
            work_s=work_s,
            ttl_s=self._live_ttl_s,
        ).run(self._redis)
        return Begin(reply)

    def renew(self) -> bool:
        """Extend the lease. Returns False where another worker holds it, or the branch or the job has ended."""
        reply = RenewLease(
            record=record_key(self._job_id),
            leases=LEASES,
            job_id=self._job_id,
            branch=self._branch,
            token=self._token,
            lease_s=LEASE_S,
        ).run(self._redis)
        return bool(reply)

    @contextlib.contextmanager
    def renewing(self) -> Iterator[None]:
        """Renew the lease, in a thread, for the length of the block."""
        done = threading.Event()

        def renew() -> None:
            while not done.wait(LEASE_S / 3):
                with contextlib.suppress(RedisError):
                    if not self.renew():
                        return

        threading.Thread(target=renew, name="lease", daemon=True).start()
        try:
            yield
        finally:
            done.set()

    def expire(self) -> None:
        """End the lease of a worker that is known to be dead: the sweep then queues the branch again at once."""
        self._redis.zadd(LEASES, {f"{self._job_id} {self._branch}": 0}, xx=True)


class BranchLeases:
    """Leases of workers on branches. Safe to share between threads."""

    def __init__(self, client: redis.Redis, live_ttl_s: int) -> None:
        self._redis: Any = client
        self._live_ttl_s = live_ttl_s

    def of(self, job_id: str, branch: Branch, token: str | None = None) -> BranchLease:
        """Return the lease of the worker that has `token` (None: a new one); no command is sent yet."""
        return BranchLease(self._redis, job_id, branch, token or uuid.uuid4().hex, self._live_ttl_s)
