"""`facevitals.Client` against a real gateway."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import facevitals
from facevitals.client import ProblemError, UnreachableError
from facevitals.local.broker import free_port
from shared.schemas import JobState, VitalStatus
from shared.vitals import Reason
from tests.service.conftest import LOOKS_LIKE_MP4, Service


@pytest.fixture
def client(faulty_service: Service) -> Iterator[facevitals.Client]:
    with facevitals.Client(faulty_service.url) as client:
        yield client


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(LOOKS_LIKE_MP4)
    return path


def test_a_job_from_submission_to_deletion(client: facevitals.Client, clip: Path) -> None:
    job_id = client.submit(clip, vitals=["heart_rate", "age"])
    names = [event.name for event in client.events(job_id)]
    assert names[-1] == "done"
    assert {"stage", "state"} <= set(names)
    document = client.wait(job_id)
    assert document.state is JobState.SUCCEEDED
    assert document.vitals.heart_rate.status is VitalStatus.ABSTAINED
    assert document.vitals.stress.reason is Reason.NOT_REQUESTED
    assert client.get(job_id) == document
    assert client.waveforms(job_id).waves == {}
    client.delete(job_id)
    with pytest.raises(ProblemError) as gone:
        client.get(job_id)
    assert gone.value.status == 404
    for call in (client.wait, client.waveforms, client.delete, lambda job: list(client.events(job))):
        with pytest.raises(facevitals.ClientError, match="404"):
            call(job_id)


def test_a_refusal_carries_the_problem(client: facevitals.Client, tmp_path: Path, clip: Path) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("not a clip")
    with pytest.raises(ProblemError) as refused:
        client.submit(text)
    assert refused.value.status == 415
    assert refused.value.type
    assert "MP4 or WebM" in refused.value.detail
    assert refused.value.detail in str(refused.value)
    with pytest.raises(ProblemError) as wrong:
        client.submit(clip, vitals=["mood"])
    assert wrong.value.status == 422


def test_a_repeated_submission_with_one_key_is_one_job(client: facevitals.Client, clip: Path) -> None:
    first = client.submit(clip, idempotency_key="a-key-of-this-test")
    assert client.submit(clip, idempotency_key="a-key-of-this-test") == first
    assert client.submit(clip) != first


def test_the_options_of_a_job_reach_the_gateway(client: facevitals.Client, clip: Path, faulty_service: Service) -> None:
    client.wait(client.submit(clip))
    before = set(faulty_service.clips)
    client.wait(client.submit(clip, retain_clip=True))
    assert len(set(faulty_service.clips) - before) == 1
    # The gateway posts to public addresses only.
    with pytest.raises(ProblemError, match="webhook"):
        client.submit(clip, webhook_url="http://127.0.0.1:9/")


def test_waiting_times_out_if_the_job_does_not_end(make_service: Callable[..., Service], clip: Path) -> None:
    service = make_service()  # without a worker
    with facevitals.Client(service.url) as client, pytest.raises(TimeoutError, match="is not done"):
        client.wait(client.submit(clip), timeout_s=0.5)


def test_a_gateway_that_is_away_is_named(clip: Path) -> None:
    with (
        facevitals.Client(f"http://127.0.0.1:{free_port()}") as client,
        pytest.raises(UnreachableError, match="can't be reached"),
    ):
        client.submit(clip)


def test_a_file_that_cannot_be_read_is_an_os_error(client: facevitals.Client, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        client.submit(tmp_path / "gone.mp4")
