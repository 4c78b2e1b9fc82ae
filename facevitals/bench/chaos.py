"""`facevitals bench chaos`: jobs while workers are killed and frozen, broker and gateway restarted, the disk filled.

Everything is real but the analysis (`facevitals.bench.chaos_worker`): broker with its append-only file, gateway,
workers and HTTP. Every accepted job must end in exactly one final document of its own clip, and leave nothing behind.
"""

import contextlib
import hashlib
import math
import os
import random
import resource
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import redis

from facevitals.bench.chaos_worker import POISON, SLEEP_VARIABLE, TRIES_VARIABLE
from facevitals.bench.jobs_and_uploads import HEAD
from facevitals.local.broker import crash, free_port, start_broker
from facevitals.local.isolated_settings import isolated_settings
from facevitals.local.processes import Child, start_child, until_stopped
from facevitals.local.worker_command import worker_command
from shared.jobs.queues import BROKER_PREFIX, QUEUES, QUEUES_VARIABLE
from shared.jobs.records import MAX_TRIES, connect
from shared.schemas import JobState

_WORKER_NAMES: Final = ("worker 1", "worker 2")
CLIENTS: Final = 8
CLIP_BYTES: Final = 200_000
#: Each upload takes so long, so that some are under way whenever something happens.
UPLOAD_S: Final = 0.4
#: Longest pause of a client between two clips: three jobs a second, about what the workers can do.
PAUSE_S: Final = 4.0
#: What the gateway's files may have while the disk is "full".
FULL_AT_BYTES: Final = 50_000
#: One job in this many kills whoever opens its clip.
POISON_EVERY: Final = 50


@dataclass
class Sent:
    """One accepted upload."""

    job_id: str
    sha256: str
    poison: bool


@dataclass
class Stage:
    """The service, and how to hurt it. Children are started by the thread that made it, which must be the main one."""

    folder: Path
    job_deadline_s: float
    clip_ttl_s: int
    rng: random.Random
    log: Callable[[str], None]
    port: int = field(default_factory=free_port)
    done: Counter[str] = field(default_factory=Counter)
    #: By name; whoever is started in the place of another takes its name.
    children: dict[str, Child] = field(default_factory=dict)

    def start(self) -> None:
        """Start all of it; returns before it is ready."""
        self._undo: list[tuple[float, Callable[[], None]]] = []
        self.tries = self.folder / "tries"
        self.tries.mkdir(parents=True)
        self._start_broker()
        self._start_gateway()
        for name in _WORKER_NAMES:
            self._start_worker(name)

    @property
    def gateway(self) -> Child:
        """The one that runs, or died last."""
        return self.children["gateway"]

    @property
    def workers(self) -> list[Child]:
        """Likewise."""
        return [self.children[name] for name in _WORKER_NAMES]

    @property
    def url(self) -> str:
        """The gateway's."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def clips(self) -> list[Path]:
        """What lies in the store."""
        return [path for path in (self.folder / "clips").rglob("*") if path.is_file()]

    def _start(self, name: str, command: list[str]) -> None:
        config = isolated_settings(
            self.folder,
            redis_url=self.broker.url,
            port=self.port,
            # All the time for waiting, and as much for two tries of work.
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
            # Whoever is frozen when we are killed hears nothing but this.
            self.children[name] = start_child(name, command, env=env, log=log, on_our_death=signal.SIGKILL)

    def _start_broker(self, port: int | None = None, password: str | None = None) -> None:
        self.broker = start_broker(self.folder / "broker", port, password, on_our_death=signal.SIGKILL)
        self.children["broker"] = self.broker.child

    def _start_gateway(self) -> None:
        self._start("gateway", [sys.executable, "-m", "facevitals", "gateway"])

    def _start_worker(self, name: str) -> None:
        self._start(name, worker_command("facevitals.bench.chaos_worker", list(QUEUES.values()), 2, "warning"))

    # --- what happens to it

    def keep_up(self) -> None:
        """What a supervisor does: start again what died; and end what chaos began a while ago."""
        now = time.monotonic()
        for due, undo in [entry for entry in self._undo if entry[0] <= now]:
            undo()
            self._undo = [entry for entry in self._undo if entry != (due, undo)]
        if self.gateway.process.poll() is not None:
            self.gateway.stop(0)
            self._start_gateway()
        for worker in self.workers:
            if worker.process.poll() is not None:
                worker.stop(0)
                self._start_worker(worker.name)

    def is_up(self) -> bool:
        """Whether it can be used. What died is started again: a gateway that was told to stop takes its time."""
        self.keep_up()
        return _ready(self.url)

    def _later(self, delay_s: float, undo: Callable[[], None]) -> None:
        self._undo.append((time.monotonic() + delay_s, undo))

    def kill_a_process(self) -> None:
        """kill -9 of a process that works; its parent lives."""
        with contextlib.suppress(OSError, IndexError):
            os.kill(self.rng.choice(_pool(self.rng.choice(self.workers).process.pid)), signal.SIGKILL)

    def kill_a_worker(self) -> None:
        """kill -9 of a worker with all of its processes."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.rng.choice(self.workers).process.pid, signal.SIGKILL)

    def freeze_a_worker(self) -> None:
        """SIGSTOP for longer than a claim lasts."""
        parent = self.rng.choice(self.workers).process.pid
        with contextlib.suppress(OSError):
            for pid in (parent, *_pool(parent)):
                os.kill(pid, signal.SIGSTOP)
        self._later(self.rng.uniform(2, 25), lambda: _continue(parent))

    def restart_the_broker(self) -> None:
        """kill -9, then back with what its append-only file holds."""
        address = httpx.URL(self.broker.url)
        crash(self.broker)
        time.sleep(self.rng.uniform(0.2, 2.0))
        self._start_broker(address.port, address.password)

    def freeze_the_broker(self) -> None:
        """SIGSTOP for a few seconds."""
        group = self.broker.child.process.pid
        os.killpg(group, signal.SIGSTOP)
        time.sleep(self.rng.uniform(1, 4))
        _continue(group)

    def restart_the_gateway(self) -> None:
        """SIGTERM; the supervisor starts another."""
        self.gateway.process.terminate()

    def kill_the_gateway(self) -> None:
        """kill -9 in the middle of uploads."""
        self.gateway.process.kill()

    def fill_the_disk(self) -> None:
        """No file of the gateway's may grow beyond a quarter of a clip for some seconds: writing fails half-way."""
        process = self.gateway.process
        if process.poll() is None:
            with contextlib.suppress(OSError):
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (FULL_AT_BYTES, resource.RLIM_INFINITY))
            self._later(self.rng.uniform(1, 3), lambda: _room_again(process.pid))

    def harm(self) -> list[Callable[[], None]]:
        """Everything above, in some order."""
        kinds = [
            *(self.kill_a_process, self.kill_a_worker, self.freeze_a_worker, self.restart_the_broker),
            *(self.freeze_the_broker, self.restart_the_gateway, self.kill_the_gateway, self.fill_the_disk),
        ]
        self.rng.shuffle(kinds)
        return kinds

    def calm(self) -> None:
        """Undo what is still to be undone, and see that all of it runs."""
        for _, undo in self._undo:
            undo()
        self._undo = []
        self.keep_up()

    def stop(self) -> None:
        """Gateway, workers, broker, as far as they were started and in whatever state they are."""
        left = list(self.children.values())
        for child in left:
            if child.process.poll() is None:
                _continue(child.process.pid)
        # The broker, which was started first, goes last.
        for child in [*left[1:], *left[:1]]:
            child.stop(6)


def _pool(parent: int) -> list[int]:
    """A worker's processes. Not the one that minds their semaphores: frozen, it would outlive them all."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(pid) for pid in children if b"semaphore_tracker" not in Path(f"/proc/{pid}/cmdline").read_bytes()]


def _continue(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGCONT)


def _room_again(pid: int) -> None:
    with contextlib.suppress(OSError):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


class Clients:
    """Threads that submit clips until enough were accepted, as a careful client does: again, with the same key."""

    def __init__(self, url: str, jobs: int, seed: int) -> None:
        self._url, self._jobs, self._seed = url, jobs, seed
        self._next, self._lock = 0, threading.Lock()
        self._over = threading.Event()
        self.sent: list[Sent] = []
        self.answers: Counter[str] = Counter()
        self._threads = [threading.Thread(target=self._submit_all) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    @property
    def busy(self) -> bool:
        """Whether clips are still to be sent."""
        return any(thread.is_alive() for thread in self._threads)

    def stop(self) -> None:
        """Send no more, and give up what is under way."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _submit_all(self) -> None:
        with httpx.Client(base_url=self._url, timeout=10, trust_env=False) as client:
            while not self._over.is_set():
                with self._lock:
                    number = self._next
                    self._next += 1
                if number >= self._jobs:
                    return
                self._submit(client, number)
                self._over.wait(random.uniform(0, PAUSE_S) if self._next < self._jobs else 0)

    def _submit(self, client: httpx.Client, number: int) -> None:
        rng = random.Random(f"{self._seed} {number}")
        poison = number % POISON_EVERY == POISON_EVERY // 2
        clip = HEAD + (POISON if poison else b"") + rng.randbytes(CLIP_BYTES)
        headers = {"Idempotency-Key": f"chaos-{self._seed}-{number}"}
        while not self._over.is_set():
            try:
                answer = client.post("/v1/jobs", content=_slowly(clip), headers=headers)
            except httpx.TransportError as error:
                self._count(type(error).__name__)
                self._over.wait(0.3)
                continue
            self._count(str(answer.status_code))
            if answer.status_code == 202:
                job = Sent(answer.json()["id"], hashlib.sha256(clip).hexdigest(), poison)
                with self._lock:
                    self.sent.append(job)
                return
            self._over.wait(min(float(answer.headers.get("Retry-After", "1")), 1.0))

    def _count(self, what: str) -> None:
        with self._lock:
            self.answers[what] += 1


def _slowly(clip: bytes, pieces: int = 8) -> Iterator[bytes]:
    size = len(clip) // pieces + 1
    for start in range(0, len(clip), size):
        yield clip[start : start + size]
        time.sleep(UPLOAD_S / pieces)


def chaos(
    folder: Path, jobs: int, seed: int, *, every_s: float, job_deadline_s: float, log: Callable[[str], None]
) -> dict[str, Any]:
    """Run it; the summary. `every_s`: seconds between two blows.

    Raises:
        Stopped: SIGINT or SIGTERM came. Nothing that was started is left, frozen or not.
    """
    stage = Stage(folder, job_deadline_s, clip_ttl_s=math.ceil(2.5 * job_deadline_s), rng=random.Random(seed), log=log)
    with until_stopped(stage.stop):
        stage.start()
        _wait(stage.is_up, 120, "the service to start")
        begun = time.monotonic()
        clients = Clients(stage.url, jobs, seed)
        try:
            _strike(stage, clients, begun, every_s)
        finally:
            clients.stop()
        stage.calm()
        log(f"{time.monotonic() - begun:6.1f} s  {len(clients.sent):5d} jobs  calm; waiting for what is left")
        return _reckon(stage, clients, begun)


def _strike(stage: Stage, clients: Clients, begun: float, every_s: float) -> None:
    """Blow after blow, until the clients are done."""
    pending: list[Callable[[], None]] = []
    while clients.busy:
        stage.keep_up()
        # Every kind has its turn, however soon the clients are done.
        pending = pending or stage.harm()
        blow = pending.pop()
        told = blow.__name__.replace("_", " ")
        stage.log(f"{time.monotonic() - begun:6.1f} s  {len(clients.sent):5d} jobs  {told}")
        stage.done[blow.__name__] += 1
        blow()
        end = time.monotonic() + stage.rng.uniform(0.5 * every_s, 1.5 * every_s)
        while time.monotonic() < end and clients.busy:
            stage.keep_up()
            time.sleep(0.1)


def _reckon(stage: Stage, clients: Clients, begun: float) -> dict[str, Any]:
    broker = connect(stage.broker.url)
    final = {state for state in JobState if state.is_final}
    left = {sent.job_id for sent in clients.sent}
    documents: dict[str, dict[str, Any]] = {}
    lost = set()
    _wait(stage.is_up, 120, "the service after the chaos")
    # A job ends by its deadline, whatever happened to it; a second for the sweep, some for a busy machine.
    end = time.monotonic() + 2 * stage.job_deadline_s + 15
    with httpx.Client(base_url=stage.url, timeout=30, trust_env=False) as client:
        while left and time.monotonic() < end:
            stage.keep_up()
            for job_id in list(left):
                answer = client.get(f"/v1/jobs/{job_id}")
                if answer.status_code == 404:
                    lost.add(job_id)
                    left.discard(job_id)
                elif answer.status_code == 200 and answer.json()["state"] in final:
                    documents[job_id] = answer.json()
                    left.discard(job_id)
            time.sleep(0.3)
        ended_s = time.monotonic() - begun
        # Late writers have had their chance when nobody holds a claim any more.
        time.sleep(1.0)
        changed = [id_ for id_, document in documents.items() if client.get(f"/v1/jobs/{id_}").json() != document]
    doubled = {id_ for id_ in documents if _ends(broker, id_) != 1} | set(changed)
    doubled |= {id_ for id_, count in Counter(sent.job_id for sent in clients.sent).items() if count > 1}
    foreign = [
        sent.job_id
        for sent in clients.sent
        if (clip := documents.get(sent.job_id, {}).get("clip")) and clip["sha256"] != sent.sha256
    ]
    tries = [path.stat().st_size for path in stage.tries.iterdir()]
    # A clip whose job was never made, because its gateway died, lies until its time is up and no longer.
    limit = time.monotonic() + stage.clip_ttl_s + 5
    while stage.clips and time.monotonic() < limit:
        stage.keep_up()
        time.sleep(0.5)
    ended = [branch for document in documents.values() for branch in document["branches"].values()]
    for detail, count in Counter(branch["error"]["detail"] for branch in ended if branch["error"]).most_common():
        stage.log(f"{count:5d} branches  {detail}")
    return {
        "jobs": len(clients.sent),
        "documents": len(documents),
        "lost": len(lost | left),
        "doubled": len(doubled),
        "foreign": len(foreign),
        "clips_left": len(stage.clips),
        "keys_without_ttl": len(_eternal(broker)),
        "most_tries": max(tries, default=0),
        "tries_allowed": MAX_TRIES,
        "branches": dict(Counter(branch["status"] for branch in ended)),
        "seconds": round(ended_s, 1),
        "blows": dict(stage.done),
        "answers": dict(clients.answers),
    }


def _ends(broker: redis.Redis, job_id: str) -> int:
    """`done` events of a job."""
    entries: Any = broker.xrange(f"fv:job:{job_id}:events")
    return sum(fields["event"] == "done" for _, fields in entries)


def _eternal(broker: redis.Redis) -> list[str]:
    """Keys of ours that never end; queues and their bindings are Celery's."""
    keys: Any = broker.scan_iter()
    return [key for key in keys if not key.startswith(BROKER_PREFIX) and broker.ttl(key) == -1]


def _ready(url: str) -> bool:
    try:
        answer = httpx.get(f"{url}/readyz", timeout=2, trust_env=False).json()
    except (httpx.HTTPError, ValueError):
        return False
    return bool(answer["status"] == "ok" and all(answer["workers"].values()))


def _wait(true: Callable[[], bool], timeout_s: float, what: str) -> None:
    end = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {timeout_s:.0f} s for {what}")
        time.sleep(0.2)
