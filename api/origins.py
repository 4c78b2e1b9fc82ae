"""Cross-origin calls (CORS), from listed origins alone; without a list, no page from elsewhere may call."""

import re
from typing import Final

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from shared.settings import Settings

_ORIGIN: Final = re.compile(r"https?://(?:[A-Za-z0-9.-]+|\[[0-9a-f:]+\])(?::\d{1,5})?")

METHODS: Final = ("GET", "POST", "DELETE")
REQUEST_HEADERS: Final = (
    *("Authorization", "X-API-Key", "Content-Type"),
    *("Idempotency-Key", "Last-Event-ID", "Prefer"),
)
ANSWER_HEADERS: Final = ("Location", "Retry-After", "Preference-Applied")


def install(app: FastAPI, settings: Settings) -> None:
    """Let the listed origins call.

    Raises:
        ValueError: the list holds something that is no origin; `*` is none.
    """
    wrong = [origin for origin in settings.origins if not _ORIGIN.fullmatch(origin)]
    if wrong:
        raise ValueError(
            f"FACEVITALS_CORS_ORIGINS: {wrong[0]!r} is no origin. Name each, as https://app.example, without a path."
        )
    if settings.origins:
        # Keys travel in a header of the caller's making, never in a cookie: credentials stay off.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.origins,
            allow_methods=METHODS,
            allow_headers=REQUEST_HEADERS,
            expose_headers=ANSWER_HEADERS,
            max_age=600,
        )
