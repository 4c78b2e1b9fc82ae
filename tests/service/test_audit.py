"""The audit log of a service: every access to a job and every change of a key, and nothing of either's content."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from typer.testing import CliRunner

from facevitals.cli import app
from shared.access.api_keys import KeyRing
from shared.ids import new_id
from shared.settings import settings

from .conftest import LOOKS_LIKE_MP4, Service, end_service, new_service, wait_until

SETTINGS_KEY: Final = "a-key-of-the-settings"
#: What a line may hold.
FIELDS: Final = {"event", "timestamp", "level", "action", "outcome", "key", "job", "status", "by"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("audited") / "service"
    service = new_service(folder, api_keys=SETTINGS_KEY, audit_log=folder / "audit.jsonl")
    service.start_worker("vision,rppg", "tests.service.faulty_worker")
    yield service
    end_service(service)


def log_of(service: Service) -> Path:
    return service.folder / "audit.jsonl"


def new_lines(service: Service, before: int) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in log_of(service).read_text().splitlines()][before:]
    assert all(line.keys() <= FIELDS for line in found)
    return found


def length(service: Service) -> int:
    return len(log_of(service).read_text().splitlines())


def requests_of(service: Service, key: str) -> httpx.Client:
    client = service.client()
    client.headers["X-API-Key"] = key
    return client


def ended_job(client: httpx.Client, **headers: str) -> str:
    job = client.post("/v1/jobs", content=LOOKS_LIKE_MP4, headers=headers).json()["id"]
    wait_until(lambda: client.get(f"/v1/jobs/{job}").json()["state"] == "succeeded", "the job ends")
    return str(job)


def test_who_submitted_read_and_erased_a_job_is_logged(service: Service) -> None:
    made = KeyRing(service.redis).create("clinic")
    with requests_of(service, made.key) as client:
        before = length(service)
        job = ended_job(client, **{"Idempotency-Key": "once"})
        for part in ("events", "waveforms", "fhir"):
            assert client.get(f"/v1/jobs/{job}/{part}").status_code == 200
        assert client.head(f"/v1/jobs/{job}").status_code == 200
        assert client.post("/v1/jobs", content=LOOKS_LIKE_MP4, headers={"Idempotency-Key": "once"}).is_success
        assert client.delete(f"/v1/jobs/{job}").status_code == 204
        assert client.get(f"/v1/jobs/{job}").status_code == 404
        assert client.get("/v1/models").is_success
    found = new_lines(service, before)
    # Documents that held no result yet were polled without a line.
    assert [(line["action"], line["outcome"], line["status"]) for line in found] == [
        ("submit_job", "ok", 202),
        ("read_document", "ok", 200),
        ("read_events", "ok", 200),
        ("read_waveforms", "ok", 200),
        ("read_fhir", "ok", 200),
        ("read_document", "ok", 200),
        ("read_document", "ok", 202),
        ("delete_job", "ok", 204),
        ("read_document", "unknown", 404),
    ]
    assert {(line["key"], line["job"]) for line in found} == {(made.stored.id, job)}


def test_refusals_are_logged_with_the_id_of_the_key_that_was_sent(service: Service) -> None:
    ring = KeyRing(service.redis)
    revoked, other = ring.create("former"), ring.create("other")
    ring.revoke(revoked.stored.id)
    before, unknown = length(service), new_id()
    with requests_of(service, SETTINGS_KEY) as client:
        job = ended_job(client)
        for key in (revoked.key, "no key at all", other.key):
            client.get(f"/v1/jobs/{job}", headers={"X-API-Key": key})
        client.get("/v1/jobs/a name of a person")
        client.delete(f"/v1/jobs/{unknown}", headers={"X-API-Key": other.key})
    found = [(line["action"], line["outcome"], line["key"], line["job"]) for line in new_lines(service, before)]
    submitted, read, *refused = found
    assert submitted == ("submit_job", "ok", submitted[2], job)
    assert read == ("read_document", "ok", submitted[2], job)
    assert submitted[2].startswith("settings:")
    assert refused == [
        ("read_document", "refused", revoked.stored.id, job),
        ("read_document", "refused", None, job),
        ("read_document", "unknown", other.stored.id, job),
        ("read_document", "unknown", submitted[2], None),
        ("delete_job", "unknown", other.stored.id, unknown),
    ]


def test_the_older_call_is_logged_as_a_result_that_was_read(service: Service) -> None:
    before = length(service)
    with requests_of(service, SETTINGS_KEY) as client:
        job = client.post("/save_video", content=LOOKS_LIKE_MP4).json()["job"]["id"]
        client.post("/save_video", content=LOOKS_LIKE_MP4, headers={"X-API-Key": "wrong"})
    read, refused = new_lines(service, before)
    assert (read["action"], read["outcome"], read["job"]) == ("read_document", "ok", job)
    assert (refused["action"], refused["outcome"], refused["job"]) == ("submit_job", "refused", None)


def test_commands_that_change_keys_and_jobs_are_logged(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    with requests_of(service, SETTINGS_KEY) as client:
        job = ended_job(client)
    for name, value in service.env.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    before = length(service)

    def run(*arguments: str) -> str:
        return CliRunner().invoke(app.app, arguments).output

    key = json.loads(run("keys", "create", "clinic", "--json"))["id"]
    run("keys", "rotate", key)
    run("keys", "rotate", key, "--webhook")
    run("keys", "revoke", key)
    run("keys", "revoke", key)
    run("keys", "list")
    run("jobs", "list")
    run("jobs", "show", job)
    run("jobs", "cancel", job)
    run("jobs", "cancel", job)
    settings.cache_clear()
    found = new_lines(service, before)
    assert [(line["action"], line["outcome"], line["key"], line["job"]) for line in found] == [
        ("create_key", "ok", key, None),
        ("rotate_key", "ok", key, None),
        ("rotate_webhook_secret", "ok", key, None),
        ("revoke_key", "ok", key, None),
        ("revoke_key", "unknown", key, None),
        ("list_jobs", "ok", None, None),
        ("read_document", "ok", None, job),
        ("delete_job", "ok", None, job),
        ("delete_job", "unknown", None, job),
    ]
    assert all(line["by"] for line in found)


def test_a_command_whose_line_cannot_be_written_does_nothing(
    service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in service.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FACEVITALS_AUDIT_LOG", str(tmp_path / "no folder" / "audit.jsonl"))
    settings.cache_clear()
    before = KeyRing(service.redis).all()
    result = CliRunner().invoke(app.app, ["keys", "create", "clinic"])
    settings.cache_clear()
    assert result.exit_code == 1
    assert "FACEVITALS_AUDIT_LOG" in result.output
    assert KeyRing(service.redis).all() == before


def test_no_key_and_no_estimate_is_in_the_log(service: Service) -> None:
    made = KeyRing(service.redis).create("a name of a person")
    with requests_of(service, made.key) as client:
        document = client.get(f"/v1/jobs/{ended_job(client)}").json()
    text = log_of(service).read_text()
    assert made.stored.id in text
    estimates = map(json.dumps, document["vitals"])
    for secret in (SETTINGS_KEY, made.key.rpartition("_")[2], "a name of a person", *estimates):
        assert secret not in text
