"""A service of real processes for `facevitals bench chaos`: broker, gateway and workers, restarted when they die."""

import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from facevitals.bench.worker_variables import SLEEP_VARIABLE, TRIES_VARIABLE
from facevitals.local.broker import free_port, start_broker
from facevitals.local.isolated_settings import isolated_settings
from facevitals.local.processes import Child, start_child
from facevitals.local.worker_command import worker_command
from shared.jobs.queues import QUEUES, QUEUES_VARIABLE

_WORKER_NAMES: Final = ("worker 1", "worker 2")


@dataclass
class Cluster:
    """The service under test. Processes are started by the thread that calls `start`, which must be the main one."""

    folder: Path
    job_deadline_s: float
    clip_ttl_s: int
    rng: random.Random
    log: Callable[[str], None]
    port: int = field(default_factory=free_port)
    #: Faults injected so far, by name.
    injected: Counter[str] = field(default_factory=Counter)
    #: Processes by name; a restarted process replaces the one that died.
    children: dict[str, Child] = field(default_factory=dict)
    #: Faults that end later: when (monotonic seconds), and the call that ends them.
    _recoveries: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def start(self) -> None:
        """Start broker, gateway and workers; return before they are ready."""
        self.tries = self.folder / "tries"
        self.tries.mkdir(parents=True)
        self.start_broker()
        self._start_gateway()
        for name in _WORKER_NAMES:
            self._start_worker(name)

    @property
    def gateway(self) -> Child:
        """The gateway's latest process, running or dead."""
        return self.children["gateway"]

    @property
    def workers(self) -> list[Child]:
        """Each worker's latest process, running or dead."""
        return [self.children[name] for name in _WORKER_NAMES]

    @property
    def url(self) -> str:
        """The gateway's base URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def clips(self) -> list[Path]:
        """The files in the clip store."""
        return [path for path in (self.folder / "clips").rglob("*") if path.is_file()]

    def start_broker(self, port: int | None = None, password: str | None = None) -> None:
        """Start the broker on the data that its folder holds; by default on a free port with a new password."""
        self.broker = start_broker(self.folder / "broker", port, password, on_our_death=signal.SIGKILL)
        self.children["broker"] = self.broker.child

    def _start_gateway(self) -> None:
        self._start("gateway", [sys.executable, "-m", "facevitals", "gateway"])

    def _start_worker(self, name: str) -> None:
        self._start(name, worker_command("facevitals.bench.chaos_worker", list(QUEUES.values()), 2, "warning"))

    def _start(self, name: str, command: list[str]) -> None:
        config = isolated_settings(
            self.folder,
            redis_url=self.broker.url,
            port=self.port,
            # Half of the time for waiting, and half for two tries of work.
            max_wait_s=self.job_deadline_s / 2,
            job_deadline_s=self.job_deadline_s / 2,
            clip_ttl_s=self.clip_ttl_s,
            log_level="warning",
        )
        env = {
            **config.environment(),
            QUEUES_VARIABLE: ",".join(QUEUES.values()),
            TRIES_VARIABLE: str(self.tries),
            SLEEP_VARIABLE: os.environ.get(SLEEP_VARIABLE, "0.8"),
        }
        with (self.folder / f"{name}.log").open("ab") as log:
            # SIGKILL is the only signal that ends a frozen process.
            self.children[name] = start_child(name, command, env=env, log=log, on_our_death=signal.SIGKILL)

    def supervise(self) -> None:
        """Restart processes that died, as a supervisor does, and end faults whose time is over."""
        now = time.monotonic()
        for due, end_fault in [entry for entry in self._recoveries if entry[0] <= now]:
            end_fault()
            self._recoveries = [entry for entry in self._recoveries if entry != (due, end_fault)]
        if self.gateway.process.poll() is not None:
            self.gateway.stop(0)
            self._start_gateway()
        for worker in self.workers:
            if worker.process.poll() is not None:
                worker.stop(0)
                self._start_worker(worker.name)

    def is_ready(self) -> bool:
        """Whether `/readyz` reports the service and both queues ready; restarts what died first."""
        self.supervise()
        try:
            answer = httpx.get(f"{self.url}/readyz", timeout=2, trust_env=False).json()
        except (httpx.HTTPError, ValueError):
            return False
        return bool(answer["status"] == "ok" and all(answer["workers"].values()))

    def end_later(self, delay_s: float, end_fault: Callable[[], None]) -> None:
        """Have `supervise` call `end_fault` once `delay_s` seconds have passed."""
        self._recoveries.append((time.monotonic() + delay_s, end_fault))

    def recover(self) -> None:
        """End all faults and restart what died."""
        for _, end_fault in self._recoveries:
            end_fault()
        self._recoveries = []
        self.supervise()

    def stop(self) -> None:
        """Stop every process that was started, in whatever state it is."""
        left = list(self.children.values())
        for child in left:
            if child.process.poll() is None:
                unfreeze(child.process.pid)
        # The broker, which was started first, goes last.
        for child in [*left[1:], *left[:1]]:
            child.stop(6)


def unfreeze(group: int) -> None:
    """Let the stopped processes of a process group run again."""
    try:
        os.killpg(group, signal.SIGCONT)
    except ProcessLookupError:
        return
