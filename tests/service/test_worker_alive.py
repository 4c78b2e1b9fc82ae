"""`python -m workers.alive`, the health check of worker containers."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable

from facevitals.local.broker import free_port
from shared.settings import Settings
from tests.service.conftest import Service, wait_until
from workers.alive import health_problem

MakeService = Callable[..., Service]


def test_a_worker_is_healthy_while_it_consumes_messages(make_service: MakeService) -> None:
    service = make_service()
    config, host = Settings(redis_url=service.broker.url), socket.gethostname()
    assert "models" in (health_problem(config, host) or "")

    worker = service.start_worker("vision,rppg", "tests.service.faulty_worker")
    command = [sys.executable, "-m", "workers.alive"]
    # Its processes start before it consumes messages.
    wait_until(lambda: health_problem(config, host) is None, "the worker is healthy")

    def check() -> tuple[int, str]:
        done = subprocess.run(command, env={**os.environ, **service.env}, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    wait_until(lambda: check() == (0, ""), "the command reports it")
    assert health_problem(config, "another-host") is not None

    os.kill(worker.process.pid, signal.SIGSTOP)
    try:
        assert "does not answer" in (health_problem(config, host) or "")
    finally:
        os.kill(worker.process.pid, signal.SIGCONT)


def test_a_missing_broker_is_unhealthy() -> None:
    away = Settings(redis_url=f"redis://127.0.0.1:{free_port()}/0")
    assert "broker" in (health_problem(away, "here") or "")
    assert "broker" in (health_problem(Settings(redis_url=""), "here") or "")
