"""Hooks for what OpenAPI can't express: valid clips, and a new idempotency key for each request."""

import uuid
from typing import Any

import schemathesis
from hypothesis import strategies as st

from tests.service.conftest import LOOKS_LIKE_MP4

KEY = "schemathesis-key"
CLIPS = st.just(LOOKS_LIKE_MP4)

schemathesis.openapi.format("binary", CLIPS)
# Webhooks must not leave this machine; this one is refused when it is sent. The coverage phase generates its own
# from the pattern: "https://A", which does not resolve.
schemathesis.openapi.format("webhook", st.just("https://localhost:1/"))
for media_type in ("video/mp4", "video/webm", "application/octet-stream"):
    schemathesis.openapi.media_type(media_type, CLIPS)


@schemathesis.hook
def before_call(_: schemathesis.HookContext, case: schemathesis.Case[Any], __: dict[str, Any]) -> None:
    for name in case.headers or {}:
        if name.lower() == "idempotency-key" and case.headers[name]:
            case.headers[name] += uuid.uuid4().hex


@schemathesis.auth()
class KeyHolder:
    def get(self, _: schemathesis.Case[Any], __: schemathesis.AuthContext) -> str:
        return KEY

    def set(self, case: schemathesis.Case[Any], data: str, _: schemathesis.AuthContext) -> None:
        case.headers["Authorization"] = f"Bearer {data}"
