"""The whole service as child processes: broker, gateway, workers; restarted when they die, and stopped in order."""

import contextlib
import fcntl
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

import httpx

from facevitals.local.broker import Broker, free_port, start_broker
from facevitals.local.processes import Child, start_child, until_stopped
from shared.settings import Settings
from shared.vitals import Branch

#: A part that dies is restarted; more deaths than this within `RESTART_WINDOW_S` seconds stop the stack.
RESTARTS: Final = 5
RESTART_WINDOW_S: Final = 60.0
#: Seconds until everything has to be ready.
READY_S: Final = 180.0


class StackFailedError(Exception):
    """A part of the service can't be started or kept running; the message names it and its log."""


@dataclass
class Part:
    """One supervised process and how to start it again."""

    name: str
    start: Callable[[], Child]
    grace_s: float
    child: Child | None = None
    deaths: deque[float] = field(default_factory=deque)


class Stack:
    """Broker (embedded, unless the settings name one), gateway, and workers for each queue."""

    def __init__(self, settings: Settings, *, workers: int = 1, logs: Path | None = None) -> None:
        """`logs`: folder for the output of the parts, instead of this terminal."""
        self._settings = settings
        self._logs = logs
        self._broker: Broker | None = None
        self._folder_lock: IO[str] | None = None
        self.port = settings.port or free_port()
        # A gateway on every address is reached on loopback.
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104  (compared, not bound)
        host = f"[{host}]" if ":" in host else host
        self.url = f"http://{host}:{self.port}"
        self.redis_url = settings.redis_url
        self._parts = [
            Part("gateway", lambda: self._facevitals("gateway", ["gateway"]), grace_s=5),
            *(
                Part(f"{branch} worker {n + 1}", self._worker_starter(branch, n), grace_s=6)
                for n in range(workers)
                for branch in Branch
            ),
        ]

    def _worker_starter(self, branch: Branch, number: int) -> Callable[[], Child]:
        return lambda: self._facevitals(f"{branch}-{number + 1}", ["worker", "--queues", branch.value])

    def _facevitals(self, name: str, arguments: list[str]) -> Child:
        own = {"redis_url": self.redis_url, "port": self.port, "data_dir": self._settings.data_dir.absolute()}
        env = self._settings.model_copy(update=own).environment()
        with self._log(name) as log:
            return start_child(name, [sys.executable, "-m", "facevitals", *arguments], env=env, log=log)

    @contextmanager
    def _log(self, name: str) -> Iterator[IO[bytes] | None]:
        if self._logs is None:
            yield None
            return
        self._logs.mkdir(parents=True, exist_ok=True)
        with (self._logs / f"{name}.log").open("ab") as log:
            yield log

    def start(self) -> None:
        """Start every part; returns before they are ready."""
        self._check_port()
        if not self.redis_url:
            self._lock_folder()
            self._broker = start_broker((self._settings.data_dir / "broker").absolute())
            self.redis_url = self._broker.url
        for part in self._parts:
            part.child = part.start()

    def _check_port(self) -> None:
        with socket.socket(socket.AF_INET6 if ":" in self._settings.host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self._settings.host, self.port))
            except OSError as error:
                raise StackFailedError(
                    f"{self._settings.host} port {self.port}: {error.strerror}. Set FACEVITALS_PORT to another."
                ) from error

    def _lock_folder(self) -> None:
        # Two brokers would corrupt one append-only file. The lock ends with this process.
        folder = self._settings.data_dir.absolute() / "broker"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder_lock = (folder / "lock").open("w")
        try:
            fcntl.flock(self._folder_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StackFailedError(
                f"Another service runs in {folder.parent}. Stop it, or set FACEVITALS_DATA_DIR to a folder of its own."
            ) from error

    def wait_ready(self) -> None:
        """Return when the gateway answers and every queue has a worker.

        Raises:
            StackFailedError: it took longer than `READY_S`, or a part keeps dying.
        """
        end = time.monotonic() + READY_S
        missing = "gateway"
        with httpx.Client(timeout=2, trust_env=False) as client:
            while time.monotonic() < end:
                self.keep_running()
                with contextlib.suppress(httpx.HTTPError, ValueError):
                    answer = client.get(f"{self.url}/readyz").json()
                    idle = [queue for queue, count in answer["workers"].items() if not count]
                    if answer["status"] == "ok" and not idle:
                        return
                    missing = ", ".join(f"{queue} worker" for queue in idle) or str(answer)
                time.sleep(0.1)
        raise StackFailedError(f"Still not ready after {READY_S:.0f} s: {missing}.{self._where()}")

    def keep_running(self) -> list[str]:
        """Restart the parts that died; returns their names.

        Raises:
            StackFailedError: a part keeps dying, or the broker can't be restarted.
        """
        if self._broker and self._broker.child.process.poll() is not None:
            self._restart_broker()
        restarted = []
        for part in self._parts:
            if part.child is None or part.child.process.poll() is None:
                continue
            now = time.monotonic()
            part.deaths.append(now)
            while part.deaths and now - part.deaths[0] > RESTART_WINDOW_S:
                part.deaths.popleft()
            if len(part.deaths) > RESTARTS:
                code = part.child.process.returncode
                raise StackFailedError(f"The {part.name} keeps dying (exit {code}).{self._where()}")
            part.child.stop(0)
            part.child = part.start()
            restarted.append(part.name)
        return restarted

    def _restart_broker(self) -> None:
        # Same port and password: the other parts have its address. The append-only file restores the jobs.
        address = httpx.URL(self.redis_url)
        folder = (self._settings.data_dir / "broker").absolute()
        self._broker = start_broker(folder, port=address.port, password=address.password)

    def _where(self) -> str:
        return f" Logs: {self._logs}" if self._logs else ""

    def stop(self) -> None:
        """Stop gateway, workers and broker, in this order; no process is left behind."""
        for part in self._parts:
            if part.child:
                part.child.stop(part.grace_s)
        if self._broker:
            self._broker.child.stop(5)
        if self._folder_lock:
            self._folder_lock.close()


@contextmanager
def running(settings: Settings, *, workers: int = 1, logs: Path | None = None) -> Iterator[Stack]:
    """The service for the length of the block. SIGTERM and SIGINT end the block with `Stopped`."""
    stack = Stack(settings, workers=workers, logs=logs)
    with until_stopped(stack.stop):
        stack.start()
        yield stack
