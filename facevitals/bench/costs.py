"""Cost of a job besides its analysis, and the machines that a rate of clips needs."""

import time
from dataclasses import dataclass
from typing import Final

from facevitals.bench.jobs_and_uploads import HEAD
from facevitals.bench.process_usage import family_cpu_s
from shared.clips.store import ClipStore
from shared.ids import new_id
from shared.jobs.job_store import JobStore
from shared.schemas import JobOptions
from shared.settings import Settings
from shared.vitals import Branch

#: Bytes of a clip of 15 s at 2.5 Mbit/s, as the page records it.
CLIP_BYTES: Final = 4_700_000
#: Jobs that are queued at a time, few enough for one worker.
_BATCH: Final = 20
#: Seconds for which broker and worker are measured without jobs.
_IDLE_S: Final = 4.0
#: Planned utilisation of cores: the rest is for bursts and for machines that are down.
UTILISATION: Final = 0.6


@dataclass(frozen=True)
class JobCost:
    """Cost of one job without its analysis.

    broker_ms, worker_ms  processor time
    kept_kib              memory that the broker keeps after the job, KiB
    written_kb            growth of the broker's append-only file, kB
    """

    broker_ms: float
    worker_ms: float
    kept_kib: float
    written_kb: float


def job_cost(settings: Settings, worker_pid: int, jobs: int) -> JobCost:
    """Run `jobs` jobs through the one running worker, a `facevitals.bench.replay_worker`, and measure their cost.

    Raises:
        ValueError: the clip store is not a folder.
        TimeoutError: the jobs did not end.
    """
    broker, store = JobStore.connect(settings.redis_url, settings.result_ttl_s), ClipStore(settings.store)
    _run_jobs(broker, store, settings, _BATCH)
    # What broker and worker use while idle is subtracted.
    begun, broker_s, worker_s = time.monotonic(), _broker_cpu_s(broker), family_cpu_s(worker_pid)
    time.sleep(_IDLE_S)
    idle_s = time.monotonic() - begun
    broker_share = (_broker_cpu_s(broker) - broker_s) / idle_s
    worker_share = (family_cpu_s(worker_pid) - worker_s) / idle_s
    kept, written = _memory(broker), _written(broker)
    begun, broker_s, worker_s = time.monotonic(), _broker_cpu_s(broker), family_cpu_s(worker_pid)
    _run_jobs(broker, store, settings, jobs)
    took_s = time.monotonic() - begun
    cost = JobCost(
        broker_ms=1000 * (_broker_cpu_s(broker) - broker_s - broker_share * took_s) / jobs,
        worker_ms=1000 * (family_cpu_s(worker_pid) - worker_s - worker_share * took_s) / jobs,
        kept_kib=(_memory(broker) - kept) / 1024 / jobs,
        written_kb=(_written(broker) - written) / 1000 / jobs,
    )
    broker.close()
    return cost


def _run_jobs(broker: JobStore, store: ClipStore, settings: Settings, jobs: int) -> None:
    if store.root is None:
        raise ValueError("the load bench needs a store that is a folder")
    (store.root / "clips").mkdir(parents=True, exist_ok=True)
    clip = HEAD + bytes(CLIP_BYTES - len(HEAD))
    left = jobs
    while left:
        for job_id in [new_id() for _ in range(min(left, _BATCH))]:
            key = store.key(job_id)
            (store.root / key).write_bytes(clip)
            deadline_s = settings.longest_job_s
            broker.submissions.create(
                job_id, list(Branch), JobOptions(), owner="-", clip_key=key, deadline_s=deadline_s
            )
            left -= 1
        end = time.monotonic() + 120
        while broker.records.active():
            if time.monotonic() > end:
                raise TimeoutError("jobs without analysis did not end")
            time.sleep(0.1)


def _broker_cpu_s(broker: JobStore) -> float:
    used = broker.redis.info("cpu")
    return float(used["used_cpu_sys"]) + float(used["used_cpu_user"])


def _memory(broker: JobStore) -> float:
    return float(broker.redis.info("memory")["used_memory"])


def _written(broker: JobStore) -> float:
    return float(broker.redis.info("persistence")["aof_current_size"])


@dataclass(frozen=True)
class ClipCost:
    """Processor seconds of one clip, and the memory that the broker keeps of its job, KiB."""

    worker_s: float
    gateway_s: float
    broker_s: float
    kept_kib: float


@dataclass(frozen=True)
class Machines:
    """Resources for a rate of clips an hour, cores at `UTILISATION`."""

    clips_per_hour: int
    worker_cores: float
    gateway_cores: float
    broker_share: float
    broker_gb_day: float
    broker_gb_hour: float
    network_mbit_s: float
    core_hours: float


def machines(cost: ClipCost, clips_per_hour: int) -> Machines:
    """Resources for `clips_per_hour` clips of `CLIP_BYTES` (the model of docs/scaling.md)."""
    per_s = clips_per_hour / 3600
    kept_gb = clips_per_hour * cost.kept_kib * 1024 / 1e9
    worker_cores, gateway_cores = per_s * cost.worker_s / UTILISATION, per_s * cost.gateway_s / UTILISATION
    return Machines(
        clips_per_hour,
        worker_cores=worker_cores,
        gateway_cores=gateway_cores,
        broker_share=per_s * cost.broker_s,
        broker_gb_day=24 * kept_gb,
        broker_gb_hour=kept_gb,
        network_mbit_s=per_s * CLIP_BYTES * 8 / 1e6,
        core_hours=worker_cores + gateway_cores,
    )
