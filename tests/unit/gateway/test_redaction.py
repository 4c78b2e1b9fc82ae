"""Redaction of secrets in log lines and tracebacks."""

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator

import celery
import pytest
import redis
import structlog
from pydantic import BaseModel

from shared.observability.logging import configure_logging
from shared.observability.redaction import Redactor
from shared.settings import Settings

KEY = "fv_abcdefgh2345_" + "0123456789abcdef" * 4
NEWER_KEY = "fv_abcdefgh2345wxyz_" + "0123456789abcdef" * 4
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
        (f"refused {NEWER_KEY}", NEWER_KEY[21:]),
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
def test_secrets_are_redacted(line: str, secret: str) -> None:
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
def test_ordinary_lines_are_unchanged(line: str) -> None:
    assert Redactor(SETTINGS)(line) == line


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """The log of this process, configured as in the gateway."""
    root = logging.getLogger()
    before, level, stream = root.handlers, root.level, io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    configure_logging(SETTINGS)
    yield stream
    root.handlers = before
    root.setLevel(level)
    structlog.reset_defaults()


def test_lines_of_the_service_libraries_and_tracebacks_are_redacted(log: io.StringIO) -> None:
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


#: Metadata of a clip.
QUOTED = "my face"


class _Titled(BaseModel):
    title: int


def _decoder_fails() -> None:
    import av.error

    raise av.error.InvalidDataError(1, "Invalid data", "clip", (16, (16, "mov", QUOTED)))


def _number_fails() -> None:
    float(QUOTED)


def _model_fails() -> None:
    try:
        _Titled.model_validate({"title": QUOTED})
    except ValueError as error:
        raise RuntimeError(QUOTED) from error


def _several_fail() -> None:
    raise ExceptionGroup(QUOTED, [ValueError(QUOTED), KeyError(QUOTED)])


def _unreadable() -> None:
    (QUOTED.encode() + b"\xff").decode()


@pytest.mark.parametrize("fail", [_decoder_fails, _number_fails, _model_fails, _several_fail, _unreadable])
@pytest.mark.parametrize("logger", ["ours", "theirs"])
def test_an_errors_message_is_not_logged_and_its_traceback_is(
    log: io.StringIO, fail: Callable[[], None], logger: str
) -> None:
    try:
        fail()
    except Exception:
        if logger == "ours":
            structlog.get_logger().exception("branch failed", job="01J")
        else:
            logging.getLogger("celery").exception("branch failed")
    (line,) = [json.loads(line) for line in log.getvalue().splitlines()]
    assert QUOTED not in json.dumps(line)
    assert f"in {fail.__name__}" in line["exception"]
    assert "Error" in line["exception"] or "Group" in line["exception"]


def test_messages_of_system_errors_are_logged(log: io.StringIO) -> None:
    for error in (OSError(28, "No space left on device"), redis.ConnectionError("Error 111 connecting to broker:6379")):
        try:
            raise error
        except OSError as raised:
            structlog.get_logger().error("failed", exc_info=raised)
        except redis.RedisError:
            structlog.get_logger().exception("failed")
    full, away = [json.loads(line)["exception"] for line in log.getvalue().splitlines()]
    assert full.endswith("OSError: [Errno 28] No space left on device")
    assert away.endswith("redis.exceptions.ConnectionError: Error 111 connecting to broker:6379")


def test_celerys_line_about_a_failed_task_has_no_message(log: io.StringIO) -> None:
    app = celery.Celery("test", broker="memory://", set_as_current=False)
    app.conf.task_store_eager_result = False

    @app.task(name="fails")  # type: ignore[untyped-decorator]
    def fails() -> None:
        _model_fails()

    fails.apply()
    (line,) = [json.loads(line) for line in log.getvalue().splitlines() if "fails" in line]
    assert QUOTED not in json.dumps(line)
    assert "in _model_fails" in line["exception"]
