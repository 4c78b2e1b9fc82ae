"""Services for the browser tests: with workers, or a gateway alone."""

import contextlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from facevitals.local.stack import Stack
from shared.jobs.job_store import JobStore
from shared.settings import Settings


@dataclass(frozen=True)
class Service:
    """A running service."""

    url: str
    port: int
    jobs: JobStore
    clips: Path

    def get(self, path: str) -> httpx.Response:
        """Send a request beside the browser."""
        return httpx.get(self.url + path, timeout=10, trust_env=False)


@contextmanager
def running_service(folder: Path, *, workers: int, **settings: str) -> Iterator[Service]:
    """Run a broker, a gateway and `workers` workers per queue with the given `FACEVITALS_…` settings."""
    # Several services run side by side with different settings, which are read when a process starts.
    with pytest.MonkeyPatch.context() as environment:
        for name, value in settings.items():
            environment.setenv(f"FACEVITALS_{name.upper()}", value)
        stack = Stack(Settings(port=0, data_dir=folder), workers=workers, logs=folder / "logs")
        try:
            stack.start()
        except BaseException:
            stack.stop()
            raise
    try:
        _wait_until_it_answers(stack.url)
        if workers:
            stack.wait_ready()
        jobs = JobStore.connect(stack.redis_url, 600)
        yield Service(stack.url, stack.port, jobs, folder / "clips")
        jobs.close()
    finally:
        stack.stop()


def _wait_until_it_answers(url: str) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{url}/livez", timeout=2, trust_env=False).is_success:
                return
        time.sleep(0.1)
    raise AssertionError(f"no gateway at {url}")
