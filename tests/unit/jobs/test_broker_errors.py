"""Errors of the broker are classified, and logged once per interval."""

import pytest
import redis
import structlog
from kombu.exceptions import OperationalError

from shared.jobs import broker_errors
from shared.jobs.broker_errors import FailureKind, FailureLog, failure_kind


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (redis.ConnectionError("refused"), FailureKind.AWAY),
        (redis.TimeoutError("no answer"), FailureKind.AWAY),
        (redis.BusyLoadingError("LOADING"), FailureKind.AWAY),
        (OSError("no route"), FailureKind.AWAY),
        (OperationalError("gone"), FailureKind.AWAY),
        (redis.OutOfMemoryError("OOM"), FailureKind.FULL),
        (redis.AuthenticationError("WRONGPASS"), FailureKind.REFUSED),
        (redis.ResponseError("WRONGTYPE"), FailureKind.REFUSED),
        (redis.exceptions.NoPermissionError("NOPERM"), FailureKind.REFUSED),
    ],
)
def test_kinds_of_broker_errors_are_distinguished(error: Exception, kind: FailureKind) -> None:
    assert failure_kind(error) is kind


def test_each_kind_of_error_is_logged_once_per_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    # The module's own logger keeps the configuration of its first use, in whichever test that was.
    monkeypatch.setattr(broker_errors, "log", structlog.get_logger())
    failure_log = FailureLog(every_s=3600)
    with structlog.testing.capture_logs() as lines:
        for _ in range(5):
            failure_log.warn("sweep put off", redis.ConnectionError("x" * 1000), step="erase")
        failure_log.warn("sweep put off", redis.OutOfMemoryError("OOM"))
        failure_log.warn("not ready", redis.ConnectionError("x"))
    assert [(line["event"], line["broker"]) for line in lines] == [
        ("sweep put off", "away"),
        ("sweep put off", "full"),
        ("not ready", "away"),
    ]
    assert all(len(line["error"]) <= 300 for line in lines)
    eager = FailureLog(every_s=0)
    assert eager.due("a") == {}
    assert FailureLog(every_s=60).due("a") == {}
