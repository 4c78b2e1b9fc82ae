"""A real clip through the real service: gateway, store, queues, both workers, document."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from facevitals.client import Client, ServerEvent
from lab.simulate import ClipSpec, simulate
from shared.schemas import BranchStatus, CheckStatus, JobState, VitalStatus
from shared.vitals import CHECKS, VITALS
from tests.service.conftest import Service, wait_until
from tests.service.test_events import assert_as_documented

EVM_FACE = Path(__file__).parents[3] / "shared" / "data" / "clips" / "evm_face.mp4"


@pytest.mark.timeout(300)
def test_a_webcam_clip_gives_the_true_heart_rate(make_service: Callable[..., Service], tmp_path: Path) -> None:
    # As a browser records: WebM of variable rate, without a duration.
    clip = tmp_path / "clip.webm"
    simulate(clip, ClipSpec(heart_rate=66, seed=11, jitter=0.1, duration_header=False))
    truth = json.loads(clip.with_suffix(".truth.json").read_text())
    service = make_service()
    service.start_worker("vision")
    service.start_worker("rppg")
    client = Client(service.url)
    events: list[ServerEvent] = []
    document = client.follow(client.submit(clip), events.append)
    client.close()

    assert document.state is JobState.SUCCEEDED, document.error
    assert {branch.status for branch in document.branches.by_name().values()} == {BranchStatus.OK}
    heart_rate = document.vitals.heart_rate
    assert heart_rate.status is VitalStatus.OK, heart_rate
    assert isinstance(heart_rate.value, float)
    assert heart_rate.value == pytest.approx(truth["heart_rate"], abs=2)
    assert heart_rate.interval is not None
    assert heart_rate.interval[0] <= heart_rate.value <= heart_rate.interval[1]
    assert document.vitals.age.status is VitalStatus.OK
    assert document.vitals.gender.value == "female"
    assert set(document.vitals.by_name()) == set(VITALS)
    assert set(document.checks.by_name()) == set(CHECKS)
    assert document.checks.face.status is CheckStatus.PASS
    assert document.clip is not None
    assert document.clip.duration_s == pytest.approx(15, abs=0.2)
    assert document.clip.codec == "vp8"
    assert {"vital", "check", "stage", "branch", "done"} <= {event.name for event in events}
    with service.client() as http:
        waves = http.get(f"/v1/jobs/{document.id}/waveforms").json()
        assert_as_documented(http.get("/openapi.json").json(), [(event.name, event.data) for event in events])

        def loaded() -> dict[str, dict[str, object]]:
            cards = http.get("/v1/models").json()["workers"]
            return {model["name"]: model for card in cards for model in card["models"]} if len(cards) == 2 else {}

        models = wait_until(loaded, "both workers list their models")
    assert {"obstruction", "gender.dlib"} <= set(models)
    assert all(model["memory_bytes"] and model["device"] == "cpu" for model in models.values())
    assert len(waves["waves"]["heart_rate"]["values"]) == len(waves["waves"]["heart_rate"]["times_s"]) > 400
    _is_seen_by_prometheus(service)
    # The worker that ended the job erases the clip a moment after the end is announced.
    wait_until(lambda: not service.clips, "the clip is erased")


def _is_seen_by_prometheus(service: Service) -> None:
    def scraped() -> str:
        with service.client() as http:
            text = http.get("/metrics").text
        # The worker that ended the job counts it a moment after the end is announced.
        return text if 'facevitals_interval_width_count{vital="heart_rate"} 1.0' in text else ""

    figures: str = wait_until(scraped, "the widths of intervals are counted")
    for sample in (
        'facevitals_queue_waiting{queue="vision"} 0.0',
        'facevitals_queue_oldest_seconds{queue="vision"} 0.0',
        'facevitals_stage_seconds_count{branch="vision",stage="decoding and tracking"} 1.0',
        'facevitals_vitals_total{reason="",status="ok",vital="heart_rate"} 1.0',
        'facevitals_model_load_seconds{model="agegender",worker="',
    ):
        assert sample in figures, figures
    # Without a GPU there is no series, instead of a zero.
    assert "\nfacevitals_gpu_memory_used_bytes{" not in figures


@pytest.mark.timeout(300)
@pytest.mark.skipif(not EVM_FACE.exists(), reason="the real clips are not on this machine")
def test_a_real_clip_gives_the_reference_heart_rate(make_service: Callable[..., Service]) -> None:
    service = make_service()
    service.start_worker("vision,rppg")
    client = Client(service.url)
    document = client.wait(client.submit(EVM_FACE))
    client.close()
    assert document.vitals.heart_rate.value == pytest.approx(53, abs=2)
    assert document.vitals.gender.value == "male"
