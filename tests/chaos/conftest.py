"""Tests that take longer than `make test` may: `make test-chaos`."""

from collections.abc import Iterator

import pytest

from facevitals.local.broker import free_port
from tests.service.conftest import make_service, pytest_runtest_makereport


@pytest.fixture
def another_service_is_named(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """An environment of another service, whose broker is unreachable and whose store must stay empty."""
    store = tmp_path_factory.mktemp("theirs")
    broker = f"redis://127.0.0.1:{free_port()}/0"
    for name, value in {
        "FACEVITALS_REDIS_URL": broker,
        "CELERY_BROKER_URL": broker,
        "CELERY_RESULT_BACKEND": broker,
        "FACEVITALS_STORE_URL": store.as_uri(),
        "FACEVITALS_REQUIRE_KEYS": "true",
        "FACEVITALS_MAX_QUEUED": "nonsense",
        "WEB_CONCURRENCY": "4",
        "http_proxy": f"http://127.0.0.1:{free_port()}",
        "no_proxy": "",
    }.items():
        monkeypatch.setenv(name, value)
    yield
    assert not list(store.iterdir())


__all__ = ["another_service_is_named", "make_service", "pytest_runtest_makereport"]
