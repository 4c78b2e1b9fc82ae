"""Jobs without analysis, and uploads: how long they take, here and in the baselines."""

import socket
import threading
import time
from collections.abc import Callable
from statistics import median
from typing import Any, Final

from redis import Redis

from facevitals.bench.baselines import noop
from shared.clips.store import ClipStore
from shared.ids import new_id
from shared.jobs.job_store import JobStore
from shared.jobs.keys import WAKE_CHANNEL, record_key
from shared.schemas import JobOptions
from shared.settings import Settings
from shared.vitals import Branch

#: Bytes of a short clip, and of one of 15 s at 2.5 Mbit/s, which is what the page records.
UPLOAD_BYTES: Final = (2 << 20, 4_700_000)
CLIENTS: Final = 8
#: First bytes of an MP4: all that the gateway checks of an upload.
HEAD: Final = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"


def noop_times(count: int) -> list[float]:
    """Seconds that each of `count` Celery no-ops takes, from enqueueing to the result."""
    times = []
    for _ in range(count):
        begun = time.perf_counter()
        noop.delay().get(timeout=20, interval=0.001)
        times.append(time.perf_counter() - begun)
    return times


def job_times(settings: Settings, count: int) -> list[float]:
    """Seconds that each of `count` jobs without analysis takes, from enqueueing to the assembled document.

    Needs workers of `facevitals.bench.idle_worker` on both queues.

    Raises:
        ValueError: the clip store is not a folder.
    """
    broker, store = JobStore.connect(settings.redis_url, 3600), ClipStore(settings.store)
    folder = store.root
    if folder is None:
        raise ValueError("the load bench needs a store that is a folder")
    times = []
    # A blocking read on its own connection: polling would add to what is measured.
    waiting: Any = Redis.from_url(settings.redis_url, decode_responses=True)
    channel = waiting.pubsub(ignore_subscribe_messages=True)
    channel.subscribe(WAKE_CHANNEL)
    for _ in range(count):
        job_id = new_id()
        key = store.key(job_id)
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(HEAD)
        begun = time.perf_counter()
        broker.submissions.create(job_id, list(Branch), JobOptions(), owner="-", clip_key=key, deadline_s=60)
        while not _done(broker, job_id):
            channel.get_message(timeout=1.0)
        times.append(time.perf_counter() - begun)
    return times


def _done(broker: JobStore, job_id: str) -> bool:
    return bool(broker.redis.hexists(record_key(job_id), "document"))


def uploads_per_s(port: int, path: str, size: int, seconds: float) -> float:
    """Uploads of `size` bytes a second that a server on loopback accepts from eight clients on open connections.

    Raises:
        ConnectionError: the server refused an upload or closed a connection.
    """
    body = HEAD + b"\x00" * (size - len(HEAD))
    request = _request(path, body)
    end = time.perf_counter() + seconds
    counts = [0] * CLIENTS

    def client(number: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as wire:
            while time.perf_counter() < end:
                wire.sendall(request)
                read_response(wire)
                counts[number] += 1

    begun = time.perf_counter()
    _in_threads(CLIENTS, client)
    return sum(counts) / (time.perf_counter() - begun)


def upload_together(port: int, clients: int, size: int) -> None:
    """Send `clients` uploads of `size` bytes at the same time, each on its own connection.

    Raises:
        ConnectionError: the server refused an upload or closed a connection.
    """
    chunk = b"\x00" * (1 << 20)

    def client(_: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as wire:
            wire.sendall(_request("/v1/jobs", b"", length=size) + HEAD)
            left = size - len(HEAD)
            while left > 0:
                wire.sendall(chunk[: min(left, len(chunk))])
                left -= len(chunk)
            read_response(wire)

    _in_threads(clients, client)


def percentile(values: list[float], share: float) -> float:
    """The `share` quantile of the values."""
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]


def median_ms(times_s: list[float]) -> float:
    """Median of times in seconds, as milliseconds."""
    return 1000 * median(times_s)


def read_response(wire: socket.socket) -> int:
    """Read one HTTP response; its status.

    Raises:
        ConnectionError: the server closed the connection, or the status is not 202.
    """
    data = b""
    while b"\r\n\r\n" not in data:
        data += _more(wire)
    head, _, rest = data.partition(b"\r\n\r\n")
    length = next(
        (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
    )
    while len(rest) < length:
        rest += _more(wire)
    status = int(head.split(b" ", 2)[1])
    if status != 202:
        raise ConnectionError(f"answered {status}: {rest[:300]!r}")
    return status


def _more(wire: socket.socket) -> bytes:
    data = wire.recv(65536)
    if not data:
        raise ConnectionError("the server closed the connection")
    return data


def _request(path: str, body: bytes, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/octet-stream"]
    return "\r\n".join([*lines, f"Content-Length: {size}", "", ""]).encode() + body


def _in_threads(count: int, run: Callable[[int], None]) -> None:
    failures: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            run(number)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
