"""Errors of the broker are classified, and logged once per interval."""

import pytest
import redis
import structlog
from kombu.exceptions import OperationalError

from shared.jobs.broker_errors import Trouble, TroubleLog, trouble_of


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (redis.ConnectionError("refused"), Trouble.AWAY),
        (redis.TimeoutError("no answer"), Trouble.AWAY),
        (redis.BusyLoadingError("LOADING"), Trouble.AWAY),
        (OSError("no route"), Trouble.AWAY),
        (OperationalError("gone"), Trouble.AWAY),
        (redis.OutOfMemoryError("OOM"), Trouble.FULL),
        (redis.AuthenticationError("WRONGPASS"), Trouble.REFUSED),
        (redis.ResponseError("WRONGTYPE"), Trouble.REFUSED),
        (redis.exceptions.NoPermissionError("NOPERM"), Trouble.REFUSED),
    ],
)
def test_kinds_of_broker_errors_are_distinguished(error: Exception, kind: Trouble) -> None:
    assert trouble_of(error) is kind


def test_each_kind_of_error_is_logged_once_per_interval() -> None:
    troubles = TroubleLog(every_s=3600)
    with structlog.testing.capture_logs() as lines:
        for _ in range(5):
            troubles.warn("sweep put off", redis.ConnectionError("x" * 1000), step="erase")
        troubles.warn("sweep put off", redis.OutOfMemoryError("OOM"))
        troubles.warn("not ready", redis.ConnectionError("x"))
    assert [(line["event"], line["broker"]) for line in lines] == [
        ("sweep put off", "away"),
        ("sweep put off", "full"),
        ("not ready", "away"),
    ]
    assert all(len(line["error"]) <= 300 for line in lines)
    eager = TroubleLog(every_s=0)
    assert eager.due("a") == {}
    assert TroubleLog(every_s=60).due("a") == {}
