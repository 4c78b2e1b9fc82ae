"""Decoding of a clip that is encrypted in the store."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from shared.clips.encryption import ClipKey
from shared.clips.store import ClipStore
from tests.unit.media.conftest import Encode
from workers.branch.result import ClipRejected
from workers.media.clip import Frame, open_clip


def frames_of(path: Path) -> tuple[list[Frame], object]:
    with open_clip(path) as clip:
        return list(clip.frames()), clip.facts


@pytest.mark.parametrize("name", ["clip.mp4", "clip.webm"])
def test_an_encrypted_clip_decodes_to_the_same_frames_and_facts(encode: Encode, tmp_path: Path, name: str) -> None:
    path = encode(name, "libx264" if name == "clip.mp4" else "libvpx", container=None)
    store, encryption_key = ClipStore((tmp_path / "store").as_uri()), ClipKey.new()
    key = store.key("01J")

    async def put() -> None:
        async with store.writing(key, encryption_key) as out:
            await out.write([path.read_bytes()])

    asyncio.run(put())
    frames, facts = frames_of(path)
    with store.local_copy(key, encryption_key) as copy:
        again, facts_again = frames_of(copy)
    assert facts_again == facts
    assert [frame.time_s for frame in again] == [frame.time_s for frame in frames]
    assert all(np.array_equal(one.rgb, other.rgb) for one, other in zip(again, frames, strict=True))
    # Without the key the file is no clip.
    with store.local_copy(key) as copy, pytest.raises(ClipRejected):
        frames_of(copy)
