"""Faults that `facevitals bench chaos` injects into a `Cluster`: dead or frozen processes, a full disk.

Each is a function of the cluster. A fault that lasts registers its own end (`Cluster.end_later`).
"""

import contextlib
import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpx

from facevitals.bench.cluster import Cluster, unfreeze
from facevitals.local.broker import crash

#: Largest file that the gateway may write while the disk is "full": a quarter of a clip.
DISK_FULL_BYTES: Final = 50_000


def kill_a_process(cluster: Cluster) -> None:
    """SIGKILL to one process of a worker's pool; its parent keeps running."""
    with contextlib.suppress(OSError, IndexError):
        os.kill(cluster.rng.choice(_pool(cluster.rng.choice(cluster.workers).process.pid)), signal.SIGKILL)


def kill_a_worker(cluster: Cluster) -> None:
    """SIGKILL to a worker and all of its processes."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(cluster.rng.choice(cluster.workers).process.pid, signal.SIGKILL)


def freeze_a_worker(cluster: Cluster) -> None:
    """SIGSTOP to a worker for 2 to 25 s, which may be longer than a claim lasts."""
    parent = cluster.rng.choice(cluster.workers).process.pid
    with contextlib.suppress(OSError):
        for pid in (parent, *_pool(parent)):
            os.kill(pid, signal.SIGSTOP)
    cluster.end_later(cluster.rng.uniform(2, 25), lambda: unfreeze(parent))


def restart_the_broker(cluster: Cluster) -> None:
    """SIGKILL to the broker, then a new one on the same append-only file."""
    address = httpx.URL(cluster.broker.url)
    crash(cluster.broker)
    time.sleep(cluster.rng.uniform(0.2, 2.0))
    cluster.start_broker(address.port, address.password)


def freeze_the_broker(cluster: Cluster) -> None:
    """SIGSTOP to the broker for 1 to 4 s."""
    group = cluster.broker.child.process.pid
    os.killpg(group, signal.SIGSTOP)
    time.sleep(cluster.rng.uniform(1, 4))
    unfreeze(group)


def restart_the_gateway(cluster: Cluster) -> None:
    """SIGTERM to the gateway; the supervisor starts another."""
    cluster.gateway.process.terminate()


def kill_the_gateway(cluster: Cluster) -> None:
    """SIGKILL to the gateway, uploads under way or not."""
    cluster.gateway.process.kill()


def fill_the_disk(cluster: Cluster) -> None:
    """Limit the gateway's files to `DISK_FULL_BYTES` for 1 to 3 s, so that uploads fail half-way."""
    process = cluster.gateway.process
    if process.poll() is None:
        with contextlib.suppress(OSError):
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (DISK_FULL_BYTES, resource.RLIM_INFINITY))
        cluster.end_later(cluster.rng.uniform(1, 3), lambda: _lift_file_limit(process.pid))


#: Every fault.
FAULTS: Final[tuple[Callable[[Cluster], None], ...]] = (
    *(kill_a_process, kill_a_worker, freeze_a_worker, restart_the_broker),
    *(freeze_the_broker, restart_the_gateway, kill_the_gateway, fill_the_disk),
)


def _pool(parent: int) -> list[int]:
    """Process ids of a worker's pool.

    Python's semaphore tracker is left out: frozen, it would outlive the worker.
    """
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(pid) for pid in children if b"semaphore_tracker" not in Path(f"/proc/{pid}/cmdline").read_bytes()]


def _lift_file_limit(pid: int) -> None:
    with contextlib.suppress(OSError):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
