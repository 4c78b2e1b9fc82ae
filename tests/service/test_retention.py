"""What the broker holds of a job, and for how long, is what docs/data-protection.md states."""

import re
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

from shared.access.api_keys import KeyRing
from shared.settings import Settings

from .conftest import LOOKS_LIKE_MP4, Service

PAGE: Final = Path(__file__).parents[2] / "docs" / "data-protection.md"
#: The queues: messages until a worker takes them, and lists of names.
QUEUES: Final = "fvq:*"


def stated_s() -> dict[str, int]:
    """Longest time, seconds, by pattern of the broker's keys."""
    rows = re.findall(r"^\| (`fv:[^|]*) \|[^|]*\| `?(\w+)`? \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    fields = Settings.model_fields
    longest = {value: fields[value.lower()].default for _, value in rows if not value.isdigit()}
    return {
        pattern: longest.get(value) or int(value)
        for patterns, value in rows
        for pattern in re.findall(r"`([^`]+)`", patterns)
    }


def test_every_key_of_the_broker_ends_when_the_page_states(faulty_service: Service) -> None:
    made = KeyRing(faulty_service.redis).create("clinic")
    headers = {"X-API-Key": made.key, "Idempotency-Key": "once"}
    with faulty_service.client() as client:
        client.headers["X-API-Key"] = made.key
        query = {"webhook_url": "https://receiver.example/hook"}
        job = client.post("/v1/jobs", content=LOOKS_LIKE_MP4, headers=headers, params=query).json()["id"]
        held = _keys(faulty_service)
        while client.get(f"/v1/jobs/{job}", headers={"Prefer": "wait=10"}).json()["state"] != "succeeded":
            held |= _keys(faulty_service)
        held |= _keys(faulty_service)
        # No worker takes it: what is held of its own is that of every job.
        waiting = client.post("/v1/jobs", content=LOOKS_LIKE_MP4, params={"priority": "batch"}).json()["id"]
    held |= {key: ttl_s for key, ttl_s in _keys(faulty_service).items() if waiting not in key}
    stated = stated_s()
    for key, ttl_s in held.items():
        limits = [limit for pattern, limit in stated.items() if fnmatch(key, pattern)]
        assert limits, f"docs/data-protection.md lacks {key}"
        assert 0 < ttl_s <= max(limits), f"{key} is kept for {ttl_s} s"
    assert {f"fv:job:{job}", "fv:counters"} <= set(held)


def _keys(service: Service) -> dict[str, int]:
    """Time to live, seconds, of each key; -1 for ever."""
    found = {key: service.redis.ttl(key) for key in service.redis.scan_iter() if not fnmatch(key, QUEUES)}
    return {key: ttl_s for key, ttl_s in found.items() if ttl_s != -2}
