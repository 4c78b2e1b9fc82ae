"""Who may ask: API keys from the settings, compared in constant time; without any, the gateway is open."""

import hashlib
import hmac
from typing import Annotated, Final

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer

from api.gateway import gateway_in
from api.problems import KeyMissing, KeyRefused

#: Owner of jobs that were submitted to an open gateway.
ANYBODY: Final = "-"

_BEARER: Final = HTTPBearer(auto_error=False, description="An API key, where some are set")


def digest(key: str) -> str:
    """What is kept of a key: enough to tell jobs of one key from another's, not enough to be the key."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def owner_of(request: Request) -> str:
    """The owner of what this request makes, and the only one who may see it.

    Raises:
        KeyMissing: keys are set and none was sent.
        KeyRefused: it is not one of them.
    """
    keys = [key.strip() for key in gateway_in(request).settings.api_keys.split(",") if key.strip()]
    if not keys:
        return ANYBODY
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    sent = token.strip() if scheme.lower() == "bearer" else request.headers.get("x-api-key")
    if not sent:
        raise KeyMissing(
            "Send it as 'Authorization: Bearer …' or 'X-API-Key: …'.", headers={"WWW-Authenticate": "Bearer"}
        )
    # Every key is compared, so that the time taken does not tell which one was near.
    matches = [hmac.compare_digest(sent.encode(), key.encode()) for key in keys]
    if not any(matches):
        raise KeyRefused("Check the key, or ask the operator for one.")
    return digest(sent)


async def _owner(request: Request, _bearer: Annotated[object, Security(_BEARER)]) -> str:
    # The scheme is named for OpenAPI; `owner_of` reads the headers, since `/save_video` needs that without it.
    return owner_of(request)


Owner = Annotated[str, Depends(_owner)]
