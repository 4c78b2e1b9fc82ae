"""Limits of a request: size of header, form and body, and time; other clients are served meanwhile."""

import asyncio
import select
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from api.queue_limit import READING_S
from facevitals.bench.floods import ATTACKS, Pieces, run
from shared.access.api_keys import KeyRing
from shared.jobs.celery_messages import queue_key
from shared.vitals import Branch
from tests.service.conftest import LOOKS_LIKE_MP4, Service, end_service, new_service, wait_until

#: Seconds that this module's gateway waits for a silent client.
PATIENCE_S = 1
#: Limit for the resident memory of a gateway under attack, in MB.
MAX_MB = 200
FORM = "Content-Type: multipart/form-data; boundary=x"
CLIP_PART = b'--x\r\nContent-Disposition: form-data; name="clip"\r\n\r\n' + LOOKS_LIKE_MP4 + b"\r\n"


@pytest.fixture(scope="module")
def bounded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = new_service(tmp_path_factory.mktemp("bounded") / "service", client_timeout_s=PATIENCE_S)
    yield service
    end_service(service)


@pytest.fixture(autouse=True)
def _empty_queues(bounded: Service) -> None:
    # No worker runs: after a minute the queues would count as standing still, and uploads would be refused. All keys
    # are deleted, not the queues alone: the gateway queues unfinished jobs again whose messages are lost.
    if bounded.redis.exists(*map(queue_key, Branch)):
        bounded.redis.flushdb()
        # The gateway reads them once in `READING_S`.
        time.sleep(READING_S + 0.1)


def connection(service: Service) -> socket.socket:
    wire = socket.create_connection(("127.0.0.1", service.port))
    wire.settimeout(30)
    return wire


def head(method: str, path: str, *lines: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *lines, "", ""]).encode()


def everything(wire: socket.socket) -> bytes:
    """Everything that the gateway sends until it closes the connection."""
    received = b""
    while block := wire.recv(65_536):
        received += block
    return received


def status_of(received: bytes) -> int:
    return int(received.split(b" ", 2)[1]) if received else 0


def refused(service: Service, sent: bytes) -> bytes:
    """Send bytes on one connection; return the response, after which the gateway has closed the connection."""
    with connection(service) as wire:
        wire.sendall(sent)
        return everything(wire)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_an_attacked_gateway_stays_within_its_memory_and_serves_others(
    bounded: Service, attack: Callable[[], Pieces]
) -> None:
    effect = asyncio.run(run(attack, bounded.port, bounded.children[0].process.pid, seconds=1.5))
    assert effect.peak_mb < MAX_MB
    assert effect.livez_failures == 0
    # Not a measure of speed: an event loop that is blocked for so long serves no client.
    assert effect.slowest_livez_s < 10
    assert "Traceback" not in bounded.whole_logs()
    # Its last connections may still hold the places for uploads.
    with bounded.client() as client:
        wait_until(lambda: client.post("/v1/jobs", content=LOOKS_LIKE_MP4).status_code == 202, "uploads are accepted")


@pytest.mark.parametrize(
    "line", [b"X-Long: " + b"a" * 40_000, b"X-Many: a\r\n" * 4000, b"X-One: " + b"a" * 300_000], ids=len
)
def test_a_header_above_32_kb_is_refused_and_the_connection_closed(bounded: Service, line: bytes) -> None:
    answer = refused(bounded, b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n" + line + b"\r\n\r\n")
    assert status_of(answer) == 431
    assert b"urn:facevitals:problem:header-too-large" in answer
    assert status_of(refused(bounded, b"GET /livez?" + b"a" * 40_000 + b" HTTP/1.1\r\n\r\n")) == 431
    with bounded.client() as client:
        assert client.get("/livez", headers={"X-Long": "a" * 16_000}).status_code == 200


def test_save_video_gets_its_own_format_for_a_large_header(bounded: Service) -> None:
    answer = refused(bounded, head("POST", "/save_video?x=1", "X-Long: " + "a" * 40_000))
    assert status_of(answer) == 431
    assert b'"success":false' in answer


def test_an_incomplete_header_times_out(bounded: Service) -> None:
    with connection(bounded) as wire:
        wire.sendall(b"GET /livez HTTP/1.1\r\nX-Slow: ")
        # Each byte comes in time, but the whole header does not.
        for _ in range(8 * PATIENCE_S):
            time.sleep(0.25)
            try:
                wire.sendall(b"a")
            except ConnectionError:
                break
        answer = everything(wire)
    assert status_of(answer) == 408
    assert b"urn:facevitals:problem:request-too-slow" in answer


def test_idle_connections_are_closed(bounded: Service) -> None:
    with connection(bounded) as silent, connection(bounded) as answered:
        answered.sendall(head("GET", "/livez"))
        assert everything(silent) == b""
        # The connection was kept open for a next request.
        assert status_of(everything(answered)) == 200


def test_a_stalled_body_times_out_and_leaves_no_file(bounded: Service) -> None:
    begun = len(bounded.clips)
    beginning = LOOKS_LIKE_MP4 + b"\x00" * 300_000
    answer = refused(bounded, head("POST", "/v1/jobs", "Content-Length: 900000") + beginning)
    assert status_of(answer) == 408
    assert b"urn:facevitals:problem:request-too-slow" in answer
    assert b"connection: close" in answer.lower()
    old = refused(bounded, head("POST", "/save_video", "Content-Length: 900000") + beginning)
    assert status_of(old) == 408
    assert b'"success":false' in old
    wait_until(lambda: len(bounded.clips) <= begun, "the interrupted uploads are erased")
    for method, path in (
        ("GET", "/livez"),
        ("DELETE", "/v1/jobs/x"),
        ("POST", "/nowhere"),
        ("GET", "/v1/jobs/x/events"),
    ):
        assert status_of(refused(bounded, head(method, path, "Content-Length: 900"))) in {404, 408}


def test_a_slow_body_is_accepted_and_a_dripping_one_times_out(bounded: Service) -> None:
    def send(piece: bytes, size: int) -> int:
        with connection(bounded) as wire:
            wire.sendall(head("POST", "/v1/jobs", f"Content-Length: {size}") + LOOKS_LIKE_MP4)
            left = size - len(LOOKS_LIKE_MP4)
            while left > 0 and not select.select([wire], [], [], 0.25 * PATIENCE_S)[0]:
                wire.sendall(piece[:left])
                left -= len(piece)
            return status_of(wire.recv(65_536))

    # Both take three times the gateway's time-out; the first has the rate of a slow phone, the second is far slower.
    with ThreadPoolExecutor(2) as pool:
        phone = pool.submit(send, b"\x00" * 20_000, 240_000)
        dripping = pool.submit(send, b"\x00", 500)
    assert (phone.result(), dripping.result()) == (202, 408)


@pytest.mark.parametrize("path", ["/v1/jobs", "/save_video"])
def test_a_form_has_only_known_fields_each_once(bounded: Service, path: str) -> None:
    with bounded.client() as client:
        for field in ("user", "", "Vitals", "x" * 200):
            answer = client.post(path, files=[("clip", LOOKS_LIKE_MP4), (field, (None, "1"))])
            assert answer.status_code == 422, answer.text
            for known in ("clip", "video", "file", "vitals", "retain_clip", "webhook_url"):
                assert known in answer.text
        twice = client.post(
            path, files=[("vitals", (None, "age")), ("vitals", (None, "bmi")), ("clip", LOOKS_LIKE_MP4)]
        )
        assert twice.status_code == 422
        assert "sent 2 times" in twice.text
        long = client.post(path, files=[("vitals", (None, "a" * 5000)), ("clip", LOOKS_LIKE_MP4)])
        assert long.status_code == 422


@pytest.mark.parametrize(
    "body",
    [
        b"\r\n" * 40_000 + CLIP_PART + b"--x--\r\n",
        b"a preamble " * 7000 + b"\r\n" + CLIP_PART + b"--x--\r\n",
        CLIP_PART + b"--x--\r\n" + b"a" * 70_000,
    ],
    ids=["empty lines", "preamble", "epilogue"],
)
def test_bytes_outside_of_the_form_fields_are_limited(bounded: Service, body: bytes) -> None:
    declared = head("POST", "/v1/jobs", FORM, f"Content-Length: {len(body)}", "Connection: close") + body
    assert status_of(refused(bounded, declared)) == 413
    chunked = head("POST", "/v1/jobs", FORM, "Transfer-Encoding: chunked", "Connection: close")
    assert status_of(refused(bounded, chunked + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))) == 413
    for preamble in (b"\r\n" * 10_000, b"This is a message in parts.\r\n--xy, --x and x\r\n"):
        short = preamble + CLIP_PART + b"--x--\r\n" + b"a" * 20_000
        fine = head("POST", "/v1/jobs", FORM, f"Content-Length: {len(short)}", "Connection: close") + short
        assert status_of(refused(bounded, fine)) == 202


def test_an_unexpected_body_is_ignored_if_small_and_refused_if_large(bounded: Service) -> None:
    with bounded.client() as client:
        for method in ("GET", "DELETE"):
            for path, status in (("/livez", {200, 405}), ("/v1/jobs/x", {404}), ("/nowhere", {404})):
                assert client.request(method, path, content=b"x" * 60_000).status_code in status
                assert client.request(method, path, content=b"x" * 70_000).status_code == 413
                assert client.request(method, path, content=iter([b"x" * 70_000])).status_code == 413
        assert client.post("/nowhere", content=b"x" * 900_000).status_code == 404
        assert client.post("/livez", content=b"x" * 900_000).status_code == 405


def test_pipelined_requests_are_limited(bounded: Service) -> None:
    few = head("GET", "/livez") * 4 + head("GET", "/v1/jobs/x", "Connection: close")
    assert refused(bounded, few).count(b"HTTP/1.1 200 OK") == 4
    many = refused(bounded, head("GET", "/readyz") * 100)
    assert many.count(b"HTTP/1.1 ") <= 10


def test_the_overhead_of_chunks_is_limited(bounded: Service) -> None:
    begin = head("POST", "/v1/jobs", "Transfer-Encoding: chunked")
    for body in (b"1\r\na\r\n" * 40_000, b"1;x=" + b"a" * 200_000):
        assert status_of(refused(bounded, begin + body)) == 400
    with bounded.client() as client:
        pieces = [LOOKS_LIKE_MP4, *[b"\x00" * 512] * 2000]
        assert client.post("/v1/jobs", content=iter(pieces)).status_code == 202


def test_a_client_refused_while_it_sends_receives_the_response(make_service: Callable[..., Service]) -> None:
    service = make_service(require_keys=True)
    key = KeyRing(service.redis).create("one", rate_per_min=1).key
    clip = LOOKS_LIKE_MP4 + b"\x00" * 12_000_000
    with service.client() as client:
        assert client.post("/v1/jobs", content=clip).status_code == 401
        assert client.post("/v1/jobs", content=iter([clip])).status_code == 401
        for status in (202, 429):
            assert client.post("/v1/jobs", content=clip, headers={"X-API-Key": key}).status_code == status
        # A client that waits for 100 Continue is refused before it sends the body.
        with connection(service) as wire:
            wire.sendall(head("POST", "/v1/jobs", "Content-Length: 12000000", "Expect: 100-continue"))
            answer = everything(wire)
        assert status_of(answer) == 401
        assert b"100 Continue" not in answer


def test_concurrent_uploads_are_limited_and_wait_for_a_place(make_service: Callable[..., Service]) -> None:
    service = make_service(max_uploads=1, client_timeout_s=2)
    beginning = head("POST", "/v1/jobs", "Content-Length: 1000") + LOOKS_LIKE_MP4
    with connection(service) as first, service.client() as client:
        first.sendall(beginning)
        # Waits until the first upload, which has stalled, times out.
        assert client.post("/v1/jobs", content=LOOKS_LIKE_MP4).status_code == 202
        assert status_of(everything(first)) == 408
    wires = [connection(service) for _ in range(6)]
    for wire in wires:
        wire.sendall(beginning)
    with service.client() as client:
        assert client.get("/livez").status_code == 200
    assert {status_of(wire.recv(65_536)) for wire in wires} == {408, 503}
    for wire in wires:
        wire.close()
