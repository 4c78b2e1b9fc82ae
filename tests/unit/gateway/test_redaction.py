"""Secrets that a library or a traceback writes do not reach the log."""

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest
import structlog

from shared.logs import configure_logs
from shared.redaction import Redactor
from shared.settings import Settings

KEY = "fv_abcdefgh2345_" + "0123456789abcdef" * 4
SETTINGS = Settings(
    redis_url="redis://:br0ker-pass@10.0.0.1:6379/0",
    api_keys="first-key, second-key",
    webhook_secret="whsec_c2VjcmV0LXRoYXQtaXMtbG9uZy1lbm91Z2g=",
    log_format="json",
)


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        (f"refused {KEY}", KEY[17:]),
        ("key=first-key", "first-key"),
        ("Authorization: Bearer abc.def-ghi", "abc.def-ghi"),
        ("{'x-api-key': 'guessed'}", "guessed"),
        ('{"headers": {"authorization": "Basic dXNlcjpwYXNz"}}', "dXNlcjpwYXNz"),
        ("[(b'authorization', b'Bearer zyxwvu987')]", "zyxwvu987"),
        ("cannot reach redis://:br0ker-pass@10.0.0.1:6379/0", "br0ker-pass"),
        ("cannot reach rediss://user:other-pass@broker:6379", "other-pass"),
        ("PUT https://s3.example/clips/1?X-Amz-Signature=0a1b2c&X-Amz-Credential=AKIDX failed", "0a1b2c"),
        ("PUT https://s3.example/clips/1?X-Amz-Signature=0a1b2c&X-Amz-Credential=AKIDX failed", "AKIDX"),
        ("query X-Amz-Security-Token=FwoGZX&x=1", "FwoGZX"),
        ("POST https://hooks.example/services?token=t0ken", "t0ken"),
        ("signed with whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "MfKQ9r8GKYqr"),
        ("webhook-signature: v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=", "K5oZfzN95Z9U"),
        (f"body was {b'face' * 20!r}", "faceface"),
    ],
)
def test_a_secret_does_not_come_through(line: str, secret: str) -> None:
    redacted = Redactor(SETTINGS)(line)
    assert secret not in redacted
    assert "***" in redacted


@pytest.mark.parametrize(
    "line",
    [
        "branch ended branch=rppg elapsed_ms=12 job=01M83R2K6T16PCKB5QWZBAHBVY status=ok",
        "Uvicorn running on http://127.0.0.1:8000 (Press CTRL+C to quit)",
        "webhook not taken again_in_s=5.1 host=hooks.example why='status 503'",
        "the key of the job's record; a signature was refused; basic authorization is not offered",
    ],
)
def test_an_ordinary_line_stays_as_it_is(line: str) -> None:
    assert Redactor(SETTINGS)(line) == line


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What this process logs, as the gateway sets it up."""
    root = logging.getLogger()
    before, level, stream = root.handlers, root.level, io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    configure_logs(SETTINGS)
    yield stream
    root.handlers = before
    root.setLevel(level)
    structlog.reset_defaults()


def test_lines_of_ours_of_libraries_and_tracebacks_are_all_redacted(log: io.StringIO) -> None:
    structlog.get_logger().info("ours", url="https://hooks.example/?token=t0ken", key=KEY)
    logging.getLogger("botocore").warning("theirs %s", {"Authorization": "Bearer abc.def-ghi"})
    try:
        raise ConnectionError("redis://:br0ker-pass@10.0.0.1:6379/0")
    except ConnectionError:
        structlog.get_logger().exception("failed", job="01J")
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [line["event"].split()[0] for line in lines] == ["ours", "theirs", "failed"]
    assert lines[2]["job"] == "01J"
    for secret in ("t0ken", KEY[17:], "abc.def-ghi", "br0ker-pass"):
        assert secret not in log.getvalue()
