"""The events of real jobs are those that OpenAPI describes."""

import json
from collections.abc import Iterable
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from api.events import event_data
from shared.jobs.events import Event
from tests.service.conftest import Service


def assert_as_documented(document: dict[str, Any], events: Iterable[tuple[str, Any]]) -> set[str]:
    """Validate events (name, data) against the OpenAPI document; return their names."""
    operation = document["paths"]["/v1/jobs/{job_id}/events"]["get"]
    mapping = operation["responses"]["200"]["content"]["text/event-stream"]["schema"]["discriminator"]["mapping"]
    names = set()
    for name, data in events:
        sent = document["components"]["schemas"][mapping[name].rpartition("/")[2]]["properties"]
        validator = Draft202012Validator({**sent["data"]["contentSchema"], "components": document["components"]})
        assert validator.is_valid(data), (name, data, [error.message for error in validator.iter_errors(data)])
        names.add(name)
    return names


def test_the_events_of_a_job_are_as_documented(faulty_service: Service) -> None:
    job_id = faulty_service.submit()
    with faulty_service.client() as client:
        lines = client.get(f"/v1/jobs/{job_id}/events").raise_for_status().text.splitlines()
        document = client.get("/openapi.json").json()
    names = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    data = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    events = list(zip(names, data, strict=True))
    assert assert_as_documented(document, events) >= {"state", "branch", "stage", "done"}
    with pytest.raises(AssertionError):
        assert_as_documented(document, [("stage", {**dict(events)["stage"], "stage": "dreaming"})])


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("state", {"state": "running", "region": "north"}, {"state": "running"}),
        ("state", {"state": "paused"}, None),
        ("weather", {"sun": True}, None),
        ("stage", "no object", None),
        ("vital", {"name": "glucose", "vital": {"value": 5}}, None),
    ],
)
def test_fields_of_later_releases_are_left_out(name: str, data: object, expected: object) -> None:
    sent = event_data(Event("1-0", name, json.dumps(data)))
    assert (None if sent is None else json.loads(sent)) == expected


def test_a_vital_of_the_first_release_is_sent_under_current_names() -> None:
    vital = {"value": 72.0, "unit": "/min", "status": "ok", "ingredients": {"estimators_asked": 6.0}}
    sent = event_data(Event("1-0", "vital", json.dumps({"name": "heart_rate", "vital": vital})))
    assert sent is not None
    assert json.loads(sent)["vital"]["diagnostics"] == {"estimators_run": 6.0}
