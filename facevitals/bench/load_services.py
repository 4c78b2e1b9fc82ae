"""The processes that `facevitals bench load` measures, and their environment."""

import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from facevitals.bench import baselines
from facevitals.local.broker import free_port
from facevitals.local.processes import Child, start_child
from facevitals.local.worker_command import worker_command
from shared.jobs.connection import connect
from shared.jobs.queues import QUEUES_VARIABLE
from shared.jobs.worker_registry import worker_cards
from shared.settings import Settings
from shared.vitals import Branch


def environment(config: Settings, folder: Path) -> dict[str, str]:
    """Environment variables of the measured processes."""
    return {**config.environment(), baselines.FOLDER_VARIABLE: str(folder / "baseline")}


@contextmanager
def servers_running(config: Settings, folder: Path) -> Iterator[tuple[Child, int]]:
    """Run the gateway and the baseline upload server; yields the gateway and the server's port once both answer.

    Raises:
        TimeoutError: one of them did not answer.
    """
    (folder / "baseline").mkdir(exist_ok=True)
    env = environment(config, folder)
    port = free_port()
    baseline_server = [
        *(sys.executable, "-m", "uvicorn", "facevitals.bench.baselines:upload", "--port", str(port)),
        *("--no-access-log", "--log-level", "warning"),
    ]
    with (folder / "log").open("ab") as log:
        children = [
            start_child("gateway", [sys.executable, "-m", "facevitals", "gateway"], env=env, log=log),
            start_child("baseline", baseline_server, env=env, log=log),
        ]
    try:
        wait(lambda: _answers(f"http://127.0.0.1:{config.port}/livez"), "the gateway", folder)
        wait(lambda: _listens(port), "the baseline server", folder)
        yield children[0], port
    finally:
        for child in children:
            child.stop(5)


@contextmanager
def workers_running(config: Settings, folder: Path) -> Iterator[None]:
    """Run idle workers on both queues, and a Celery worker for the baseline no-op.

    Raises:
        TimeoutError: a worker did not register.
    """
    env = environment(config, folder)
    baseline_worker = [
        *(sys.executable, "-m", "celery", "-A", "facevitals.bench.baselines:celery", "worker", "--loglevel", "warning"),
        *("--pool", "prefork", "--concurrency", "1", "--queues", "baseline", "--without-gossip", "--without-mingle"),
    ]
    with (folder / "log").open("ab") as log:
        children = [
            start_child(
                branch,
                worker_command("facevitals.bench.idle_worker", [branch], 1, "warning"),
                env={**env, QUEUES_VARIABLE: branch},
                log=log,
            )
            for branch in Branch
        ]
        children.append(start_child("baseline", baseline_worker, env=env, log=log))
    try:
        client = connect(config.redis_url)
        wait(lambda: len(worker_cards(client)) == len(Branch), "the workers", folder)
        yield
    finally:
        for child in children:
            child.stop(5)


def wait(condition: Callable[[], bool], what: str, folder: Path, timeout_s: float = 180) -> None:
    """Return as soon as `condition()` is true.

    Raises:
        TimeoutError: it was not in time; the message contains the end of the processes' log.
    """
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.1)
    log = (folder / "log").read_text(errors="replace")[-3000:]
    raise TimeoutError(f"waited {timeout_s:.0f} s for {what}\n{log}")


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
