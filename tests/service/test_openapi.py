"""Schemathesis tests the gateway against its OpenAPI document and must find no failure."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from shared.access.api_keys import new_webhook_secret
from shared.jobs.queues import ALL_QUEUES
from tests.service.conftest import Service
from tests.service.schemathesis_hooks import KEY


def test_the_gateway_conforms_to_its_openapi_document(make_service: Callable[..., Service], tmp_path: Path) -> None:
    # The key has no limits, because requests refused with 429 would not be tested.
    limits = {"key_rate_per_min": 0, "key_max_active": 0}
    service = make_service(api_keys=KEY, webhook_secret=new_webhook_secret(), **limits)
    # Batch jobs as well: the stream of a job that no worker takes lasts as long as its client.
    service.start_worker(",".join(ALL_QUEUES), "tests.service.faulty_worker")
    run = subprocess.run(
        [
            *(Path(sys.executable).with_name("schemathesis"), "run", f"{service.url}/openapi.json"),
            *("--checks", "all", "--max-examples", "15", "--generation-deterministic", "--mode", "all"),
            *("--request-timeout", "60", "--no-color"),
        ],
        env={**os.environ, "SCHEMATHESIS_HOOKS": "tests.service.schemathesis_hooks", "PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
        cwd=tmp_path,
    )
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
