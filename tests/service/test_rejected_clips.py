"""A rejected clip is reported once, with exit code 2, and is no failure of the service."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.service.conftest import LOOKS_LIKE_MP4, Service, wait_until
from tests.service.test_command_line import facevitals
from tests.service.test_personal_metadata import recording


@pytest.mark.timeout(400)
def test_a_rejected_clip_is_reported_once_and_is_no_failure(
    make_service: Callable[..., Service], tmp_path: Path
) -> None:
    service = make_service(log_format="json")
    service.start_worker("vision,rppg")
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(LOOKS_LIKE_MP4)
    shown = facevitals("submit", clip, "--url", service.url)
    assert shown.returncode == 2, shown.stderr
    assert (shown.stdout + shown.stderr).count("can't be read") == 1
    in_json = facevitals("submit", clip, "--url", service.url, "--json")
    assert in_json.returncode == 2
    document = json.loads(in_json.stdout)
    assert document["error"]["code"] == "clip_undecodable"
    assert {(vital["reason"], vital["detail"]) for vital in document["vitals"].values()} == {("clip_rejected", None)}

    expected = (
        'facevitals_clips_rejected_total{code="clip_undecodable"} 2.0',
        'facevitals_branch_seconds_count{branch="rppg",status="rejected"} 2.0',
        'facevitals_branch_seconds_count{branch="vision",status="rejected"} 2.0',
    )
    with service.client() as client:
        metrics = wait_until(
            lambda: (text := client.get("/metrics").text) and all(line in text for line in expected) and text,
            "the metrics",
        )
    assert 'status="error"' not in metrics
    lines = [json.loads(line) for line in service.whole_logs().splitlines() if line.startswith("{")]
    about_jobs = [line for line in lines if "job" in line]
    assert {line["level"] for line in about_jobs} <= {"info", "debug"}
    assert "Traceback" not in service.whole_logs()


@pytest.mark.timeout(400)
def test_analyze_exits_2_for_a_rejected_clip_and_1_for_a_failure(tmp_path: Path) -> None:
    good, damaged = tmp_path / "good.mp4", tmp_path / "damaged.mp4"
    recording(good)
    damaged.write_bytes(LOOKS_LIKE_MP4)
    missing = tmp_path / "missing.mp4"
    for clips, code in (([good], 0), ([good, damaged], 2), ([damaged, missing], 1)):
        shown = facevitals("analyze", "--vitals", "heart_rate", *clips)
        assert shown.returncode == code, shown.stderr
        assert (shown.stdout + shown.stderr).count("may be cut off") == clips.count(damaged)
