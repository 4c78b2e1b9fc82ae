"""A Python client is generated from the OpenAPI document of a running gateway, without a warning, and works."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from shared.vitals import VITALS
from tests.service.conftest import LOOKS_LIKE_MP4, Service, end_service, new_service

ENVIRONMENT: Final = Path(__file__).parents[2] / ".venv-client" / "bin"

#: What a user of the generated client would write.
PROGRAM: Final = """
import io, json, sys
from face_vitals_client import Client
from face_vitals_client.api.jobs import create_job, delete_job, get_job
from face_vitals_client.api.operations import list_models
from face_vitals_client.models import HeartRate, JobDocument, JobState, ProblemDetails, ProblemType
from face_vitals_client.types import File

with Client(sys.argv[1], raise_on_unexpected_status=True) as client:
    job = create_job.sync(client=client, body=File(io.BytesIO(bytes.fromhex(sys.argv[2]))), vitals="heart_rate,age")
    assert isinstance(job, JobDocument), job
    while job.state in {JobState.QUEUED, JobState.RUNNING}:
        job = get_job.sync(job.id, client=client, prefer="wait=20")
    heart_rate = job.vitals.heart_rate
    assert isinstance(heart_rate, HeartRate), heart_rate
    assert list_models.sync(client=client).workers
    print(json.dumps(job.to_dict()))

    bad = create_job.sync(client=client, body=File(io.BytesIO(b"text")), vitals="mood")
    assert isinstance(bad, ProblemDetails) and bad.type_ is ProblemType.BAD_PARAMETER, bad
    assert delete_job.sync_detailed(job.id, client=client).status_code == 204
    gone = get_job.sync(job.id, client=client)
    assert isinstance(gone, ProblemDetails) and gone.status == 404, gone
"""

pytestmark = pytest.mark.skipif(not ENVIRONMENT.exists(), reason="the generator is not installed: make test-web")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = new_service(tmp_path / "service")
    service.start_worker("vision,rppg", "tests.service.faulty_worker")
    yield service
    end_service(service)


def test_a_generated_python_client_creates_and_gets_a_job(service: Service, tmp_path: Path) -> None:
    client = tmp_path / "client"
    env = {**os.environ, "PATH": f"{ENVIRONMENT}:{os.environ['PATH']}", "PYTHONPATH": str(client), "NO_COLOR": "1"}
    generate: list[str | Path] = [
        *(ENVIRONMENT / "openapi-python-client", "generate", "--fail-on-warning"),
        *("--url", f"{service.url}/openapi.json", "--output-path", client),
    ]
    use: list[str | Path] = [ENVIRONMENT / "python", "-W", "error", "-c", PROGRAM, service.url, LOOKS_LIKE_MP4.hex()]
    outputs = []
    for command in (generate, use):
        run = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=150)
        assert run.returncode == 0, run.stdout + run.stderr
        # The second command prints a job document, which has a field `warnings`.
        messages = run.stdout + run.stderr if command is generate else run.stderr
        assert "warning" not in messages.lower()
        outputs.append(run.stdout)
    document = json.loads(outputs[-1])
    assert set(document["vitals"]) == set(VITALS)
    assert document["vitals"]["heart_rate"]["reason"] == "no_pulse"
    assert document["vitals"]["stress"]["reason"] == "not_requested"
