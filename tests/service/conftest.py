"""The real service for tests: embedded broker, gateway and workers as processes, on free ports in a folder."""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from api.dependencies import Gateway
from api.job_notifier import JobNotifier
from api.queue_limit import QueueLimit
from facevitals.local.broker import Broker, free_port, start_broker
from facevitals.local.processes import Child, start_child
from facevitals.local.worker_command import worker_command
from shared.clips.store import ClipStore
from shared.jobs.connection import connect
from shared.jobs.job_store import JobStore
from shared.jobs.queues import BROKER_PREFIX, QUEUES, QUEUES_VARIABLE
from shared.jobs.records import JobRecords
from shared.settings import Settings

#: A tiny file that the gateway accepts as an MP4. It contains no video.
LOOKS_LIKE_MP4 = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + b"\x00" * 200

#: Time-outs of waits. They end a test that would wait for ever, and are long enough for a busy machine.
WORKER_READY_S = 150.0
WAIT_S = 60.0


def wait_until(true: Callable[[], Any], what: str, timeout_s: float = WAIT_S) -> Any:  # noqa: ANN401
    """Poll until `true()` returns a true value, and return it; fail after `timeout_s`."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if value := true():
            return value
        time.sleep(0.05)
    pytest.fail(f"not within {timeout_s} s: {what}")


@dataclass
class Service:
    """One service under test."""

    folder: Path
    broker: Broker
    env: dict[str, str]
    children: list[Child] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def redis(self) -> "redis.Redis":
        return connect(self.broker.url)

    @property
    def jobs(self) -> JobStore:
        return JobStore(self.redis, 86400)

    @property
    def records(self) -> JobRecords:
        return self.jobs.records

    @property
    def clips(self) -> list[Path]:
        """Files in the clip store."""
        return [path for path in (self.folder / "clips").rglob("*") if path.is_file()]

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=40)

    def start_gateway(self) -> Child:
        self.port = self.port or free_port()
        child = self._start("gateway", [sys.executable, "-m", "facevitals", "gateway"])
        with self.client() as client:
            wait_until(lambda: _answers(client), "gateway answers", WORKER_READY_S)
        return child

    def start_worker(self, queues: str, app: str = "workers.tasks", wait: bool = True, **env: str) -> Child:
        names = queues.split(",")
        before = self._cards()
        child = self._start(f"worker-{queues}", worker_command(app, names, 1, "info"), {QUEUES_VARIABLE: queues, **env})
        if wait:
            wait_until(lambda: self._cards() - before, f"{queues} worker shows its card", WORKER_READY_S)
        return child

    def _cards(self) -> set[str]:
        return set(self.redis.scan_iter(match="fv:worker:*"))

    def _start(self, name: str, command: list[str], env: dict[str, str] | None = None) -> Child:
        with (self.folder / f"{name}.log").open("ab") as log:
            child = start_child(
                name, command, env={**self.env, "FACEVITALS_PORT": str(self.port), **(env or {})}, log=log
            )
        self.children.append(child)
        return child

    def submit(self, clip: bytes = LOOKS_LIKE_MP4, **params: str) -> str:
        with self.client() as client:
            answer = client.post("/v1/jobs", content=clip, params=params)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def document(self, job_id: str) -> dict[str, Any]:
        with self.client() as client:
            answer = client.get(f"/v1/jobs/{job_id}")
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def finished(self, job_id: str, timeout_s: float = 120.0) -> dict[str, Any]:
        """The final document; fails if the job does not end in time."""
        final = {"succeeded", "failed", "cancelled"}

        def ended() -> dict[str, Any] | None:
            document = self.document(job_id)
            return document if document["state"] in final else None

        document: dict[str, Any] = wait_until(ended, f"job {job_id} ends", timeout_s)
        return document

    def logs(self) -> str:
        return "\n".join(
            f"--- {path.name}\n{path.read_text(errors='replace')[-4000:]}" for path in self.folder.glob("*.log")
        )

    def whole_logs(self) -> str:
        """Every line of gateway, workers and broker."""
        return "".join(path.read_text(errors="replace") for path in self.folder.rglob("*.log"))

    def stop(self) -> None:
        for child in self.children:
            child.stop(6)
        self.broker.child.stop(3)


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/livez").status_code == 200
    except httpx.TransportError:
        return False


def assert_every_key_has_a_ttl(service: Service) -> None:
    """Fail if a key of the service has no time to live; Celery's queues and their bindings have none."""
    client = service.redis
    forever = [key for key in client.scan_iter() if not key.startswith(BROKER_PREFIX) and client.ttl(key) == -1]
    assert not forever, f"keys without a time to live: {forever}"


def new_service(folder: Path, **settings: object) -> Service:
    """Start a broker and a gateway in `folder`, with the given settings."""
    folder.mkdir()
    broker = start_broker(folder / "broker")
    env = {
        "FACEVITALS_REDIS_URL": broker.url,
        "FACEVITALS_DATA_DIR": str(folder),
        "FACEVITALS_MODELS_DIR": os.environ.get("FACEVITALS_MODELS_DIR", str(Path(".facevitals/models").absolute())),
        **{f"FACEVITALS_{name.upper()}": str(value) for name, value in settings.items()},
    }
    service = Service(folder, broker, env)
    service.start_gateway()
    return service


def end_service(service: Service) -> None:
    """Stop the service; fail if it leaves a key without a time to live or a process."""
    try:
        if service.broker.child.process.poll() is None:
            assert_every_key_has_a_ttl(service)
    finally:
        service.stop()
        wait_until(lambda: not processes_of(service.folder), "no process is left behind")


def processes_of(folder: Path) -> dict[str, str]:
    """Processes that use `folder`: their state ("T": stopped) by process id and command line."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (process / "cmdline").read_bytes()
            if os.fsencode(folder) in command + (process / "environ").read_bytes():
                state = (process / "stat").read_text().rpartition(")")[2].split()[0]
                if state != "Z":
                    found[f"{process.name} {command.replace(bytes(1), b' ').decode(errors='replace')}"] = state
    return found


def gateway_in_process(settings: Settings, store: ClipStore | None = None) -> Gateway:
    """A `Gateway` in this process, for tests that call the gateway's loops and endpoints directly."""
    jobs = JobStore.connect(settings.redis_url, 3600)
    store = store or ClipStore(settings.store)
    return Gateway(settings, jobs, store, JobNotifier(settings.redis_url), QueueLimit(jobs, settings))


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker without a service."""
    broker = start_broker(tmp_path / "broker")
    yield broker
    broker.child.stop(3)


@pytest.fixture
def make_service(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., Service]]:
    """A factory of services for one test."""
    made: list[Service] = []

    def make(**settings: object) -> Service:
        made.append(new_service(tmp_path / f"service{len(made)}", **settings))
        return made[-1]

    yield make
    for service in made:
        if request.node.stash.get(_FAILED, False):
            sys.stderr.write(service.logs())
        end_service(service)


@pytest.fixture(scope="module")
def faulty_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for the tests of a module, with a worker whose analysis is quick and abstains."""
    service = new_service(tmp_path_factory.mktemp("faulty") / "service", max_upload_mb=1)
    service.start_worker("vision,rppg", "tests.service.faulty_worker")
    yield service
    end_service(service)


_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if report.when == "call" and report.failed:  # type: ignore[attr-defined]
        item.stash[_FAILED] = True
    return report


__all__ = ["QUEUES", "Service", "wait_until"]
