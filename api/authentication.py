"""Authentication: API keys from the settings and from the broker (`facevitals keys`), compared in constant time.

A gateway accepts requests without a key only while its settings allow it and no key was ever made. A gateway on a
loopback address accepts them from its own machine: not through a proxy, and not from a page of another origin.
"""

import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer
from starlette.concurrency import run_in_threadpool

from api import audit, cors
from api.dependencies import gateway_in
from api.problems import KeyMissing, KeyRefused, ScopeMissing
from shared.access.api_keys import ALL_SCOPES, ANONYMOUS, KeyRing, Scope
from shared.ids import KEY_PATTERN
from shared.settings import Settings

#: Headers that proxies add.
FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-real-ip")
#: An open gateway detects the first key after at most this long, seconds.
KEY_CHECK_EVERY_S: Final = 1.0

_BEARER: Final = HTTPBearer(auto_error=False, description="An API key, where some are set")


@dataclass(frozen=True)
class Caller:
    """The owner of a request, with its scopes and limits; a limit of 0 is none.

    `own_limits` are those that the key was given itself, in the same order; None: the settings'.
    """

    owner: str
    scopes: frozenset[Scope] = ALL_SCOPES
    rate_per_min: int = 0
    max_active: int = 0
    own_limits: tuple[int | None, int | None] = (None, None)


def digest(key: str) -> str:
    """Return the digest that identifies a key without revealing it."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]


class Authenticator:
    """Authenticates callers by their keys. There is one in each gateway process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keys_required = bool(settings.keys) or settings.require_keys
        self._next_check = 0.0

    async def caller(self, ring: KeyRing, sent: str | None) -> Caller:
        """Return the caller who sent this key. The broker is only queried for keys that have its format.

        Raises:
            KeyMissing: a key is needed and none was sent.
            KeyRefused: the key is unknown or was revoked.
        """
        if not await self._requires_keys(ring):
            return Caller(ANONYMOUS)
        if not sent:
            raise KeyMissing(
                "Send it as 'Authorization: Bearer …' or 'X-API-Key: …'.", headers={"WWW-Authenticate": "Bearer"}
            )
        rate, active = self._settings.key_rate_per_min, self._settings.key_max_active
        # Every key is compared, so that the time does not depend on which one matches.
        matches = [hmac.compare_digest(sent.encode(), key.encode()) for key in self._settings.keys]
        if any(matches):
            return Caller(digest(sent), rate_per_min=rate, max_active=active)
        stored = await run_in_threadpool(ring.find, sent) if KEY_PATTERN.fullmatch(sent) else None
        if stored is None:
            raise KeyRefused("Check the key, or get one from the operator.")
        return Caller(
            stored.owner,
            stored.scopes,
            rate_per_min=rate if stored.rate_per_min is None else stored.rate_per_min,
            max_active=active if stored.max_active is None else stored.max_active,
            own_limits=(stored.rate_per_min, stored.max_active),
        )

    async def _requires_keys(self, ring: KeyRing) -> bool:
        """Once a key has been seen, this process always requires one, whatever happens to the broker's data."""
        if not self._keys_required and (now := time.monotonic()) >= self._next_check:
            self._keys_required = await run_in_threadpool(ring.any)
            self._next_check = now + KEY_CHECK_EVERY_S
        return self._keys_required


async def caller_of(request: Request, scope: Scope) -> Caller:
    """Return the caller of this request, who has the scope.

    Raises:
        KeyMissing: a key is needed and none was sent.
        KeyRefused: the key is unknown or was revoked.
        ScopeMissing: the key lacks the scope.
        WrongHost: no key is needed, and the request is addressed to another host.
        ForeignOrigin: no key is needed, and a page of another origin sent the request.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    sent = token.strip() if scheme.lower() == "bearer" else request.headers.get("x-api-key")
    audit.sent_key(request, sent)
    authenticator: Authenticator = request.app.state.authenticator
    gateway = gateway_in(request)
    caller = await authenticator.caller(KeyRing(gateway.records.redis), sent)
    audit.authenticated(request, caller.owner)
    if caller.owner == ANONYMOUS and not gateway.settings.allow_open and any(map(request.headers.get, FORWARDED)):
        raise KeyMissing(
            "Without keys this gateway only serves its own machine, and the request came through a proxy. Operators: "
            "make keys with `facevitals keys create`, or set FACEVITALS_ALLOW_OPEN=true.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    if caller.owner == ANONYMOUS:
        cors.check(request, gateway.settings)
    if scope not in caller.scopes:
        raise ScopeMissing(f"It lacks the scope '{scope}'. The operator can make a key that has it.")
    return caller


def _may(scope: Scope) -> Callable[..., Awaitable[Caller]]:
    async def caller(request: Request, _bearer: Annotated[object, Security(_BEARER)]) -> Caller:
        # The scheme is declared for OpenAPI. `caller_of` reads the headers, also for `/save_video`.
        return await caller_of(request, scope)

    return caller


async def _owner_who_reads(caller: Annotated[Caller, Depends(_may(Scope.READ))]) -> str:
    return caller.owner


async def _owner_who_erases(caller: Annotated[Caller, Depends(_may(Scope.DELETE))]) -> str:
    return caller.owner


#: A caller who may submit.
Submitter = Annotated[Caller, Depends(_may(Scope.SUBMIT))]
#: The owner of the jobs that this request may read.
Owner = Annotated[str, Depends(_owner_who_reads)]
#: The owner of the jobs that this request may erase.
Eraser = Annotated[str, Depends(_owner_who_erases)]
