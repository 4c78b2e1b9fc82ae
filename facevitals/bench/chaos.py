"""`facevitals bench chaos`: jobs while workers are killed and frozen, broker and gateway restarted, the disk filled.

Everything is real but the analysis (`facevitals.bench.chaos_worker`): broker with its append-only file, gateway,
workers and HTTP. Every accepted job must end in exactly one final document of its own clip, and leave nothing behind.
"""

import math
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import redis

from facevitals.bench.chaos_clients import Clients
from facevitals.bench.cluster import Cluster
from facevitals.bench.faults import FAULTS
from facevitals.local.processes import until_stopped
from shared.jobs.connection import connect
from shared.jobs.leases import MAX_TRIES
from shared.jobs.queues import BROKER_PREFIX
from shared.schemas import JobState


def chaos(
    folder: Path, jobs: int, seed: int, *, every_s: float, job_deadline_s: float, log: Callable[[str], None]
) -> dict[str, Any]:
    """Submit `jobs` clips while a fault is injected about every `every_s` seconds; returns a summary of their outcomes.

    Raises:
        Stopped: SIGINT or SIGTERM was received. Every process that was started has ended, frozen or not.
        TimeoutError: the service did not start, or did not recover.
    """
    clip_ttl_s = math.ceil(2.5 * job_deadline_s)
    cluster = Cluster(folder, job_deadline_s, clip_ttl_s=clip_ttl_s, rng=random.Random(seed), log=log)
    with until_stopped(cluster.stop):
        cluster.start()
        _wait(cluster.is_ready, 120, "the service to start")
        begun = time.monotonic()
        clients = Clients(cluster.url, jobs, seed)
        try:
            _inject_faults(cluster, clients, begun, every_s)
        finally:
            clients.stop()
        cluster.recover()
        log(f"{time.monotonic() - begun:6.1f} s  {len(clients.accepted):5d} jobs  recovered; waiting for open jobs")
        return _verify(cluster, clients, begun)


def _inject_faults(cluster: Cluster, clients: Clients, begun: float, every_s: float) -> None:
    """Inject one fault after the other until the clients are done."""
    pending: list[Callable[[Cluster], None]] = []
    while clients.busy:
        cluster.supervise()
        if not pending:
            # Every fault once before any comes again, however soon the clients are done.
            pending = list(FAULTS)
            cluster.rng.shuffle(pending)
        fault = pending.pop()
        name = fault.__name__.replace("_", " ")
        cluster.log(f"{time.monotonic() - begun:6.1f} s  {len(clients.accepted):5d} jobs  {name}")
        cluster.injected[fault.__name__] += 1
        fault(cluster)
        end = time.monotonic() + cluster.rng.uniform(0.5 * every_s, 1.5 * every_s)
        while time.monotonic() < end and clients.busy:
            cluster.supervise()
            time.sleep(0.1)


def _verify(cluster: Cluster, clients: Clients, begun: float) -> dict[str, Any]:
    """Wait for every accepted job's final document, check them and what is left, and summarise."""
    broker = connect(cluster.broker.url)
    _wait(cluster.is_ready, 120, "the service after the chaos")
    documents = _final_documents(cluster, {upload.job_id for upload in clients.accepted})
    ended_s = time.monotonic() - begun
    # A worker that held a claim until now may still try to write.
    time.sleep(1.0)
    doubled = {id_ for id_ in documents if _done_events(broker, id_) != 1} | _changed(cluster, documents)
    doubled |= {id_ for id_, count in Counter(upload.job_id for upload in clients.accepted).items() if count > 1}
    foreign = [
        upload.job_id
        for upload in clients.accepted
        if (clip := documents.get(upload.job_id, {}).get("clip")) and clip["sha256"] != upload.sha256
    ]
    tries = [path.stat().st_size for path in cluster.tries.iterdir()]
    # A clip whose gateway died before it made the job stays until its time to live is over.
    limit = time.monotonic() + cluster.clip_ttl_s + 5
    while cluster.clips and time.monotonic() < limit:
        cluster.supervise()
        time.sleep(0.5)
    branches = [branch for document in documents.values() for branch in document["branches"].values()]
    for detail, count in Counter(branch["error"]["detail"] for branch in branches if branch["error"]).most_common():
        cluster.log(f"{count:5d} branches  {detail}")
    return {
        "jobs": len(clients.accepted),
        "documents": len(documents),
        "lost": len({upload.job_id for upload in clients.accepted} - documents.keys()),
        "doubled": len(doubled),
        "foreign": len(foreign),
        "clips_left": len(cluster.clips),
        "keys_without_ttl": len(_keys_without_ttl(broker)),
        "max_tries": max(tries, default=0),
        "tries_allowed": MAX_TRIES,
        "branches": dict(Counter(branch["status"] for branch in branches)),
        "seconds": round(ended_s, 1),
        "faults": dict(cluster.injected),
        "answers": dict(clients.answers),
    }


def _final_documents(cluster: Cluster, job_ids: set[str]) -> dict[str, dict[str, Any]]:
    """The final documents by job id; jobs that are unknown or do not end in time are left out."""
    final = {state for state in JobState if state.is_final}
    left = set(job_ids)
    documents: dict[str, dict[str, Any]] = {}
    # A job ends by its deadline, whatever happened to it; some seconds more for the sweep and a busy machine.
    end = time.monotonic() + 2 * cluster.job_deadline_s + 15
    with httpx.Client(base_url=cluster.url, timeout=30, trust_env=False) as client:
        while left and time.monotonic() < end:
            cluster.supervise()
            for job_id in list(left):
                answer = client.get(f"/v1/jobs/{job_id}")
                if answer.status_code == 404:
                    left.discard(job_id)
                elif answer.status_code == 200 and answer.json()["state"] in final:
                    documents[job_id] = answer.json()
                    left.discard(job_id)
            time.sleep(0.3)
    return documents


def _changed(cluster: Cluster, documents: Mapping[str, dict[str, Any]]) -> set[str]:
    """The ids of jobs whose document is no longer the one that was final."""
    with httpx.Client(base_url=cluster.url, timeout=30, trust_env=False) as client:
        return {id_ for id_, document in documents.items() if client.get(f"/v1/jobs/{id_}").json() != document}


def _done_events(broker: redis.Redis, job_id: str) -> int:
    """The number of `done` events of a job."""
    entries: Any = broker.xrange(f"fv:job:{job_id}:events")
    return sum(fields["event"] == "done" for _, fields in entries)


def _keys_without_ttl(broker: redis.Redis) -> list[str]:
    """The project's keys that never expire; queues and their bindings are Celery's."""
    keys: Any = broker.scan_iter()
    return [key for key in keys if not key.startswith(BROKER_PREFIX) and broker.ttl(key) == -1]


def _wait(condition: Callable[[], bool], timeout_s: float, what: str) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {timeout_s:.0f} s for {what}")
        time.sleep(0.2)
