"""What an earlier release left in the broker is served and finished by this one.

`records/8112ff5.json` holds all keys of a broker after the gateway and workers of commit 8112ff5 had accepted three
clips simulated by that release: one job was finished, one had its rppg outcome and waited for a vision worker, one was
queued. `records/dump.py`, run in a checkout of that commit as its docstring describes, wrote it.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from facevitals.local.broker import Broker
from shared.jobs.job_store import JobStore
from shared.jobs.keys import DEADLINES, WEBHOOKS, active_key, record_key
from shared.jobs.webhooks import Webhooks
from shared.schemas import BranchOutcome, BranchStatus, JobOptions, JobState
from shared.vitals import Branch
from tests.service.conftest import LOOKS_LIKE_MP4, Service, wait_until

RECORDS = Path(__file__).parent / "records"
FORMER_NAMES = ("ingredients", "estimators_asked", "log_odds_of_a_pulse")


def load(redis: Any, keys: dict[str, Any]) -> None:  # noqa: ANN401  (redis-py's types)
    """Write dumped keys into the broker."""
    for key, dumped in keys.items():
        value = dumped["value"]
        match dumped["type"]:
            case "string":
                redis.set(key, value)
            case "hash":
                redis.hset(key, mapping=value)
            case "list":
                redis.rpush(key, *value)
            case "set":
                redis.sadd(key, *value)
            case "zset":
                redis.zadd(key, dict(value))
            case "stream":
                for entry, fields in value:
                    redis.xadd(key, fields, id=entry)
        if dumped["ttl"] >= 0:
            redis.expire(key, dumped["ttl"])


@pytest.fixture(params=["8112ff5"])
def release(request: pytest.FixtureRequest, make_service: Callable[..., Service]) -> tuple[Service, dict[str, str]]:
    """A service of this release on the records of another, and the ids of that one's jobs."""
    service = make_service()
    stored = json.loads((RECORDS / f"{request.param}.json").read_text())
    jobs: dict[str, str] = stored["jobs"]
    for name in ("half_finished", "queued"):
        clip = service.folder / "clips" / "clips" / jobs[name]
        clip.parent.mkdir(parents=True, exist_ok=True)
        clip.write_bytes(LOOKS_LIKE_MP4)
        # The deadlines in the file have passed, so the jobs get new ones.
        for key in (DEADLINES, active_key("-")):
            scores = dict(stored["keys"][key]["value"])
            stored["keys"][key]["value"] = list({**scores, jobs[name]: time.time() + 90}.items())
    load(service.redis, stored["keys"])
    return service, jobs


def vital_events(text: str) -> dict[str, Any]:
    data = [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: ")]
    return {each["name"]: each["vital"] for each in data if "vital" in each}


def test_an_earlier_releases_jobs_are_served_and_finished(release: tuple[Service, dict[str, str]]) -> None:
    service, jobs = release
    with service.client() as client:
        answers = {part: client.get(f"/v1/jobs/{jobs['finished']}{part}") for part in ("", "/events", "/waveforms")}
        running = client.get(f"/v1/jobs/{jobs['half_finished']}").json()
        queued = client.get(f"/v1/jobs/{jobs['queued']}").json()
    assert {answer.status_code for answer in answers.values()} == {200}
    for name in FORMER_NAMES:
        assert all(name not in answer.text for answer in answers.values()), name
    document = answers[""].json()
    assert document["state"] == "succeeded"
    assert {"estimators_run", "pulse_log_odds"} <= document["vitals"]["heart_rate"]["diagnostics"].keys()
    events = vital_events(answers["/events"].text)
    assert events
    assert events == {name: document["vitals"][name] for name in events}
    assert "heart_rate" in answers["/waveforms"].json()["waves"]
    assert (running["state"], running["branches"]["rppg"]["status"]) == ("running", "ok")
    assert running["branches"]["vision"]["status"] == "pending"
    assert queued["state"] == "queued"

    service.start_worker("vision,rppg", "tests.service.faulty_worker")
    finished = {name: service.finished(jobs[name]) for name in ("half_finished", "queued")}
    for name, each in finished.items():
        assert each["state"] == "succeeded", name
        assert {branch["status"] for branch in each["branches"].values()} == {"ok"}, name
    # The outcome that the earlier release wrote is part of the document, under the present names.
    heart_rate = finished["half_finished"]["vitals"]["heart_rate"]
    assert heart_rate == document["vitals"]["heart_rate"]
    with service.client() as client:
        text = client.get(f"/v1/jobs/{jobs['half_finished']}/events").text
    assert vital_events(text)["heart_rate"] == heart_rate
    assert text.count('"name": "heart_rate"') + text.count('"name":"heart_rate"') == 1, "nothing is corrected"
    wait_until(lambda: not service.clips, "the clips are erased")
    assert service.redis.zcard(DEADLINES) == service.redis.zcard(active_key("-")) == 0


def test_a_webhook_of_an_earlier_releases_job_posts_the_document_that_is_served(broker: Broker) -> None:
    stored = json.loads((RECORDS / "8112ff5.json").read_text())
    job_id = stored["jobs"]["finished"]
    key = record_key(job_id)
    jobs = JobStore.connect(broker.url, 600)
    load(jobs.redis, {key: stored["keys"][key]})
    jobs.redis.hset(key, "options", JobOptions(webhook_url="https://receiver.example/").model_dump_json())
    jobs.redis.zadd(WEBHOOKS, {job_id: 0})
    (webhook,) = Webhooks(jobs.redis).take(1)
    document = jobs.records.document(job_id)
    assert document is not None
    assert json.loads(webhook.body)["data"] == document.as_json()
    # A document that can't be read is posted as it is.
    jobs.redis.hset(key, "document", '{"ingredients":1}')
    jobs.redis.zadd(WEBHOOKS, {job_id: 0})
    (webhook,) = Webhooks(jobs.redis).take(1)
    assert webhook.document == '{"ingredients":1}'
    jobs.close()


@pytest.mark.parametrize("name", ["heart_rate", "glucose"])
def test_a_vital_event_that_cannot_be_read_does_not_keep_its_job_from_ending(broker: Broker, name: str) -> None:
    jobs = JobStore.connect(broker.url, 600)
    jobs.submissions.create("one", [Branch.RPPG], JobOptions(), owner="-", clip_key="clips/one", deadline_s=60)
    stream = jobs.events.of("one")
    vital = {"value": 72.0, "unit": "/min", "status": "ok", "interval": [None, 80.0], "ingredients": {"snr_db": 6.0}}
    assert stream.emit("vital", {"name": name, "vital": vital}, branch=Branch.RPPG)
    assert [json.loads(event.data)["vital"] for event in stream.after() if event.name == "vital"] == [vital]
    outcome = BranchOutcome(status=BranchStatus.OK, elapsed_ms=1)
    assert jobs.outcomes.complete("one", Branch.RPPG, outcome) == "clips/one"
    document = jobs.records.document("one")
    assert document is not None
    assert document.state is JobState.SUCCEEDED
    jobs.close()
