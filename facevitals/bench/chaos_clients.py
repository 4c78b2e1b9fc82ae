"""Clients that submit clips while faults are injected, and retry each with its idempotency key until it is accepted."""

import hashlib
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import httpx

from facevitals.bench.jobs_and_uploads import HEAD
from facevitals.bench.worker_variables import POISON

#: Number of clients, and size of a clip in bytes.
CLIENTS: Final = 8
CLIP_BYTES: Final = 200_000
#: Seconds that each upload is spread over, so that some are under way whenever a fault is injected.
UPLOAD_S: Final = 0.4
#: Longest pause of a client between two clips: three jobs a second, about what the workers can do.
MAX_PAUSE_S: Final = 4.0
#: One clip in this many kills the process that opens it.
POISON_EVERY: Final = 50


@dataclass
class AcceptedUpload:
    """An upload answered by 202: its job, the hash of its bytes, and whether it kills its worker."""

    job_id: str
    sha256: str
    poison: bool


class Clients:
    """Threads that submit clips until `jobs` were accepted. The same seed gives the same clips and keys."""

    def __init__(self, url: str, jobs: int, seed: int) -> None:
        self._url, self._jobs, self._seed = url, jobs, seed
        self._next, self._lock = 0, threading.Lock()
        self._over = threading.Event()
        self.accepted: list[AcceptedUpload] = []
        #: Status codes and transport errors of all uploads.
        self.answers: Counter[str] = Counter()
        self._threads = [threading.Thread(target=self._submit_all) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    @property
    def busy(self) -> bool:
        """Whether any clip is still to be sent."""
        return any(thread.is_alive() for thread in self._threads)

    def stop(self) -> None:
        """Send no more clips, give up those under way, and wait for the threads to end."""
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
                self._over.wait(random.uniform(0, MAX_PAUSE_S) if self._next < self._jobs else 0)

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
                upload = AcceptedUpload(answer.json()["id"], hashlib.sha256(clip).hexdigest(), poison)
                with self._lock:
                    self.accepted.append(upload)
                return
            self._over.wait(min(float(answer.headers.get("Retry-After", "1")), 1.0))

    def _count(self, outcome: str) -> None:
        with self._lock:
            self.answers[outcome] += 1


def _slowly(clip: bytes, pieces: int = 8) -> Iterator[bytes]:
    size = len(clip) // pieces + 1
    for start in range(0, len(clip), size):
        yield clip[start : start + size]
        time.sleep(UPLOAD_S / pieces)
