"""A job that was not created leaves no clip; one that may have been created keeps it."""

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest
import redis

from api import jobs
from api.dependencies import Gateway
from shared.clips.store import ClipStore
from shared.schemas import JobOptions


class Records:
    """Records of a broker that is reachable or `away`."""

    def __init__(self, away: bool) -> None:
        self._away = away

    def delete(self, _: str) -> bool:
        if self._away:
            raise redis.ConnectionError("away")
        return False

    def erased(self, _: str) -> None:
        return


class Failing:
    """The parts of a gateway that erasing the clip needs."""

    def __init__(self, store: ClipStore, away: bool) -> None:
        self.store, self.records = store, Records(away)

    def accept(self, *_: Any) -> None:  # noqa: ANN401
        raise redis.TimeoutError("no response: created or not?")


@pytest.mark.parametrize("away", [True, False])
def test_a_clip_is_erased_only_if_its_job_was_certainly_not_created(tmp_path: Path, away: bool) -> None:
    store = ClipStore(tmp_path.as_uri())
    clip = tmp_path / store.key("01J")
    clip.parent.mkdir()
    clip.write_bytes(b"a face")
    received = jobs.Received("01J", JobOptions(), "")
    with pytest.raises(redis.TimeoutError):
        asyncio.run(jobs.start(cast("Gateway", Failing(store, away)), received, "-"))
    assert clip.exists() is away
