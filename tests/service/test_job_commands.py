"""`facevitals jobs`: what operators see of jobs, and how they cancel one."""

import json
from collections.abc import Callable, Iterator

import pytest
from typer.testing import CliRunner

from facevitals.cli import app
from shared.access.api_keys import KeyRing
from shared.settings import settings

from .conftest import LOOKS_LIKE_MP4, Service, end_service, new_service, wait_until

FacevitalsCommand = Callable[..., str]


@pytest.fixture(scope="module")
def operated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that requires keys, whose worker fails in every branch."""
    service = new_service(tmp_path_factory.mktemp("operated") / "service", require_keys=True)
    service.start_worker("vision,rppg", "tests.service.faulty_worker", FAULT_VISION="raise", FAULT_RPPG="raise")
    yield service
    end_service(service)


@pytest.fixture
def facevitals(operated: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[FacevitalsCommand]:
    for name, value in operated.env.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()

    def run(*arguments: str, ok: bool = True) -> str:
        result = CliRunner().invoke(app.app, ["jobs", *arguments])
        assert (result.exit_code == 0) is ok, result.output
        return result.output

    yield run
    settings.cache_clear()


def _submit(service: Service) -> tuple[str, str]:
    """Submit a clip with a new key; gives the ids of job and key."""
    made = KeyRing(service.redis).create("clinic")
    with service.client() as client:
        answer = client.post("/v1/jobs", content=LOOKS_LIKE_MP4, headers={"X-API-Key": made.key})
    assert answer.status_code == 202
    return answer.json()["id"], made.stored.id


def test_an_operator_finds_what_failed_and_whose_it_is(operated: Service, facevitals: FacevitalsCommand) -> None:
    job, key = _submit(operated)
    _submit(operated)
    wait_until(lambda: job in facevitals("list", "--state", "failed"), "the job failed")
    (listed,) = json.loads(facevitals("list", "--key", key, "--json"))
    assert (listed["id"], listed["state"], listed["owner"]) == (job, "failed", key)
    assert listed["error"]
    assert json.loads(facevitals("list", "--state", "succeeded", "--json")) == []
    assert len(json.loads(facevitals("list", "--limit", "1", "--json"))) == 1
    assert "older jobs are not shown" in facevitals("list", "--limit", "1")
    document = json.loads(facevitals("show", job))
    assert (document["id"], document["state"]) == (job, "failed")


def test_a_cancelled_job_leaves_nothing(operated: Service, facevitals: FacevitalsCommand) -> None:
    job, _ = _submit(operated)
    facevitals("cancel", job)
    assert job not in facevitals("list", "--limit", "0")
    wait_until(lambda: not list(operated.folder.glob(f"**/*{job}*")), "the sweep erases the clip")
    assert not list(operated.redis.scan_iter(match=f"*{job}*"))
    assert "There is no job" in facevitals("cancel", job, ok=False)


@pytest.mark.parametrize("job_id", ["01ARZ3NDEKTSV4RRFFQ69G5FAV", "*", "../x"])
def test_an_unknown_job_gets_a_sentence(facevitals: FacevitalsCommand, job_id: str) -> None:
    for command in ("show", "cancel"):
        assert "There is no job" in facevitals(command, job_id, ok=False)
