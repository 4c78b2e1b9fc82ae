"""Throughput against the number of worker processes, each branch sleeping for a realistic time instead of working."""

import time
from dataclasses import dataclass
from typing import Final

from facevitals.bench.jobs_and_uploads import HEAD
from shared.clips.store import ClipStore
from shared.ids import new_id
from shared.jobs.job_store import JobStore
from shared.schemas import JobOptions
from shared.settings import Settings
from shared.vitals import Branch

#: Seconds that a branch sleeps: what it takes for a 15 s clip on an idle core (docs/scaling.md).
BRANCH_S: Final = 1.8
#: Branches that each process runs.
ROUNDS: Final = 8


@dataclass(frozen=True)
class Throughput:
    """Jobs that a number of worker processes finished, and the seconds it took."""

    processes: int
    jobs: int
    seconds: float

    @property
    def jobs_per_s(self) -> float:
        """Jobs finished per second."""
        return self.jobs / self.seconds

    @property
    def efficiency(self) -> float:
        """Share of the throughput that these processes would have without any overhead."""
        return self.jobs_per_s * len(Branch) * BRANCH_S / self.processes


def throughput(settings: Settings, processes: int) -> Throughput:
    """Queue jobs for `processes` running workers of `facevitals.bench.idle_worker`, and time them.

    Raises:
        ValueError: the clip store is not a folder.
        TimeoutError: they took three times as long as the branches sleep.
    """
    broker, store = JobStore.connect(settings.redis_url, 3600), ClipStore(settings.store)
    if store.root is None:
        raise ValueError("the load bench needs a store that is a folder")
    jobs = processes * ROUNDS // len(Branch)
    (store.root / "clips").mkdir(parents=True, exist_ok=True)
    ids = [new_id() for _ in range(jobs)]
    for job_id in ids:
        (store.root / store.key(job_id)).write_bytes(HEAD)
    deadline_s = settings.longest_job_s
    begun = time.perf_counter()
    for job_id in ids:
        broker.submissions.create(
            job_id,
            list(Branch),
            JobOptions(),
            owner="-",
            clip_key=store.key(job_id),
            deadline_s=deadline_s,
        )
    # One query for all jobs: polling each would take the processor time that is measured.
    while left := broker.records.active():
        time.sleep(0.1)
        if time.perf_counter() - begun > 3 * ROUNDS * BRANCH_S + 30:
            raise TimeoutError(f"{left} of {jobs} jobs are left")
    return Throughput(processes, jobs, time.perf_counter() - begun)
