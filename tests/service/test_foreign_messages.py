"""Foreign, outdated and malformed messages in a queue are counted and dropped; jobs are not affected."""

import base64
import json
from collections.abc import Callable
from typing import Any

from shared.jobs.celery_messages import Dropped, canonical, message
from shared.jobs.queues import NOOP_TASK, TASKS
from shared.vitals import Branch
from tests.service.conftest import Service, wait_until

FAULTY_WORKER = "tests.service.faulty_worker"


def altered(**changes: Any) -> str:  # noqa: ANN401
    """A message of the service with parts of its envelope changed; a part that is None is removed."""
    envelope = json.loads(message(Branch.RPPG, "01J"))
    for name, value in changes.items():
        where: dict[str, Any] = envelope
        *way, last = name.split("__")
        for part in way:
            where = where[part]
        if value is None:
            where.pop(last, None)
        else:
            where[last] = value
    return json.dumps(envelope)


def body(*arguments: object) -> str:
    return base64.b64encode(json.dumps([arguments, {}, {}]).encode()).decode()


MALFORMED: dict[str, str | bytes] = {
    "no JSON": "hello",
    "no text": b"\xff\xfe\x00",
    "deep": "[" * 100_000,
    "a list": "[1, 2]",
    "a date that is none": '{"__type__": "datetime", "__value__": 5}',
    "a number that is none": '{"__type__": "decimal", "__value__": "x"}',
    "bytes that are none": '{"__type__": "bytes", "__value__": 5}',
    "a number": "7",
    "nothing": "{}",
    "no headers": altered(headers=None),
    "no task": altered(headers__task=None),
    "a task that is no name": altered(headers__task=["facevitals.rppg"]),
    "no properties": altered(properties=None),
    "no tag": altered(properties__delivery_tag=None),
    "no body": altered(body=None),
    "a body that is no base64": altered(body="%%%"),
    "no arguments": altered(body=body()),
    "two arguments": altered(body=body("01J", "01K")),
    "an argument that is no id": altered(body=body({"job": 1})),
    "an id that is a key": altered(body=body("01J:events")),
    "another queue's": altered(headers__task=TASKS[Branch.VISION]),
}
#: A no-op message is acknowledged even if parts are missing.
EMPTY = json.dumps({"headers": {"task": NOOP_TASK}, "properties": {"delivery_tag": "1"}})
FOREIGN = {"another's task": altered(headers__task="billing.send_invoice")}


def test_malformed_and_foreign_messages_are_distinguished() -> None:
    for name, text in {**MALFORMED, **FOREIGN}.items():
        try:
            envelope = json.loads(text)
        except (ValueError, RecursionError):
            continue
        assert canonical(envelope, "rppg") == (Dropped.FOREIGN if name in FOREIGN else Dropped.MALFORMED), name


def test_expiry_and_eta_of_a_message_are_ignored() -> None:
    text = altered(headers__expires="2001-01-01T00:00:00+00:00", headers__eta="2101-01-01T00:00:00+00:00")
    own = canonical(json.loads(text), "rppg")
    assert isinstance(own, dict)
    assert own == json.loads(message(Branch.RPPG, "01J"))
    assert own["headers"]["expires"] is own["headers"]["eta"] is None


def test_malformed_and_foreign_messages_are_counted_and_dropped_and_jobs_go_on(
    make_service: Callable[..., Service],
) -> None:
    service = make_service()
    redis = service.redis
    for text in (*MALFORMED.values(), *FOREIGN.values()):
        redis.lpush("fvq:rppg", text)
    redis.lpush("fvq:vision", EMPTY, message(Branch.VISION, "01GONE"))
    with service.client() as client:
        waits = client.get("/metrics")
        assert waits.status_code == 200
        assert "facevitals_queue_waiting" in waits.text
    worker = service.start_worker("vision,rppg", FAULTY_WORKER)
    # A job between other messages.
    job = service.submit()
    redis.lpush("fvq:rppg", *FOREIGN.values())
    assert service.finished(job)["state"] == "succeeded"
    assert service.finished(service.submit())["state"] == "succeeded"

    def counted() -> dict[tuple[str, str], int]:
        found = {}
        for name, value in service.jobs.counters.read().items():
            kind, _, of = name.partition(":")
            if kind == "dropped":
                queue, _, why = of.partition(":")
                found[queue, why] = value
        return found

    wanted = {
        ("rppg", "malformed"): len(MALFORMED),
        ("rppg", "foreign"): 2 * len(FOREIGN),
        ("vision", "old"): 1,
    }
    wait_until(lambda: counted() == wanted, f"all are counted: {counted()}")
    with service.client() as client:
        text = client.get("/metrics").text
    assert f'facevitals_messages_dropped_total{{queue="rppg",why="malformed"}} {len(MALFORMED)}.0' in text
    assert worker.process.poll() is None
    assert not redis.hlen("fvq:unacked"), "no message stays unacknowledged"
    logs = service.whole_logs()
    assert "Traceback" not in logs
    assert "sweep failed" not in logs


def test_every_branch_has_its_task() -> None:
    assert {json.loads(message(branch, "01J"))["headers"]["task"] for branch in Branch} == set(TASKS.values())
