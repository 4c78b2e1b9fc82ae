"""Redaction of secrets in log lines and traces, just before they are written.

The first defence is not to log secrets. This one covers lines of other origin, such as a library's or a traceback.
"""

import logging
import re
import traceback
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Final
from urllib.parse import urlsplit

from redis.exceptions import RedisError

from shared.ids import KEY_PATTERN
from shared.settings import Settings

#: Replacement of a secret.
REDACTED: Final = "***"
#: Shorter values are not treated as secrets: replacing them would alter ordinary words.
MIN_SECRET_LENGTH: Final = 4

#: Patterns of secrets, and their replacements.
_PATTERNS: Final[Sequence[tuple[re.Pattern[str], str]]] = (
    (KEY_PATTERN, rf"fv_\1_{REDACTED}"),
    (re.compile(r"whsec_[\w+/=-]+"), f"whsec_{REDACTED}"),
    # A URL's password, and its query, where signed URLs and webhook addresses carry a secret.
    (re.compile(r"(?<=://)[^\s/@\"'\\]+(?=@)"), REDACTED),
    (re.compile(r"(?i)(\b(?:https?|s3|rediss?)://[^\s?\"'\\<>]*\?)[^\s\"'\\<>]+"), rf"\1{REDACTED}"),
    (
        re.compile(r"(?i)\b((?:x-amz-(?:signature|credential|security-token)|signature)=)[^\s&,\"'\\]+"),
        rf"\1{REDACTED}",
    ),
    (re.compile(r"(?i)\b(bearer +)[\w.~+/=-]{6,}"), rf"\1{REDACTED}"),
    (
        re.compile(r"(?i)((?:x-api-key|authorization)[\"'\\]*\s*[:=,]\s*b?[\"'\\]*(?:\w+ +)?)[^\s\"'\\]+"),
        rf"\1{REDACTED}",
    ),
    # A webhook's signature.
    (re.compile(r"\bv1,[A-Za-z0-9+/=]{20,}"), f"v1,{REDACTED}"),
    # Raw bytes printed by a library come from a request or a clip.
    (re.compile(r"(\bb(['\"]))(?:\\.|(?!\2).){32,}\2"), rf"\1{REDACTED}\2"),
)


class Redactor:
    """Replace secrets in text: those with a known pattern, and those in the settings."""

    def __init__(self, settings: Settings) -> None:
        password = urlsplit(settings.redis_url).password
        named = (*settings.keys, settings.webhook_secret, password or "")
        secrets = sorted({secret for secret in named if len(secret) >= MIN_SECRET_LENGTH}, key=len, reverse=True)
        self._named = re.compile("|".join(map(re.escape, secrets))) if secrets else None

    def __call__(self, text: str) -> str:
        """Return `text` with its secrets replaced."""
        if self._named is not None:
            text = self._named.sub(REDACTED, text)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text


#: Errors whose messages are about the system. Other messages may quote a clip, a form or a response.
_SAFE_ERRORS: Final = (OSError, MemoryError, ImportError, RedisError)
#: Packages that define them. FFmpeg's errors are subclasses of OSError as well, and quote the file.
_SAFE_PACKAGES: Final = ("builtins", "redis", "socket")


def redacted_traceback(exc_info: tuple[type[BaseException], BaseException, TracebackType | None]) -> str:
    """Format a traceback with its causes first, and with messages of `_SAFE_ERRORS` only."""
    return "".join(_format(exc_info[1], set())).rstrip()


def _format(error: BaseException, seen: set[int]) -> Iterator[str]:
    """Yield the lines of an exception, after those of its causes; `seen` are the ids of those that are printed."""
    seen.add(id(error))
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None and id(cause) not in seen:
        yield from _format(cause, seen)
        yield "\nwhich led to:\n\n"
    yield "Traceback (most recent call last):\n"
    yield from traceback.format_tb(error.__traceback__)
    kind = type(error)
    module = kind.__module__
    yield kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"
    # Its text where str() fails, too.
    raised = traceback.TracebackException(kind, error, None)
    yield f": {raised}\n" if issubclass(kind, _SAFE_ERRORS) and module.partition(".")[0] in _SAFE_PACKAGES else "\n"
    for part in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        yield from _format(part, seen)


class TaskMessageFilter(logging.Filter):
    """Remove the exception's message from Celery's line about a failed task; the redacted traceback follows."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Replace the message; always True."""
        if isinstance(record.args, dict) and "exc" in record.args:
            record.args = {**record.args, "exc": "see below", "traceback": ""}
        return True
