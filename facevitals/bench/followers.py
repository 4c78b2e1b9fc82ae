"""A thousand clients that follow their jobs, ten thousand jobs that wait: what they cost gateway and queue."""

import asyncio
import os
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from facevitals.bench.jobs_and_uploads import percentile, resident_mb
from shared.ids import new_id
from shared.jobs.records import JobRecords, connect
from shared.schemas import JobOptions
from shared.settings import Settings
from shared.vitals import Branch

#: Clients that follow the same job: a page, and whoever else was given its address.
FOLLOWERS_A_JOB: Final = 2
#: A job's options, in every measurement here.
_OPTIONS: Final = JobOptions()


@dataclass(frozen=True)
class Crowd:
    """What followers cost. `cpu_share` is that of one core while nothing happens."""

    followers: int
    kib_each: float
    cpu_share: float
    told_s: float
    told_last_s: float
    ended: int


def make_jobs(settings: Settings, count: int) -> list[str]:
    """Jobs that no worker will take: their clips are not there, their queues have no consumer."""
    records = JobRecords(connect(settings.redis_url), 3600)
    ids = [new_id() for _ in range(count)]
    for job_id in ids:
        _make(records, job_id, settings.longest_job_s)
    return ids


def _make(records: JobRecords, job_id: str, deadline_s: float) -> None:
    records.create(job_id, list(Branch), _OPTIONS, owner="-", clip_key=f"clips/{job_id}", deadline_s=deadline_s)


def create_ms(settings: Settings, count: int) -> float:
    """Median milliseconds of making and queueing one job."""
    records = JobRecords(connect(settings.redis_url), 3600)
    times = []
    for _ in range(count):
        job_id = new_id()
        begun = time.perf_counter()
        _make(records, job_id, settings.longest_job_s)
        times.append(time.perf_counter() - begun)
    return 1000 * median(times)


def forget(settings: Settings) -> None:
    """Empty the queues and the records."""
    connect(settings.redis_url).flushdb()


def broker_mb(settings: Settings) -> float:
    """What the broker holds."""
    return float(connect(settings.redis_url).info("memory")["used_memory"]) / 1e6


def follow_all(settings: Settings, gateway_pid: int, followers: int, idle_s: float = 10.0) -> Crowd:
    """`followers` event streams on as many jobs as it takes: idle for a while, then one event each, then the end."""
    jobs = make_jobs(settings, max(followers // FOLLOWERS_A_JOB, 1))
    return asyncio.run(_follow_all(settings, gateway_pid, followers, jobs, idle_s))


async def _follow_all(settings: Settings, pid: int, followers: int, jobs: list[str], idle_s: float) -> Crowd:
    records = JobRecords(connect(settings.redis_url), 3600)
    before = resident_mb(pid)
    streams = []
    for start in range(0, followers, 100):
        batch = range(start, min(start + 100, followers))
        streams += await asyncio.gather(*(_open(settings.port, jobs[number % len(jobs)]) for number in batch))
    await asyncio.sleep(1)
    after = resident_mb(pid)
    share = await asyncio.to_thread(idle_cpu, pid, idle_s)
    waits = [asyncio.create_task(_until(reader, b"event: stage")) for reader, _ in streams]
    await asyncio.sleep(0)
    begun = time.perf_counter()
    for job_id in jobs:
        await asyncio.to_thread(records.emit_stage, job_id, Branch.RPPG, "measured", 0)
    told = [at - begun for at in await asyncio.gather(*waits)]
    ends = [asyncio.create_task(_until(reader, b"event: done")) for reader, _ in streams]
    for job_id in jobs:
        await asyncio.to_thread(records.time_out, job_id)
    ended = await asyncio.gather(*ends)
    for _, writer in streams:
        writer.close()
    return Crowd(
        followers=followers,
        kib_each=(after - before) * 1024 / followers,
        cpu_share=share,
        told_s=median(told),
        told_last_s=percentile(told, 0.99),
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


def idle_cpu(pid: int, seconds: float) -> float:
    """Share of a core that a process takes while we only watch."""
    cpu, begun = cpu_s(pid), time.perf_counter()
    time.sleep(seconds)
    return (cpu_s(pid) - cpu) / (time.perf_counter() - begun)


def cpu_s(pid: int) -> float:
    """Processor time of a process so far, seconds (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def family_cpu_s(pid: int) -> float:
    """The same of a process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return cpu_s(pid) + sum(cpu_s(int(child)) for child in children)
