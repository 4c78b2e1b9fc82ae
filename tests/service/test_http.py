"""The HTTP interface of the gateway, with a real broker and worker."""

import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from shared.vitals import VITALS
from tests.service.conftest import LOOKS_LIKE_MP4, Service, wait_until

WEBM = b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm" + b"\x00" * 200


@pytest.fixture
def http(faulty_service: Service) -> Any:  # noqa: ANN401
    with faulty_service.client() as client:
        yield client


def events_of(answer: httpx.Response) -> list[dict[str, str]]:
    blocks = [block for block in answer.text.split("\n\n") if block.strip()]
    return [dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":")) for block in blocks]


def problem(answer: httpx.Response, status: int, kind: str) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["type"] == f"urn:facevitals:problem:{kind}"
    assert body["status"] == status
    assert body["detail"]
    return str(body["detail"])


@pytest.mark.parametrize("clip", [LOOKS_LIKE_MP4, WEBM], ids=["mp4", "webm"])
def test_a_raw_body_becomes_a_job(faulty_service: Service, http: httpx.Client, clip: bytes) -> None:
    answer = http.post("/v1/jobs", content=clip, headers={"Content-Type": "video/whatever"})
    assert answer.status_code == 202
    document = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{document['id']}"
    assert int(answer.headers["retry-after"]) > 0
    final = faulty_service.finished(document["id"])
    assert final["state"] == "succeeded"
    assert set(final["vitals"]) == set(VITALS)
    assert final["notice"] == "Estimates for wellness and research. Not a medical device."


def test_a_form_becomes_a_job_with_its_options(faulty_service: Service, http: httpx.Client) -> None:
    form = {"vitals": "age, heart_rate", "retain_clip": "true"}
    answer = http.post("/v1/jobs", files={"clip": ("../../etc/passwd", LOOKS_LIKE_MP4)}, data=form)
    document = faulty_service.finished(answer.json()["id"])
    assert document["vitals"]["stress"]["reason"] == "not_requested"
    assert document["vitals"]["heart_rate"]["reason"] == "no_pulse"
    kept = faulty_service.folder / "clips" / "clips" / document["id"]
    assert kept.read_bytes() == LOOKS_LIKE_MP4
    assert http.delete(f"/v1/jobs/{document['id']}").status_code == 204
    assert not kept.exists()


def test_a_branch_without_requested_vitals_is_skipped(faulty_service: Service) -> None:
    document = faulty_service.finished(faulty_service.submit(vitals="heart_rate"))
    assert document["branches"]["vision"]["status"] == "skipped"
    assert document["vitals"]["age"]["reason"] == "not_requested"


def test_invalid_uploads_are_refused_and_leave_no_file(faulty_service: Service, http: httpx.Client) -> None:
    before = {path for path in faulty_service.clips if "clips" in path.parts}
    big = LOOKS_LIKE_MP4 + b"\x00" * 1_000_000
    problem(http.post("/v1/jobs", content=b""), 415, "unsupported-media")
    problem(http.post("/v1/jobs", content=b"GIF89a" + b"\x00" * 100), 415, "unsupported-media")
    for content, named in ((b"\x1f\x43\xb6\x75\x01", "first part"), (b"data:video/webm;base64,", "data: URL")):
        assert named in problem(http.post("/v1/jobs", content=content), 415, "unsupported-media")
        assert named in http.post("/save_video", content=content).text
    assert "ffmpeg -i INPUT" in problem(
        http.post("/v1/jobs", content=b"RIFF\0\0\1\0AVI LIST"), 415, "unsupported-media"
    )
    problem(http.post("/v1/jobs", content=big), 413, "upload-too-large")
    problem(http.post("/v1/jobs", content=iter([big])), 413, "upload-too-large")
    problem(http.post("/v1/jobs", files={"clip": big}), 413, "upload-too-large")
    problem(http.post("/v1/jobs", files={"clop": LOOKS_LIKE_MP4}), 422, "bad-parameter")
    problem(http.post("/v1/jobs", files={"clip": LOOKS_LIKE_MP4}, data={"vitals": "mood"}), 422, "bad-parameter")
    problem(http.post("/v1/jobs", content=LOOKS_LIKE_MP4, params={"vitals": "mood"}), 422, "bad-parameter")
    problem(http.post("/v1/jobs", content=LOOKS_LIKE_MP4, params={"retain_clip": "perhaps"}), 422, "bad-parameter")
    problem(
        http.post("/v1/jobs", content=LOOKS_LIKE_MP4, params={"webhook_url": "https://x.org"}), 422, "bad-parameter"
    )
    two = [("clip", LOOKS_LIKE_MP4), ("clip", LOOKS_LIKE_MP4)]
    problem(http.post("/v1/jobs", files=two), 422, "bad-parameter")
    no_boundary = {"Content-Type": "multipart/form-data"}
    problem(http.post("/v1/jobs", content=LOOKS_LIKE_MP4, headers=no_boundary), 422, "bad-parameter")
    cut_off = b'--x\r\nContent-Disposition: form-data; name="clip"\r\n\r\n' + LOOKS_LIKE_MP4
    header = {"Content-Type": "multipart/form-data; boundary=x"}
    problem(http.post("/v1/jobs", content=cut_off, headers=header), 422, "bad-parameter")
    # Clips of earlier tests may be erased in the meantime.
    assert {path for path in faulty_service.clips if "clips" in path.parts} <= before


def test_an_interrupted_upload_leaves_no_file(faulty_service: Service) -> None:
    before = len(faulty_service.clips)
    with socket.create_connection(("127.0.0.1", faulty_service.port)) as wire:
        wire.sendall(
            b"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900000\r\n\r\n"
            + LOOKS_LIKE_MP4
            + b"\x00" * 100_000
        )
        time.sleep(0.3)
    wait_until(lambda: len(faulty_service.clips) <= before, "the interrupted upload is erased")


def test_a_long_poll_waits_for_the_end_of_the_job(faulty_service: Service, http: httpx.Client) -> None:
    job = faulty_service.submit()
    answer = http.get(f"/v1/jobs/{job}", headers={"Prefer": "respond-async, wait=20"})
    assert answer.headers["preference-applied"] == "wait=20"
    assert answer.json()["state"] == "succeeded"
    assert "preference-applied" not in http.get(f"/v1/jobs/{job}", headers={"Prefer": "wait=soon"}).headers


def test_events_cover_the_whole_job_and_can_be_resumed(faulty_service: Service, http: httpx.Client) -> None:
    job = faulty_service.submit()
    everything = events_of(http.get(f"/v1/jobs/{job}/events"))
    names = [event["event"] for event in everything]
    assert names[0] == "state"
    assert names[-1] == "done"
    assert {"branch", "stage"} <= set(names)
    assert json.loads(everything[-1]["data"]) == {"state": "succeeded"}
    middle = everything[2]["id"]
    rest = events_of(http.get(f"/v1/jobs/{job}/events", headers={"Last-Event-ID": middle}))
    assert rest == everything[3:]
    assert http.get(f"/v1/jobs/{job}/events", headers={"Last-Event-ID": everything[-1]["id"]}).status_code == 204
    assert events_of(http.get(f"/v1/jobs/{job}/events", headers={"Last-Event-ID": "nonsense"})) == everything


def test_the_same_idempotency_key_makes_one_job(faulty_service: Service, http: httpx.Client) -> None:
    header = {"Idempotency-Key": "once"}
    first = http.post("/v1/jobs", content=LOOKS_LIKE_MP4, headers=header)
    again = http.post("/v1/jobs", content=LOOKS_LIKE_MP4, headers=header)
    assert first.status_code == again.status_code == 202
    assert first.json()["id"] == again.json()["id"]
    problem(http.post("/v1/jobs", content=WEBM, headers=header), 422, "idempotency-conflict")
    faulty_service.finished(first.json()["id"])


def test_an_idempotency_key_in_use_is_a_conflict(faulty_service: Service, http: httpx.Client) -> None:
    go_on = threading.Event()

    def slowly() -> Any:  # noqa: ANN401
        yield LOOKS_LIKE_MP4
        go_on.wait(60)
        yield b"\x00" * 100

    header = {"Idempotency-Key": "twice"}
    answers: list[httpx.Response] = []

    def send() -> None:
        with faulty_service.client() as other:
            answers.append(other.post("/v1/jobs", content=slowly(), headers=header))

    sender = threading.Thread(target=send)
    sender.start()
    wait_until(lambda: list(faulty_service.redis.scan_iter(match="fv:idem:*:held")), "the idempotency key is locked")
    problem(http.post("/v1/jobs", content=LOOKS_LIKE_MP4, headers=header), 409, "idempotency-in-progress")
    hold = next(faulty_service.redis.scan_iter(match="fv:idem:*:held"))
    assert 0 < faulty_service.redis.ttl(hold) <= 15, "a gateway that dies must not lock a key for long"
    go_on.set()
    sender.join()
    assert answers[0].status_code == 202


def test_a_finished_job_is_available_as_fhir(faulty_service: Service, http: httpx.Client) -> None:
    job = faulty_service.submit()
    faulty_service.finished(job)
    answer = http.get(f"/v1/jobs/{job}/fhir")
    assert answer.headers["content-type"] == "application/fhir+json"
    made = answer.json()
    reasons = {entry["resource"].get("dataAbsentReason", {}).get("text") for entry in made["entry"][1:]}
    assert (made["type"], made["entry"][0]["resource"]["resourceType"], reasons) == (
        "collection",
        "Device",
        {"no_pulse"},
    )
    query = {"bundle": "transaction", "subject": "Patient/123", "include": "oxygen_saturation,bmi"}
    query["recorded_at"] = "2026-01-02T03:04:05+01:00"
    chosen = http.get(f"/v1/jobs/{job}/fhir", params=query).json()
    assert len(chosen["entry"]) == len(made["entry"]) + 2
    assert {entry["resource"]["subject"]["reference"] for entry in chosen["entry"][1:]} == {"Patient/123"}
    assert {entry["request"]["method"] for entry in chosen["entry"]} == {"POST"}
    assert chosen["entry"][1]["resource"]["effectiveDateTime"] == "2026-01-02T03:04:05.000+01:00"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bundle", "batch"),
        ("subject", "Anna"),
        ("subject", "http://hospital.example/Patient/1"),
        ("include", "stress"),
        ("include", "bmi,"),
        ("recorded_at", "yesterday"),
        ("recorded_at", "2026-01-02T03:04:05"),
        ("recorded_at", "2026-13-02T03:04:05Z"),
    ],
)
def test_a_fhir_parameter_that_is_not_understood_is_422(http: httpx.Client, name: str, value: str) -> None:
    answer = http.get("/v1/jobs/01ARZ3NDEKTSV4RRFFQ69G5FAV/fhir", params={name: value})
    assert name in problem(answer, 422, "bad-parameter")


def test_unknown_jobs_and_paths_are_404(http: httpx.Client) -> None:
    for path in ("", "/events", "/waveforms", "/fhir"):
        problem(http.get(f"/v1/jobs/01ARZ3NDEKTSV4RRFFQ69G5FAV{path}"), 404, "unknown-job")
    problem(http.delete("/v1/jobs/01ARZ3NDEKTSV4RRFFQ69G5FAV"), 404, "unknown-job")
    assert "/docs" in problem(http.get("/v1/nothing"), 404, "not-found")
    assert problem(http.patch("/v1/jobs"), 405, "method-not-allowed") == "This path takes POST, not PATCH."


def test_save_video_responds_with_json_on_success_and_failure(faulty_service: Service, http: httpx.Client) -> None:
    good = http.post("/save_video", files={"video": LOOKS_LIKE_MP4})
    assert good.status_code == 200
    assert good.json()["success"] is True
    assert good.json()["reasons"]["heart_rate"] == "no_pulse"
    assert good.json()["result"]["heart_rate"] is None
    bad = http.post("/save_video", content=b"nothing")
    assert bad.status_code == 415
    assert bad.json()["success"] is False
    assert "MP4" in bad.json()["message"]


def test_health_models_and_metrics_are_served(faulty_service: Service, http: httpx.Client) -> None:
    assert http.get("/livez").json() == {"status": "ok"}
    ready = http.get("/readyz").json()
    workers = {"vision": 1, "rppg": 1}
    assert ready == {"status": "ok", "broker": "ok", "store": "ok", "workers": workers, "paused": []}
    assert http.get("/v1/models").json()["workers"][0]["queues"] == ["vision", "rppg"]
    faulty_service.finished(faulty_service.submit())
    metrics = http.get("/metrics").text
    assert 'facevitals_jobs_finished_total{state="succeeded"}' in metrics
    assert 'facevitals_vitals_total{reason="no_pulse",status="abstained",vital="heart_rate"}' in metrics


def test_a_full_queue_refuses_new_jobs(make_service: Callable[..., Service]) -> None:
    service = make_service(max_queued=1)
    service.submit()
    with service.client() as client:
        answer = client.post("/v1/jobs", content=LOOKS_LIKE_MP4)
    problem(answer, 429, "queue-full")
    assert int(answer.headers["retry-after"]) > 0


def test_an_unreachable_broker_is_503_and_the_clip_is_not_kept(make_service: Callable[..., Service]) -> None:
    service = make_service()
    service.broker.child.stop(3)
    with service.client() as client:
        problem(client.post("/v1/jobs", content=LOOKS_LIKE_MP4), 503, "broker-away")
        problem(client.get("/v1/jobs/x"), 503, "broker-away")
        assert client.get("/readyz").status_code == 503
        assert client.get("/livez").status_code == 200
        old = client.post("/save_video", content=LOOKS_LIKE_MP4)
        assert old.status_code == 503
        assert old.json()["success"] is False
    assert not [path for path in service.clips if "clips" in path.parts]


def test_a_key_has_access_to_its_own_jobs_only(make_service: Callable[..., Service]) -> None:
    service = make_service(api_keys="alpha,beta")
    with service.client() as client:
        problem(client.post("/v1/jobs", content=LOOKS_LIKE_MP4), 401, "key-missing")
        wrong = {"Authorization": "Bearer gamma"}
        problem(client.post("/v1/jobs", content=LOOKS_LIKE_MP4, headers=wrong), 403, "key-refused")
        alpha, beta = {"Authorization": "Bearer alpha"}, {"X-API-Key": "beta"}
        job = client.post("/v1/jobs", content=LOOKS_LIKE_MP4, headers=alpha).json()["id"]
        assert client.get(f"/v1/jobs/{job}", headers=alpha).status_code == 200
        problem(client.get(f"/v1/jobs/{job}", headers=beta), 404, "unknown-job")
        problem(client.delete(f"/v1/jobs/{job}", headers=beta), 404, "unknown-job")
        assert client.post("/save_video", content=LOOKS_LIKE_MP4).status_code == 401
        assert "alpha" not in service.logs()
