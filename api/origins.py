"""Which pages may call: those of listed origins (CORS), and the gateway's own.

A gateway that asks for no key trusts whoever reaches it, and any page can make a visitor's browser reach it: by a form,
by an image, or under a name of its own that it lets point to 127.0.0.1 (DNS rebinding). `check` refuses these.
"""

import ipaddress
import re
from typing import Final

from fastapi import FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware

from api.problems import ForeignOrigin, WrongHost
from shared.settings import Settings

_ORIGIN: Final = re.compile(r"https?://(?:[A-Za-z0-9.-]+|\[[0-9a-f:]+\])(?::\d{1,5})?")

_HOST: Final = re.compile(r"(?P<name>\[[0-9a-fA-F:.]+\]|[^\s:/@?#\[\]]+)(?::(?P<port>\d{1,5}))?")
#: Ports that a browser leaves out of `Host` and `Origin`.
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}

METHODS: Final = ("GET", "HEAD", "POST", "DELETE")
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


def check(request: Request, settings: Settings) -> None:
    """Refuse a request that needs no key where a page from elsewhere may have made a browser send it.

    Raises:
        WrongHost: the gateway is open to its own machine, and `Host` names another.
        ForeignOrigin: the page behind the request is neither the gateway's nor of a listed origin.
    """
    host, origin = request.headers.get("host", ""), request.headers.get("origin")
    # One that others may reach without a key can have any name, unless its names are set.
    has_any_name = settings.allow_open and not settings.hosts
    if not has_any_name and not _is_ours(host, settings.hosts):
        raise WrongHost(
            "Without API keys the gateway answers to localhost and 127.0.0.1. Operators: make keys with `facevitals "
            "keys create`, or name its hosts in FACEVITALS_ALLOW_HOSTS."
        )
    if origin is None:
        # No page's script, nor its form: a program, or a browser that shows or embeds an address, and says where from.
        is_ours = request.headers.get("sec-fetch-site", "none") in {"none", "same-origin"}
    else:
        is_ours = origin in settings.origins or _is_of(origin, host)
    if not is_ours:
        raise ForeignOrigin("Operators: list the page's origin in FACEVITALS_CORS_ORIGINS.")


def _is_ours(host: str, names: tuple[str, ...]) -> bool:
    found = _HOST.fullmatch(host)
    if found is None:
        return False
    name = found["name"].strip("[]").lower()
    try:
        return name == "localhost" or name in names or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _is_of(origin: str, host: str) -> bool:
    """Whether a page of this origin was served under this `Host`, over TLS (that a proxy ends) or without."""
    scheme, _, place = origin.partition("://")
    page, ours = _HOST.fullmatch(place), _HOST.fullmatch(host)
    if scheme not in _DEFAULT_PORTS or page is None or ours is None:
        return False
    default = _DEFAULT_PORTS[scheme]
    return page["name"].lower() == ours["name"].lower() and (page["port"] or default) == (ours["port"] or default)
