"""A paused queue accepts no new work, while workers finish what waits."""

import asyncio
import json
from collections.abc import Callable, Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from api.jobs import Received, start
from api.problems import QueuePaused
from facevitals.cli import app
from shared.ids import new_id
from shared.jobs.keys import pause_key
from shared.jobs.pauses import MAX_PAUSE_S, pause, paused, resume
from shared.schemas import JobOptions
from shared.settings import Settings, settings
from shared.vitals import Branch

from .conftest import LOOKS_LIKE_MP4, Service, end_service, gateway_in_process, new_service, wait_until

FacevitalsCommand = Callable[..., str]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service without workers."""
    service = new_service(tmp_path_factory.mktemp("paused") / "service")
    yield service
    end_service(service)


@pytest.fixture(autouse=True)
def _resumed(service: Service) -> Iterator[None]:
    yield
    for branch in Branch:
        resume(service.redis, branch)


@pytest.fixture
def facevitals(service: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[FacevitalsCommand]:
    for name, value in service.env.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()

    def run(*arguments: str, exit_status: int = 0) -> str:
        result = CliRunner().invoke(app.app, ["queues", *arguments])
        assert result.exit_code == exit_status, result.output
        return result.output

    yield run
    settings.cache_clear()


def test_uploads_for_a_paused_queue_are_refused_and_others_accepted(
    service: Service, facevitals: FacevitalsCommand
) -> None:
    facevitals("pause", "vision", "--for", "30m")
    with service.client() as client:
        refused = client.post("/v1/jobs", content=LOOKS_LIKE_MP4)
        assert refused.status_code == 503
        assert refused.json()["type"] == "urn:facevitals:problem:queue-paused"
        assert "vision" in refused.json()["detail"]
        assert refused.headers["Retry-After"] == "300"
        older = client.post("/save_video", content=LOOKS_LIKE_MP4)
        assert (older.status_code, older.headers["Retry-After"]) == (503, "300")
        assert not service.clips
        accepted = client.post("/v1/jobs", content=LOOKS_LIKE_MP4, params={"vitals": "heart_rate"})
        assert (accepted.status_code, accepted.json()["branches"]["vision"]["status"]) == (202, "skipped")
        client.delete(accepted.headers["Location"])
        facevitals("resume", "vision")
        again = client.post("/v1/jobs", content=LOOKS_LIKE_MP4)
        assert again.status_code == 202
        client.delete(again.headers["Location"])


def test_workers_finish_what_waits_and_the_list_shows_it(
    make_service: Callable[..., Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    drained = make_service()
    jobs = [drained.submit() for _ in range(3)]
    monkeypatch.setenv("FACEVITALS_REDIS_URL", drained.broker.url)

    def listed() -> dict[str, dict[str, object]]:
        settings.cache_clear()
        output = CliRunner().invoke(app.app, ["queues", "list", "--json"]).output
        settings.cache_clear()
        return {row["queue"]: row for row in json.loads(output)}

    for branch in Branch:
        pause(drained.redis, branch, 3600)
    assert {(row["waiting"], row["workers"]) for row in listed().values()} == {(3, 0)}
    drained.start_worker("vision,rppg", "tests.service.faulty_worker")
    assert {drained.finished(job)["state"] for job in jobs} == {"succeeded"}
    wait_until(lambda: all(not row["waiting"] and not row["in_work"] for row in listed().values()), "drained")
    assert all(0 < int(str(row["pause_ends_s"])) <= 3600 and row["workers"] == 1 for row in listed().values())


def test_a_clip_that_was_being_sent_when_the_pause_began_is_refused_and_erased(service: Service) -> None:
    gateway, job = gateway_in_process(Settings(redis_url=service.broker.url, data_dir=service.folder)), new_id()
    clip = service.folder / "clips" / gateway.store.key(job)
    clip.parent.mkdir(parents=True, exist_ok=True)
    clip.write_bytes(LOOKS_LIKE_MP4)
    pause(service.redis, Branch.RPPG, 60)
    with pytest.raises(QueuePaused):
        asyncio.run(start(gateway, Received(job, JobOptions(), ""), "-"))
    assert not clip.exists()
    assert gateway.records.document(job) is None
    gateway.jobs.close()


def test_readiness_and_metrics_show_a_pause_that_survives_a_restart(
    make_service: Callable[..., Service],
) -> None:
    service = make_service()
    pause(service.redis, Branch.RPPG, 3600)
    service.children[0].stop(6)
    service.start_gateway()
    with service.client() as client:
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["paused"]) == (200, ["rppg"])
        families = {family.name: family for family in text_string_to_metric_families(client.get("/metrics").text)}
        assert {sample.labels["queue"]: sample.value for sample in families["facevitals_queue_paused"].samples} == {
            "vision": 0,
            "rppg": 1,
            "vision.batch": 0,
            "rppg.batch": 1,
        }
        assert client.post("/v1/jobs", content=LOOKS_LIKE_MP4).status_code == 503


def test_a_pause_ends_by_itself(service: Service, facevitals: FacevitalsCommand) -> None:
    facevitals("pause", "rppg", "vision")
    assert all(0 < ttl_s <= 4 * 3600 for ttl_s in paused(service.redis).values())
    facevitals("pause", "rppg", "--for", "1s")
    wait_until(lambda: Branch.RPPG not in paused(service.redis), "the pause ends")
    assert Branch.VISION in paused(service.redis)
    assert "was not paused" in facevitals("resume", "rppg")


@pytest.mark.parametrize("wrong", ["nothing", "rppg --for 8d", "rppg --for 0s", "rppg --for x"])
def test_a_wrong_name_or_time_pauses_nothing(service: Service, facevitals: FacevitalsCommand, wrong: str) -> None:
    facevitals("pause", *wrong.split(), exit_status=2)
    assert not paused(service.redis)
    with pytest.raises(ValueError, match="A pause lasts"):
        pause(service.redis, Branch.RPPG, MAX_PAUSE_S + 1)
    assert not service.redis.exists(pause_key(Branch.RPPG))
