"""`/save_video` responds with its JSON within its limit while it receives, stores or waits."""

import contextlib
import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from api.queue_limit import REFUSAL_S
from facevitals.local.broker import crash
from shared.jobs.keys import record_key
from tests.service.conftest import LOOKS_LIKE_MP4, Service, end_service, new_service, wait_until


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A gateway with a limit of 5 seconds for this call instead of 285, without workers."""
    service = new_service(tmp_path_factory.mktemp("old") / "service", job_deadline_s=900, save_video_limit_s=5)
    yield service
    end_service(service)


def save_video(service: Service, clip: bytes = LOOKS_LIKE_MP4) -> httpx.Response:
    """Call `/save_video`. The client's time-out is longer than the limit, and shorter than any other one."""
    with httpx.Client(base_url=service.url, timeout=20) as client:
        return client.post("/save_video", files={"video": clip})


def failed(answer: httpx.Response, status: int) -> dict[str, Any]:
    """Check a failure of the call; return its body."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body: dict[str, Any] = answer.json()
    assert body.keys() == {"success", "message", "result", "reasons", "job"}
    assert body["success"] is False
    assert body["message"]
    return body


@contextlib.contextmanager
def frozen(service: Service) -> Iterator[None]:
    """Freeze the broker: its connections stay open without responses."""
    os.kill(service.broker.child.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(service.broker.child.process.pid, signal.SIGCONT)


def waiting_jobs(service: Service) -> list[str]:
    return [str(job) for job in service.redis.zrange("fv:deadlines", 0, -1)]


def test_a_response_at_the_limit_names_the_job_and_the_job_goes_on(service: Service) -> None:
    answer = save_video(service)
    body = failed(answer, 504)
    job = body["job"]["id"]
    assert body["job"]["state"] == "queued"
    assert f"GET /v1/jobs/{job}" in body["message"]
    assert answer.headers["location"] == f"/v1/jobs/{job}"
    assert service.document(job)["state"] == "queued"


def test_a_stalled_body_gets_a_response_and_leaves_no_file(service: Service) -> None:
    before = waiting_jobs(service), service.clips
    wire = http.client.HTTPConnection("127.0.0.1", service.port, timeout=20)
    wire.putrequest("POST", "/save_video")
    wire.putheader("Content-Length", "100000")
    wire.endheaders(LOOKS_LIKE_MP4)
    answer = wire.getresponse()
    assert answer.status == 504
    body = json.loads(answer.read())
    wire.close()
    assert body["success"] is False
    assert body["job"] is None
    wait_until(lambda: (waiting_jobs(service), service.clips) == before, "no job and no clip is left")


class SlowUpload:
    """An upload of 5 kB ten times a second, which no limit of a body ends."""

    def __init__(self, service: Service, path: str, size: int = 10_000_000) -> None:
        self.wire = http.client.HTTPConnection("127.0.0.1", service.port, timeout=40)
        self.wire.connect()
        # Otherwise the first piece after the end would open another connection.
        self.wire.auto_open = 0
        self.wire.putrequest("POST", path)
        self.wire.putheader("Content-Length", str(len(LOOKS_LIKE_MP4) + size))
        self.wire.endheaders(LOOKS_LIKE_MP4)
        self._sending = threading.Thread(target=self._send, args=(size,), daemon=True)
        self._sending.start()

    def _send(self, size: int) -> None:
        with contextlib.suppress(OSError, http.client.NotConnected):
            for _ in range(size // 5000):
                time.sleep(0.1)
                self.wire.send(bytes(5000))

    def close(self) -> None:
        self.wire.close()
        self._sending.join()


def test_a_slow_body_does_not_delay_the_response(service: Service) -> None:
    begun = time.monotonic()
    with contextlib.closing(SlowUpload(service, "/save_video")) as upload:
        answer = upload.wire.getresponse()
        assert answer.status == 504
        assert json.loads(answer.read())["success"] is False
        # The limit and the time for the rest of the body, with a margin for a busy machine.
        assert time.monotonic() - begun < 5 + 3 + 10


def test_waiting_for_an_upload_place_counts_towards_the_limit(make_service: Callable[..., Service]) -> None:
    service = make_service(max_uploads=1, client_timeout_s=5, job_deadline_s=900, save_video_limit_s=6)
    # This upload takes the only place for about 5 s, while the 6 s of the call are running.
    with contextlib.closing(SlowUpload(service, "/v1/jobs", size=250_000)):
        wait_until(lambda: service.clips, "the other upload has begun")
        begun = time.monotonic()
        failed(save_video(service), 504)
        assert time.monotonic() - begun < 5 + 6 - 0.5


def test_a_frozen_broker_does_not_delay_the_response(service: Service) -> None:
    with frozen(service):
        assert failed(save_video(service), 504)["job"] is None


def test_a_broker_that_freezes_while_the_job_waits_does_not_delay_the_response(service: Service) -> None:
    before, answers = waiting_jobs(service), list[httpx.Response]()
    caller = threading.Thread(target=lambda: answers.append(save_video(service)))
    caller.start()
    wait_until(lambda: waiting_jobs(service) != before, "the job is created")
    with frozen(service):
        caller.join()
    (job,) = set(waiting_jobs(service)) - set(before)
    # The document as it was last read.
    assert failed(answers[0], 504)["job"]["id"] == job


def test_a_full_broker_is_503(service: Service) -> None:
    before = service.clips
    service.redis.config_set("maxmemory", "1")
    try:
        failed(save_video(service), 503)
    finally:
        service.redis.config_set("maxmemory", "0")
        # The gateway refuses uploads for this long.
        time.sleep(REFUSAL_S)
    assert service.clips == before


def test_an_unexpected_error_is_503_and_logged(service: Service) -> None:
    before, answers = waiting_jobs(service), list[httpx.Response]()
    caller = threading.Thread(target=lambda: answers.append(save_video(service)))
    caller.start()
    (job,) = wait_until(lambda: set(waiting_jobs(service)) - set(before), "the job is created")
    # As a record of another release might be.
    service.redis.hset(record_key(job), "created", "yesterday")
    service.redis.publish("fv:wake", job)
    caller.join()
    assert failed(answers[0], 503)["job"]["id"] == job
    assert "save_video failed" in service.whole_logs()
    assert "ValueError" in service.whole_logs()


def test_a_broker_that_dies_while_the_job_waits_is_503(make_service: Callable[..., Service]) -> None:
    service, answers = make_service(job_deadline_s=900, save_video_limit_s=60), list[httpx.Response]()
    caller = threading.Thread(target=lambda: answers.append(save_video(service)))
    caller.start()
    (job,) = wait_until(lambda: waiting_jobs(service), "the job is created")
    crash(service.broker)
    caller.join()
    body = failed(answers[0], 503)
    assert body["job"]["id"] == job
    assert f"GET /v1/jobs/{job}" in body["message"]
    assert answers[0].headers["retry-after"]
