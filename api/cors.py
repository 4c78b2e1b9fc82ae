"""Cross-origin requests: pages of the listed origins (CORS) and the gateway's own page may call.

A gateway without keys accepts every request that reaches it, and any page can make a visitor's browser send one: by a
form, by an image, or by a host name that it lets point to 127.0.0.1 (DNS rebinding). `check` refuses these.
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
#: Ports that a browser omits in `Host` and `Origin`.
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}

#: Methods, request headers and response headers that pages of the listed origins may use.
METHODS: Final = ("GET", "HEAD", "POST", "DELETE")
REQUEST_HEADERS: Final = (
    *("Authorization", "X-API-Key", "Content-Type"),
    *("Idempotency-Key", "Last-Event-ID", "Prefer"),
)
RESPONSE_HEADERS: Final = ("Location", "Retry-After", "Preference-Applied")


def install(app: FastAPI, settings: Settings) -> None:
    """Allow the listed origins to call.

    Raises:
        ValueError: an entry is not an origin; `*` is not one.
    """
    wrong = [origin for origin in settings.origins if not _ORIGIN.fullmatch(origin)]
    if wrong:
        raise ValueError(
            f"FACEVITALS_CORS_ORIGINS: {wrong[0]!r} is not an origin. List each in full, as https://app.example, "
            "without a path."
        )
    if settings.origins:
        # Keys are sent in a header, never in a cookie: credentials stay off.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.origins,
            allow_methods=METHODS,
            allow_headers=REQUEST_HEADERS,
            expose_headers=RESPONSE_HEADERS,
            max_age=600,
        )


def check(request: Request, settings: Settings) -> None:
    """Refuse a request without a key that a page of another origin may have made a browser send.

    Raises:
        WrongHost: the gateway serves its own machine, and `Host` names another.
        ForeignOrigin: the page is neither the gateway's nor of a listed origin.
    """
    host, origin = request.headers.get("host", ""), request.headers.get("origin")
    # A gateway that others may use without a key can have any host name, unless its names are set.
    has_any_name = settings.allow_open and not settings.hosts
    if not has_any_name and not _is_ours(host, settings.hosts):
        raise WrongHost(
            "Without API keys the gateway serves localhost and 127.0.0.1. Operators: make keys with `facevitals "
            "keys create`, or list its host names in FACEVITALS_ALLOW_HOSTS."
        )
    if origin is None:
        # Not a page's script or form, but a program, or a browser that shows or embeds a URL and sends its context.
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
    """Return whether a page of this origin was served under this `Host`, with TLS (which a proxy ends) or without."""
    scheme, _, place = origin.partition("://")
    page, ours = _HOST.fullmatch(place), _HOST.fullmatch(host)
    if scheme not in _DEFAULT_PORTS or page is None or ours is None:
        return False
    default = _DEFAULT_PORTS[scheme]
    return page["name"].lower() == ours["name"].lower() and (page["port"] or default) == (ours["port"] or default)
