"""What a log line or a trace may never carry, taken out at the last moment, whoever wrote it.

The first defence is not to log it; this one holds for lines that are not ours, such as a library's or a traceback.
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

GONE: Final = "***"

#: Shorter ones are no secrets, and replacing them would tear ordinary words.
SHORTEST_SECRET: Final = 4

_PATTERNS: Final[Sequence[tuple[re.Pattern[str], str]]] = (
    (KEY_PATTERN, rf"fv_\1_{GONE}"),
    (re.compile(r"whsec_[\w+/=-]+"), f"whsec_{GONE}"),
    # A password in a URL, and the query of one: signed URLs and webhook addresses carry their secret there.
    (re.compile(r"(?<=://)[^\s/@\"'\\]+(?=@)"), GONE),
    (re.compile(r"(?i)(\b(?:https?|s3|rediss?)://[^\s?\"'\\<>]*\?)[^\s\"'\\<>]+"), rf"\1{GONE}"),
    (re.compile(r"(?i)\b((?:x-amz-(?:signature|credential|security-token)|signature)=)[^\s&,\"'\\]+"), rf"\1{GONE}"),
    (re.compile(r"(?i)\b(bearer +)[\w.~+/=-]{6,}"), rf"\1{GONE}"),
    (
        re.compile(r"(?i)((?:x-api-key|authorization)[\"'\\]*\s*[:=,]\s*b?[\"'\\]*(?:\w+ +)?)[^\s\"'\\]+"),
        rf"\1{GONE}",
    ),
    # A webhook's signature.
    (re.compile(r"\bv1,[A-Za-z0-9+/=]{20,}"), f"v1,{GONE}"),
    # Raw bytes that a library prints are a request's or a clip's.
    (re.compile(r"(\bb(['\"]))(?:\\.|(?!\2).){32,}\2"), rf"\1{GONE}\2"),
)


class Redactor:
    """Takes secrets out of text: those with a known look, and those that the settings name."""

    def __init__(self, settings: Settings) -> None:
        password = urlsplit(settings.redis_url).password
        named = (*settings.keys, settings.webhook_secret, password or "")
        secrets = sorted({secret for secret in named if len(secret) >= SHORTEST_SECRET}, key=len, reverse=True)
        self._named = re.compile("|".join(map(re.escape, secrets))) if secrets else None

    def __call__(self, text: str) -> str:
        """The text without them."""
        if self._named is not None:
            text = self._named.sub(GONE, text)
        for pattern, put in _PATTERNS:
            text = pattern.sub(put, text)
        return text


#: Errors whose messages speak of machines. Every other message may quote what a clip, a form or an answer says.
_OF_MACHINES: Final = (OSError, MemoryError, ImportError, RedisError)
#: Who raises them so. FFmpeg's errors are OSErrors too, and quote what a file says.
_RAISED_BY: Final = ("builtins", "redis", "socket")


def told_traceback(exc_info: tuple[type[BaseException], BaseException, TracebackType | None]) -> str:
    """Where it was raised and what it is, causes first; with its message only if that can't quote what is nobody's."""
    return "".join(_told(traceback.TracebackException(*exc_info))).rstrip()


def _told(raised: traceback.TracebackException) -> Iterator[str]:
    cause = raised.__cause__ or (None if raised.__suppress_context__ else raised.__context__)
    if cause is not None:
        yield from _told(cause)
        yield "\nwhich led to:\n\n"
    yield "Traceback (most recent call last):\n"
    yield from raised.stack.format()
    kind = raised.exc_type
    home = kind.__module__
    yield kind.__qualname__ if home == "builtins" else f"{home}.{kind.__qualname__}"
    yield f": {raised}\n" if issubclass(kind, _OF_MACHINES) and home.partition(".")[0] in _RAISED_BY else "\n"
    for each in raised.exceptions or ():
        yield from _told(each)


class NoMessageOfTheTask(logging.Filter):
    """Takes the message of what a task raised out of Celery's own line about it; the traceback has all that may be."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let it pass, without."""
        if isinstance(record.args, dict) and "exc" in record.args:
            record.args = {**record.args, "exc": "see below", "traceback": ""}
        return True
