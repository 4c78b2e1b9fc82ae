"""A service that a command starts is isolated from other services named in the environment."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from facevitals.local.broker import free_port
from facevitals.local.isolated_settings import isolated_settings
from facevitals.local.stack import running
from shared.jobs.queues import BROKER_PREFIX, QUEUES
from tests.service.conftest import WORKER_READY_S, Service, wait_until
from tests.service.test_command_line import facevitals


def environment_of(other: Service) -> dict[str, str]:
    """An environment with every address of the other service, and with settings that are invalid for a gateway."""
    return {
        "FACEVITALS_REDIS_URL": other.broker.url,
        "facevitals_redis_url": other.broker.url,
        "CELERY_BROKER_URL": other.broker.url,
        "CELERY_RESULT_BACKEND": other.broker.url,
        "FACEVITALS_STORE_URL": (other.folder / "clips").as_uri(),
        "FACEVITALS_DATA_DIR": str(other.folder),
        "FACEVITALS_HOST": "0.0.0.0",
        "FACEVITALS_PORT": str(other.port),
        "FACEVITALS_API_KEYS": "a key",
        "FACEVITALS_REQUIRE_KEYS": "true",
        "FACEVITALS_CORS_ORIGINS": "no origin",
        "FACEVITALS_WEBHOOK_SECRET": "no secret",
        "FACEVITALS_WEBHOOK_ALLOW": "no network",
        "FACEVITALS_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}",
        "FACEVITALS_MAX_QUEUED": "nonsense",
        "FACEVITALS_URL": other.url,
        "WEB_CONCURRENCY": "4",
        "http_proxy": f"http://127.0.0.1:{free_port()}",
        "no_proxy": "",
    }


def queued_messages(service: Service) -> dict[str, object]:
    """The messages in each queue of the service."""
    return {queue: service.redis.lrange(f"{BROKER_PREFIX}{queue}", 0, -1) for queue in QUEUES.values()}


@pytest.mark.timeout(300)
def test_run_does_not_touch_another_service(make_service: Callable[..., Service], tmp_path: Path) -> None:
    # Without a worker, its job waits in the queue.
    other = make_service(job_deadline_s=600)
    job = other.submit(retain_clip="true")
    queued, stored = queued_messages(other), other.clips
    assert all(queued.values())
    done = facevitals("run", "--json", env=environment_of(other))
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout[done.stdout.index("{") :])
    assert document["vitals"]["heart_rate"]["status"] == "ok"
    assert document["id"] != job
    assert other.document(job)["state"] == "queued"
    assert queued_messages(other) == queued
    assert other.clips == stored
    assert not list(other.redis.scan_iter(match="fv:worker:*"))


@pytest.mark.parametrize("host", ["::1", "0.0.0.0", "::"])
def test_every_process_of_a_stack_gets_the_stacks_settings(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEVITALS_HOST", "127.0.0.9")
    monkeypatch.setenv("FACEVITALS_MODELS_DIR", "/elsewhere")
    settings = isolated_settings(
        tmp_path, host=host, allow_open=True, max_upload_mb=7, models_dir=tmp_path / "m", open_models_only=True
    )
    with running(settings, logs=tmp_path / "logs") as stack:
        own = {"redis_url": stack.redis_url, "port": stack.port}
        expected = settings.model_copy(update=own).environment()
        children = [part.child for part in stack._parts]
        assert len(children) == 3
        for child in children:
            assert child is not None
            seen = variables(child.process.pid)
            assert {name: seen.get(name) for name in expected} == expected, child.name

        def answers() -> bool:
            try:
                return httpx.get(f"{stack.url}/livez", timeout=2).status_code == 200
            except httpx.TransportError:
                return False

        wait_until(answers, f"a gateway on {host} answers at {stack.url}", WORKER_READY_S)


def variables(pid: int) -> dict[str, str]:
    """The environment with which a process was started."""
    entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return dict(os.fsdecode(entry).split("=", 1) for entry in entries if b"=" in entry)
