"""`facevitals bench burst`: many clips at once for few workers, and the outcome of each."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

import httpx

from facevitals.local.isolated_settings import isolated_settings
from facevitals.local.stack import running
from shared.schemas import JobDocument, JobState

#: Retries of a refused upload, each after the response's `Retry-After`.
RETRIES: Final = 3


@dataclass(frozen=True)
class UploadResult:
    """One clip: the statuses of its uploads, `Retry-After` of each refusal in seconds, and the job's id if accepted."""

    statuses: tuple[int, ...]
    retry_after_s: tuple[int, ...]
    job_id: str | None


def _send(url: str, clip: bytes) -> UploadResult:
    statuses: list[int] = []
    waits: list[int] = []
    with httpx.Client(base_url=url, timeout=120, trust_env=False) as client:
        for _ in range(1 + RETRIES):
            answer = client.post("/v1/jobs", content=clip)
            statuses.append(answer.status_code)
            if answer.status_code != 429:
                break
            waits.append(int(answer.headers["Retry-After"]))
            time.sleep(waits[-1])
    return UploadResult(tuple(statuses), tuple(waits), answer.json()["id"] if answer.status_code == 202 else None)


def _ended(client: httpx.Client, job_id: str) -> JobDocument:
    while True:
        answer = client.get(f"/v1/jobs/{job_id}", headers={"Prefer": "wait=25"})
        document = JobDocument.model_validate_json(answer.raise_for_status().content)
        if document.state.is_final:
            return document


def burst(clip: Path, clips: int, folder: Path, *, workers: int = 1) -> dict[str, Any]:
    """Send `clip` `clips` times at once to a service with `workers` workers for each queue; a summary.

    A refused upload is retried after its `Retry-After`, `RETRIES` times at most.

    Raises:
        facevitals.local.stack.StackFailedError: the service did not start.
    """
    content = clip.read_bytes()
    with running(isolated_settings(folder), workers=workers, logs=folder / "logs") as stack:
        stack.wait_ready()
        begun = time.monotonic()
        # One thread for each clip: one that waits to retry must not delay the others.
        with ThreadPoolExecutor(clips) as pool:
            sent = list(pool.map(lambda _: _send(stack.url, content), range(clips)))
        with httpx.Client(base_url=stack.url, timeout=60, trust_env=False) as client:
            documents = [_ended(client, each.job_id) for each in sent if each.job_id]
        seconds = time.monotonic() - begun
    codes = Counter(
        report.error.code.value
        for document in documents
        for report in document.branches.by_name().values()
        if report.error
    )
    took_s = [
        (document.finished_at - document.created_at).total_seconds() for document in documents if document.finished_at
    ]
    returned = [each for each in sent if len(each.statuses) > 1]
    return {
        "clips": clips,
        "accepted_at_once": sum(each.statuses == (202,) for each in sent),
        "accepted_in_the_end": len(documents),
        "admitted_at_the_first_return": sum(each.statuses[:2] == (429, 202) for each in returned),
        "returned": len(returned),
        "retry_after_s": [min(waits), max(waits)] if (waits := [each.retry_after_s[0] for each in returned]) else None,
        "succeeded": sum(document.state is JobState.SUCCEEDED for document in documents),
        "errors": dict(codes),
        "median_s": round(median(took_s), 1) if took_s else None,
        "longest_s": round(max(took_s), 1) if took_s else None,
        "seconds": round(seconds, 1),
    }
