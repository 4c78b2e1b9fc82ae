"""HEAD requests, and clients that disconnect."""

import socket
import time
from collections.abc import Callable

import httpx
import pytest

from tests.service.conftest import LOOKS_LIKE_MP4, WAIT_S, Service, wait_until

EVERYWHERE = ("/", "/livez", "/readyz", "/metrics", "/docs", "/openapi.json", "/v1/models", "/nowhere")
OF_A_JOB = ("", "/waveforms", "/fhir", "/events")
#: Headers that differ between two responses.
VARYING = {"date", "content-length"}


def headers_of(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in VARYING}


def test_head_has_the_headers_of_get_and_no_body(faulty_service: Service) -> None:
    finished, running = faulty_service.submit(), "01ARZ3NDEKTSV4RRFFQ69G5FAV"
    faulty_service.finished(finished)
    jobs = [f"/v1/jobs/{job}{part}" for job in (finished, running) for part in OF_A_JOB]
    with faulty_service.client() as client:
        for path in (*EVERYWHERE, *jobs):
            head, get = client.head(path), client.get(path)
            assert head.status_code == get.status_code, path
            assert head.content == b"", path
            if "transfer-encoding" not in get.headers:
                assert headers_of(head) == headers_of(get), path
            assert head.headers.get("content-type") == get.headers.get("content-type"), path


def test_head_of_an_event_stream_returns_at_once_and_keeps_the_connection(make_service: Callable[..., Service]) -> None:
    service = make_service()
    job = service.submit()
    # Without workers, the stream stays open until the deadline of the job.
    with socket.create_connection(("127.0.0.1", service.port)) as wire:
        wire.settimeout(30)
        host = b"HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        wire.sendall(b"HEAD /v1/jobs/%b/events %b\r\n" % (job.encode(), host))
        answer = wire.recv(65_536)
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"text/event-stream" in answer
        assert answer.endswith(b"\r\n\r\n")
        wire.sendall(b"GET /livez %bConnection: close\r\n\r\n" % host)
        assert wire.recv(65_536).startswith(b"HTTP/1.1 200")
    with service.client() as client:
        wait_until(lambda: "facevitals_waiting_clients 0.0" in client.get("/metrics").text, "the stream is closed")
    assert "Traceback" not in service.whole_logs()


def test_the_allow_header_lists_head_beside_get(faulty_service: Service) -> None:
    with faulty_service.client() as client:
        for path, allowed in {
            "/v1/jobs/x": "DELETE, GET, HEAD",
            "/v1/jobs": "POST",
            "/livez": "GET, HEAD",
            "/": "GET, HEAD",
        }.items():
            answer = client.patch(path)
            assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
        assert client.head("/v1/jobs").status_code == 405


def test_a_listed_origin_may_send_head(make_service: Callable[..., Service]) -> None:
    service = make_service(cors_origins="https://app.example")
    preflight = {"Origin": "https://app.example", "Access-Control-Request-Method": "HEAD"}
    with service.client() as client:
        answer = client.options("/v1/jobs/x", headers=preflight)
        assert answer.status_code == 200
        for method in ("GET", "HEAD", "POST", "DELETE"):
            assert method in answer.headers["access-control-allow-methods"]
        seen = client.head("/v1/jobs/x", headers={"Origin": "https://app.example"})
        assert seen.headers["access-control-allow-origin"] == "https://app.example"


RAW = b"Content-Length: 900000\r\n\r\n" + LOOKS_LIKE_MP4
FORM = (
    b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 900000\r\n\r\n"
    b'--x\r\nContent-Disposition: form-data; name="clip"\r\n\r\n' + LOOKS_LIKE_MP4
)
ONCE = b"Idempotency-Key: hung-up\r\n" + RAW


@pytest.mark.parametrize("settings", [{}, {"encrypt_clips": True, "log_level": "debug"}], ids=["plain", "sealed"])
def test_a_client_disconnect_is_one_log_line_at_info(
    make_service: Callable[..., Service], settings: dict[str, object]
) -> None:
    service = make_service(**settings)
    job = service.submit()
    before = len(service.whole_logs().splitlines())
    hung_up = [
        *(b"POST %b HTTP/1.1\r\nHost: 127.0.0.1\r\n%b" % (path, sent) for path in (b"/v1/jobs", b"/save_video")
          for sent in (RAW, RAW + bytes(300_000), FORM, ONCE, b"Transfer-Encoding: chunked\r\n\r\n")),
    ]  # fmt: skip
    for request in hung_up:
        logged = service.whole_logs().count("client disconnected")
        with socket.create_connection(("127.0.0.1", service.port)) as wire:
            wire.sendall(request)
        end = time.monotonic() + WAIT_S
        while service.whole_logs().count("client disconnected") == logged:
            assert time.monotonic() < end
            time.sleep(0.02)
    # No upload was interrupted here, so there is no line.
    for request in (
        b"GET /livez HTT",
        b"GET /v1/jobs/%b/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % job.encode(),
        b"GET /v1/jobs/%b HTTP/1.1\r\nHost: 127.0.0.1\r\nPrefer: wait=1\r\n\r\n" % job.encode(),
        b"GET /v1/jobs/x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900\r\n\r\n",
        b"POST /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", service.port)) as wire:
            wire.sendall(request)
    whole = b"POST /save_video HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % len(LOOKS_LIKE_MP4)
    with socket.create_connection(("127.0.0.1", service.port)) as wire:
        wire.sendall(whole + LOOKS_LIKE_MP4)
        wait_until(lambda: service.whole_logs().count("job accepted") == 2, "its job is created")
    with service.client() as client:
        assert client.get("/livez").status_code == 200
    assert service.whole_logs().count("client disconnected") == len(hung_up)
    for line in service.whole_logs().splitlines()[before:]:
        if "client disconnected" in line:
            assert "[info" in line
    logs = service.whole_logs()
    assert "Traceback" not in logs
    assert "[error" not in logs
    assert "[warning" not in logs
    assert len(service.clips) == 2, "interrupted uploads leave no file"
