"""Cost, for the gateway and the queue, of clients that follow event streams and of jobs that wait."""

import asyncio
import time
from dataclasses import dataclass
from statistics import median
from typing import Final

from facevitals.bench.jobs_and_uploads import percentile
from facevitals.bench.process_usage import cpu_share, resident_mb
from shared.ids import new_id
from shared.jobs.connection import connect
from shared.jobs.job_store import JobStore
from shared.schemas import JobOptions
from shared.settings import Settings
from shared.vitals import Branch, Stage

#: Clients that follow the same job.
FOLLOWERS_PER_JOB: Final = 2
#: Options of every job that is made here.
_OPTIONS: Final = JobOptions()


@dataclass(frozen=True)
class FollowerCost:
    """What event streams cost the gateway.

    kib_each       resident memory a stream, KiB
    cpu_share      share of one core while no event is sent
    latency_s      median time from emitting an event until a follower has read it; `latency_p99_s` the 99th percentile
    ended          streams that ended with `done`
    """

    followers: int
    kib_each: float
    cpu_share: float
    latency_s: float
    latency_p99_s: float
    ended: int


def make_jobs(settings: Settings, count: int) -> list[str]:
    """Make `count` jobs that stay queued, as no worker consumes their queues; their ids."""
    broker = JobStore.connect(settings.redis_url, 3600)
    ids = [new_id() for _ in range(count)]
    for job_id in ids:
        _make(broker, job_id, settings.longest_job_s)
    return ids


def _make(broker: JobStore, job_id: str, deadline_s: float) -> None:
    broker.submissions.create(
        job_id, list(Branch), _OPTIONS, owner="-", clip_key=f"clips/{job_id}", deadline_s=deadline_s
    )


def create_ms(settings: Settings, count: int) -> float:
    """Median milliseconds of creating and queueing one job, of `count`."""
    broker = JobStore.connect(settings.redis_url, 3600)
    times = []
    for _ in range(count):
        job_id = new_id()
        begun = time.perf_counter()
        _make(broker, job_id, settings.longest_job_s)
        times.append(time.perf_counter() - begun)
    return 1000 * median(times)


def clear(settings: Settings) -> None:
    """Delete all queues and records."""
    connect(settings.redis_url).flushdb()


def broker_mb(settings: Settings) -> float:
    """Memory that the broker uses, MB."""
    return float(connect(settings.redis_url).info("memory")["used_memory"]) / 1e6


def follow_all(settings: Settings, gateway_pid: int, followers: int, idle_s: float = 10.0) -> FollowerCost:
    """Open `followers` event streams, keep them idle for `idle_s` seconds, send one event to each, then end them.

    Raises:
        TimeoutError: an event did not arrive within 60 s.
    """
    jobs = make_jobs(settings, max(followers // FOLLOWERS_PER_JOB, 1))
    return asyncio.run(_follow_all(settings, gateway_pid, followers, jobs, idle_s))


async def _follow_all(settings: Settings, pid: int, followers: int, jobs: list[str], idle_s: float) -> FollowerCost:
    broker = JobStore.connect(settings.redis_url, 3600)
    before = resident_mb(pid)
    streams = []
    for start in range(0, followers, 100):
        batch = range(start, min(start + 100, followers))
        streams += await asyncio.gather(*(_open(settings.port, jobs[number % len(jobs)]) for number in batch))
    await asyncio.sleep(1)
    after = resident_mb(pid)
    share = await asyncio.to_thread(cpu_share, pid, idle_s)
    waits = [asyncio.create_task(_until(reader, b"event: stage")) for reader, _ in streams]
    await asyncio.sleep(0)
    begun = time.perf_counter()
    for job_id in jobs:
        await asyncio.to_thread(broker.events.of(job_id).emit_stage, Branch.RPPG, Stage.ESTIMATING, 0)
    latencies = [at - begun for at in await asyncio.gather(*waits)]
    ends = [asyncio.create_task(_until(reader, b"event: done")) for reader, _ in streams]
    for job_id in jobs:
        await asyncio.to_thread(broker.outcomes.time_out, job_id)
    ended = await asyncio.gather(*ends)
    for _, writer in streams:
        writer.close()
    return FollowerCost(
        followers=followers,
        kib_each=(after - before) * 1024 / followers,
        cpu_share=share,
        latency_s=median(latencies),
        latency_p99_s=percentile(latencies, 0.99),
        ended=len(ended),
    )


async def _open(port: int, job_id: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 18)
    writer.write(f"GET /v1/jobs/{job_id}/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    await _until(reader, b"event: state")
    return reader, writer


async def _until(reader: asyncio.StreamReader, text: bytes) -> float:
    async with asyncio.timeout(60):
        await reader.readuntil(text)
    return time.perf_counter()
