"""A FHIR R4 server with the profiles of vital signs takes the bundles, and refuses what breaks these profiles."""

import copy
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.fhir import ON_REQUEST, BundleOptions, bundle
from shared.schemas import JobDocument
from shared.vitals import Reason

from .documents import finished, measured

HERE = Path(__file__).parent
EVERY = BundleOptions(include=frozenset(ON_REQUEST), kind="transaction")


@pytest.fixture(name="server")
def _server() -> Iterator[httpx.Client]:
    process = subprocess.Popen(
        ["node", str(HERE / "server.mjs")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address, "the server did not start: run `make test-fhir`, which installs its packages"
        with httpx.Client(base_url=address, timeout=30) as client:
            yield client
        process.stdin.close()


def _post(server: httpx.Client, made: dict[str, Any]) -> list[str]:
    """Post a transaction; gives the status of each entry."""
    answer = server.post("/", json=made)
    assert answer.status_code == 200, answer.text
    assert answer.json()["type"] == "transaction-response"
    return [entry["response"]["status"] for entry in answer.json()["entry"]]


@pytest.mark.parametrize("document", [measured(), finished(), finished(reason=Reason.NOT_CALIBRATED)])
def test_a_server_takes_values_and_abstentions(server: httpx.Client, document: JobDocument) -> None:
    made = bundle(document, EVERY)
    assert _post(server, made) == ["201"] * len(made["entry"])


def test_a_transaction_posted_twice_makes_nothing_twice(server: httpx.Client) -> None:
    made = bundle(measured(), EVERY)
    _post(server, made)
    assert _post(server, made) == ["200"] * len(made["entry"])
    found = server.get("/Observation").json()["entry"]
    assert len(found) == len(made["entry"]) - 1
    devices = {entry["resource"]["device"]["reference"] for entry in found}
    (device,) = devices
    assert server.get(f"/{device}").json()["version"][0]["value"] == "1.2.3"


def test_a_chart_finds_the_heart_rate_of_a_patient(server: httpx.Client) -> None:
    patient = server.post("/Patient", json={"resourceType": "Patient"}).json()
    _post(server, bundle(measured(), BundleOptions(subject=f"Patient/{patient['id']}", kind="transaction")))
    query = {"code": "http://loinc.org|8867-4", "subject": f"Patient/{patient['id']}"}
    (entry,) = server.get("/Observation", params=query).json()["entry"]
    assert entry["resource"]["valueQuantity"]["value"] == 72.4


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("8867-4", {"effectiveDateTime": None}),
        ("2708-6", {"code": {"coding": [{"system": "http://loinc.org", "code": "59408-5"}]}}),
        ("9279-1", {"subject": None}),
        ("9279-1", {"category": None}),
    ],
)
def test_the_server_refuses_what_breaks_a_profile(server: httpx.Client, name: str, broken: dict[str, Any]) -> None:
    """So that its taking the bundles means something."""
    made = bundle(measured(), EVERY)
    (resource,) = (
        entry["resource"]
        for entry in made["entry"]
        if entry["resource"].get("code", {}).get("coding", [{}])[0].get("code") == name
    )
    wrong = {key: value for key, value in {**copy.deepcopy(resource), **broken}.items() if value is not None}
    assert server.post("/Observation", json={**resource}).status_code == 200
    assert server.post("/Observation", json=wrong).status_code == 400
