"""A queued job states how long it is expected to wait, by the jobs before it."""

from collections.abc import Callable

from shared.jobs.keys import PACE
from shared.vitals import Branch

from .conftest import LOOKS_LIKE_MP4, Service, wait_until

MakeService = Callable[..., Service]


def test_the_wait_is_that_of_the_jobs_before(make_service: MakeService) -> None:
    service = make_service()
    with service.client() as client:

        def sent() -> dict[str, object]:
            document: dict[str, object] = client.post("/v1/jobs", content=LOOKS_LIKE_MP4).json()
            return document

        def wait_of(job: object) -> object:
            return client.get(f"/v1/jobs/{job}").json()["expected_wait_s"]

        first = sent()
        assert first["expected_wait_s"] is None, "without a worker nobody knows"
        hold = service.folder / "hold"
        hold.touch()
        service.start_worker("vision,rppg", "tests.service.faulty_worker", FAULT_VISION="held", FAULT_RPPG="held")
        wait_until(lambda: service.document(str(first["id"]))["state"] == "running", "the first job runs")
        # One process serves both queues: a job takes it for the work of both.
        service.redis.hset(PACE, mapping={f"work:{branch}": 2.0 for branch in Branch})
        second, third = sent(), sent()
        wait_until(lambda: wait_of(third["id"]) == 8.0, "two jobs of four seconds are before the third")
        assert wait_of(second["id"]) == 4.0
        assert wait_of(first["id"]) is None
        client.delete(f"/v1/jobs/{second['id']}")
        assert wait_of(third["id"]) == 4.0
        hold.unlink()
        assert service.finished(str(third["id"]))["expected_wait_s"] is None
