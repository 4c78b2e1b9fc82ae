"""Withheld results are not served: waves are removed with their vital, and a withdrawn vital gets a new event."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from shared.jobs import completion
from shared.jobs.assembly import failed_outcome
from shared.jobs.job_store import JobStore
from shared.jobs.keys import waveforms_key
from shared.jobs.leases import Begin
from shared.jobs.withdrawal import served_waveforms
from shared.schemas import (
    BranchOutcome,
    BranchStatus,
    Check,
    CheckStatus,
    ErrorCode,
    HeartRate,
    RespirationRate,
    Spectrum,
    Vital,
    VitalStatus,
    Wave,
    Waveforms,
)
from shared.vitals import HEART_RATE, RESPIRATION_RATE, Branch, Reason
from tests.service.conftest import LOOKS_LIKE_MP4, Service, wait_until

GIVEN: dict[str, Vital] = {
    "heart_rate": HeartRate(value=72.0, unit=HEART_RATE.unit, status=VitalStatus.OK),
    "respiration_rate": RespirationRate(value=15.0, unit=RESPIRATION_RATE.unit, status=VitalStatus.EXPERIMENTAL),
}
SILENT: dict[str, Vital] = {
    "heart_rate": HeartRate.without_value(HEART_RATE.unit, VitalStatus.ABSTAINED, Reason.NO_PULSE),
    "respiration_rate": RespirationRate.without_value(
        RESPIRATION_RATE.unit, VitalStatus.ABSTAINED, Reason.NO_BREATHING_SIGNAL
    ),
}
LIVE, PICTURE = (Check(status=status, score=0.5) for status in (CheckStatus.UNKNOWN, CheckStatus.FAIL))
WAVE, SPECTRUM = Wave(times_s=[0.0, 0.1], values=[0.0, 1.0]), Spectrum(rates_per_min=[60.0], power=[1.0])
WAVES = Waveforms(
    waves=dict.fromkeys(["heart_rate", "heart_rate_over_time", "respiration_rate"], WAVE),
    spectra=dict.fromkeys(["heart_rate", "respiration_rate"], SPECTRUM),
)
BREATHING = {"waves": ["respiration_rate"], "spectra": ["respiration_rate"]}
ALL = {"waves": list(WAVES.waves), "spectra": list(WAVES.spectra)}
NONE: dict[str, list[str]] = {"waves": [], "spectra": []}


def outcome(vitals: dict[str, Vital], **checks: Check) -> BranchOutcome:
    return BranchOutcome(status=BranchStatus.OK, elapsed_ms=1, vitals=vitals, checks=checks)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Any:  # noqa: ANN401
    from tests.service.conftest import end_service, new_service

    service = new_service(tmp_path_factory.mktemp("withdrawal") / "service")
    yield service
    end_service(service)


def served(service: Service, job: str) -> dict[str, list[str]]:
    with service.client() as client:
        body = client.get(f"/v1/jobs/{job}/waveforms").raise_for_status().json()
    return {part: list(named) for part, named in body.items()}


def events(service: Service, job: str) -> list[tuple[str, dict[str, Any]]]:
    """All events of a job, as a client reads them."""
    with service.client() as client:
        lines = client.get(f"/v1/jobs/{job}/events").raise_for_status().text.splitlines()
    names = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    data = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    return list(zip(names, data, strict=True))


def work(jobs: JobStore, job: str, vitals: dict[str, Vital]) -> None:
    """Begin a branch and emit its events, as an rppg worker does before its outcome."""
    assert jobs.leases.of(job, Branch.RPPG).begin(60) is Begin.GO
    jobs.events.of(job).emit("check", {"name": "liveness", "check": LIVE.as_json()})
    for name, vital in vitals.items():
        jobs.events.of(job).emit_vital(name, vital)


@pytest.mark.parametrize(
    ("rppg", "liveness", "expected"),
    [
        (outcome(GIVEN), LIVE, ALL),
        (outcome(GIVEN), PICTURE, NONE),
        (outcome(SILENT), LIVE, NONE),
        (outcome({**GIVEN, "heart_rate": SILENT["heart_rate"]}), LIVE, BREATHING),
        (failed_outcome(BranchStatus.ERROR, ErrorCode.BRANCH_FAILED, "why"), LIVE, NONE),
    ],
    ids=["living", "picture", "no pulse", "breathing alone", "failed after its events"],
)
def test_waves_and_events_match_the_document(
    service: Service, rppg: BranchOutcome, liveness: Check, expected: dict[str, list[str]]
) -> None:
    jobs, job = service.jobs, service.submit()
    work(jobs, job, rppg.vitals.by_name() or GIVEN)
    assert jobs.outcomes.write(job, Branch.RPPG, rppg, WAVES) == (True, False)
    # Liveness is not known yet.
    assert served(service, job) == NONE
    assert jobs.outcomes.write(job, Branch.VISION, outcome({}, liveness=liveness)) == (True, True)
    jobs.completion.finish(job)
    jobs.completion.finish(job)
    assert served(service, job) == expected
    document = service.document(job)
    followed = events(service, job)
    assert [name for name, _ in followed].count("done") == 1
    assert followed[-1][0] == "done"
    vitals = {data["name"]: data["vital"] for name, data in followed if name == "vital"}
    assert vitals == {name: document["vitals"][name] for name in GIVEN}
    checks = {data["name"]: data["check"] for name, data in followed if name == "check"}
    assert checks == {"liveness": document["checks"]["liveness"]}
    # Events that stay valid are not repeated.
    withdrawn = sum(
        document["vitals"][name] != vital.as_json() for name, vital in (rppg.vitals.by_name() or GIVEN).items()
    )
    assert sum(name == "vital" for name, _ in followed) == len(GIVEN) + withdrawn


def test_withheld_waves_are_not_stored(service: Service) -> None:
    jobs, job = service.jobs, service.submit()
    work(jobs, job, GIVEN)
    jobs.outcomes.write(job, Branch.RPPG, outcome(GIVEN), WAVES)
    jobs.outcomes.write(job, Branch.VISION, outcome({}, liveness=PICTURE))
    jobs.completion.finish(job)
    assert Waveforms.model_validate_json(jobs.records.waveforms(job) or "") == Waveforms()
    assert jobs.redis.ttl(waveforms_key(job)) > 0


def test_waves_belong_to_requested_vitals(service: Service) -> None:
    jobs, job = service.jobs, service.submit(vitals="respiration_rate")
    work(jobs, job, {})
    jobs.outcomes.write(job, Branch.RPPG, outcome({"respiration_rate": GIVEN["respiration_rate"]}), WAVES)
    jobs.completion.finish(job)
    assert served(service, job) == BREATHING


def test_waves_of_a_deleted_job_do_not_come_back(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs, job = service.jobs, service.submit()
    work(jobs, job, GIVEN)
    jobs.outcomes.write(job, Branch.RPPG, outcome(GIVEN), WAVES)
    jobs.outcomes.write(job, Branch.VISION, outcome({}, liveness=PICTURE))

    def deleted_meanwhile(waveforms: Waveforms, vitals: Mapping[str, Vital]) -> Waveforms:
        jobs.records.delete(job)
        return served_waveforms(waveforms, vitals)

    monkeypatch.setattr(completion, "served_waveforms", deleted_meanwhile)
    jobs.completion.finish(job)
    assert not list(jobs.redis.scan_iter(match=f"*{job}*"))


def test_submit_prints_a_withdrawn_vital(service: Service, tmp_path: Path) -> None:
    jobs, before = service.jobs, set(service.redis.scan_iter(match="fv:job:*"))
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(LOOKS_LIKE_MP4)
    command = [sys.executable, "-m", "facevitals", "submit", str(clip), "--url", service.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as submit:

        def made() -> set[str]:
            new: set[str] = set(service.redis.scan_iter(match="fv:job:*")) - before
            return {key for key in new if key.count(":") == 2}

        (key,) = wait_until(made, "the job is created")
        job = key.rpartition(":")[2]
        work(jobs, job, GIVEN)
        jobs.outcomes.write(job, Branch.RPPG, outcome(GIVEN), WAVES)
        jobs.outcomes.write(job, Branch.VISION, outcome({}, liveness=PICTURE))
        jobs.completion.finish(job)
        assert submit.stdout is not None
        shown = submit.stdout.read()
    assert submit.returncode == 0
    assert shown.index("heart_rate = 72.0") < shown.index("heart_rate is withdrawn: not_live")
