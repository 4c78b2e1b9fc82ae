"""How throughput grows with worker processes when each branch takes a realistic time, slept instead of worked."""

import time
from dataclasses import dataclass
from typing import Final

from facevitals.bench.jobs_and_uploads import HEAD
from shared.clips.store import ClipStore
from shared.ids import new_id
from shared.jobs.records import JobRecords, connect
from shared.schemas import JobOptions
from shared.settings import Settings
from shared.vitals import Branch

#: Seconds that a branch sleeps: what it takes of a 15 s clip on a calm core (docs/scaling.md).
BRANCH_S: Final = 1.8
#: Branches for each process.
ROUNDS: Final = 8


@dataclass(frozen=True)
class Throughput:
    """What some processes did. `efficiency`: 1 where nothing but the branches' own time passed."""

    processes: int
    jobs: int
    seconds: float

    @property
    def jobs_per_s(self) -> float:
        """Jobs finished a second."""
        return self.jobs / self.seconds

    @property
    def efficiency(self) -> float:
        """Of what so many processes could do at best."""
        return self.jobs_per_s * len(Branch) * BRANCH_S / self.processes


def throughput(settings: Settings, processes: int) -> Throughput:
    """Queue work for `processes` idle workers that are up, and see how long they take.

    Raises:
        TimeoutError: they took three times what they should.
    """
    records, store = JobRecords(connect(settings.redis_url), 3600), ClipStore(settings.store)
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
        records.create(
            job_id,
            list(Branch),
            JobOptions(),
            owner="-",
            clip_key=store.key(job_id),
            deadline_s=deadline_s,
        )
    # One question at a time, of them all: watching must not take the processor that is measured.
    while left := records.active():
        time.sleep(0.1)
        if time.perf_counter() - begun > 3 * ROUNDS * BRANCH_S + 30:
            raise TimeoutError(f"{left} of {jobs} jobs are left")
    return Throughput(processes, jobs, time.perf_counter() - begun)
