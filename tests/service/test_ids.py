"""Ids can't be guessed from others, and another owner's job is indistinguishable from an unknown one."""

import http.client
import re
from collections.abc import Iterator

import pytest

import shared.access.api_keys
from shared.access.api_keys import KeyRing
from shared.jobs.keys import record_key, waveforms_key
from shared.schemas import JobOptions
from shared.vitals import Branch
from tests.service.conftest import LOOKS_LIKE_MP4, Service, end_service, new_service

UNKNOWN = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
MINE, THEIRS = {"X-API-Key": "mine"}, {"X-API-Key": "theirs"}
RESOURCES = (("GET", ""), ("DELETE", ""), ("GET", "/events"), ("GET", "/waveforms"), ("GET", "/fhir"))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A gateway with two keys, without workers."""
    service = new_service(
        tmp_path_factory.mktemp("ids") / "service", api_keys="mine,theirs", job_deadline_s=600, key_rate_per_min=0
    )
    yield service
    end_service(service)


def submit(service: Service, headers: dict[str, str]) -> str:
    with service.client() as client:
        answer = client.post("/v1/jobs", content=LOOKS_LIKE_MP4, headers=headers)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def answer_of(service: Service, method: str, path: str, headers: dict[str, str]) -> tuple[int, list[str], bytes]:
    """Send the path unchanged; return status, headers without the date, and body."""
    wire = http.client.HTTPConnection("127.0.0.1", service.port, timeout=40)
    try:
        wire.request(method, path, headers=headers)
        answer = wire.getresponse()
        named = [f"{name}: {value}" for name, value in answer.getheaders() if name.lower() != "date"]
        return answer.status, named, answer.read()
    finally:
        wire.close()


def test_ids_created_at_the_same_time_share_no_prefix_or_suffix(service: Service) -> None:
    ids = [submit(service, MINE) for _ in range(40)]
    assert all(re.fullmatch("[0-9A-HJKMNP-TV-Z]{26}", one) for one in ids)
    # By chance, two of 40 share their first 5 characters once in 40,000 runs; ids that hold a time share 8 or more.
    assert len({one[:5] for one in ids}) == len({one[-5:] for one in ids}) == len(ids)


@pytest.mark.parametrize(("method", "suffix"), RESOURCES)
def test_another_owners_job_is_indistinguishable_from_an_unknown_one(
    service: Service, method: str, suffix: str
) -> None:
    mine, theirs = submit(service, MINE), submit(service, THEIRS)
    # A finished job has keys of its events and waves as well.
    service.redis.set(waveforms_key(theirs), "{}", ex=600)
    unknown_job = answer_of(service, method, f"/v1/jobs/{UNKNOWN}{suffix}", MINE)
    assert unknown_job[0] == 404
    assert b"urn:facevitals:problem:unknown-job" in unknown_job[2]
    others = [
        *(theirs, f"{theirs}:events", f"{theirs}:waves", f"{theirs}%3Aevents", f"{mine}:events", f"{mine}:waves"),
        *("".join(f"%{ord(letter):02x}" for letter in theirs), theirs.lower(), mine.lower(), mine[:-1], f"{mine}0"),
        *(f"{mine}%20", f"%20{mine}", f"{mine}%0a", f"{mine}%00", f"{mine}%ff", f"{mine}%C3%A9", "x", "%00", "*", "-"),
        *(".", "..", "..%5C..", "%2e%2e", "I" * 26, "O0" * 13, "9" * 4000, "%EF%BC%90" * 26),
    ]
    answers = {other: answer_of(service, method, f"/v1/jobs/{other}{suffix}", MINE) for other in others}
    assert {other: answer for other, answer in answers.items() if answer != unknown_job} == {}
    # Both jobs are unchanged.
    assert answer_of(service, "GET", f"/v1/jobs/{theirs}", THEIRS)[0] == 200
    assert answer_of(service, "GET", f"/v1/jobs/{mine}", MINE)[0] == 200


def test_waiting_for_another_owners_job_is_indistinguishable_from_an_unknown_one(service: Service) -> None:
    waiting = {**MINE, "Prefer": "wait=1", "Last-Event-ID": "0-1"}
    theirs = submit(service, THEIRS)
    for suffix in ("", "/events"):
        unknown_job, foreign, malformed = (
            answer_of(service, "GET", f"/v1/jobs/{job}{suffix}", waiting)
            for job in (UNKNOWN, theirs, f"{theirs}:events")
        )
        assert unknown_job == foreign == malformed


def test_idempotency_keys_of_two_owners_are_independent(service: Service) -> None:
    first, second, again = (
        submit(service, {**headers, "Idempotency-Key": "the-same"}) for headers in (MINE, THEIRS, MINE)
    )
    assert first == again != second
    assert answer_of(service, "GET", f"/v1/jobs/{first}", THEIRS)[0] == 404


def test_the_message_id_of_a_webhook_does_not_reveal_its_job(service: Service) -> None:
    jobs = service.jobs
    for job in (UNKNOWN, UNKNOWN[::-1]):
        options = JobOptions(webhook_url="https://receiver.example/")
        jobs.submissions.create(job, list(Branch), options, owner="-", clip_key=f"clips/{job}", deadline_s=600)
    ids = [str(jobs.redis.hget(record_key(job), "webhook_id")) for job in (UNKNOWN, UNKNOWN[::-1])]
    assert all(re.fullmatch("[0-9A-HJKMNP-TV-Z]{26}", one) for one in ids)
    assert len({one[:5] for one in (*ids, UNKNOWN, UNKNOWN[::-1])}) == 4
    for job in (UNKNOWN, UNKNOWN[::-1]):
        jobs.records.delete(job)


def test_a_key_created_by_an_earlier_release_works(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    ring = KeyRing(service.redis)
    new = ring.create("new")
    # 16 characters of 5 bits.
    assert re.fullmatch("[a-z2-7]{16}", new.stored.id)
    monkeypatch.setattr(shared.access.api_keys, "new_key_id", lambda: "abcdefgh2345")
    old = ring.create("old")
    assert old.key.startswith("fv_abcdefgh2345_")
    for made in (old, new):
        submit(service, {"X-API-Key": made.key})
