"""The clip store in a folder."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from shared.clips.store import ClipMissingError, ClipStore, StoreUnavailableError


@pytest.fixture
def store(tmp_path: Path) -> ClipStore:
    return ClipStore((tmp_path / "a folder").as_uri())


async def write(store: ClipStore, key: str, *chunks: bytes, fail: bool = False) -> None:
    async with store.writing(key) as out:
        for chunk in chunks:
            await out.write([chunk])
        if fail:
            raise ValueError("the client went away")


def test_a_clip_is_read_back_unchanged_and_erased(store: ClipStore) -> None:
    key = store.key("01J")
    data = os.urandom(3_000_000)
    asyncio.run(write(store, key, data[:10], data[10:2_000_000], data[2_000_000:]))
    with store.local_copy(key) as path:
        assert path.read_bytes() == data
    store.erase(key)
    store.erase(key)
    with pytest.raises(ClipMissingError), store.local_copy(key):
        pass


def test_a_slow_disk_does_not_block_others_when_an_upload_is_aborted(
    store: ClipStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink = Path.unlink

    def slow_unlink(path: Path) -> None:
        time.sleep(0.5)
        unlink(path)

    async def longest_pause_s() -> float:
        breaking_off = asyncio.create_task(write(store, store.key("01J"), bytes(100), fail=True))
        longest, last = 0.0, time.monotonic()
        while not breaking_off.done():
            await asyncio.sleep(0.01)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
        with pytest.raises(ValueError, match="went away"):
            await breaking_off
        return longest

    monkeypatch.setattr(Path, "unlink", slow_unlink)
    assert asyncio.run(longest_pause_s()) < 0.4
    assert store.root is not None
    assert not [path for path in store.root.rglob("*") if path.is_file()]


@pytest.mark.parametrize("size", [100, 3_000_000])
def test_a_failed_write_leaves_no_file(store: ClipStore, size: int) -> None:
    with pytest.raises(ValueError, match="went away"):
        asyncio.run(write(store, store.key("01J"), bytes(size), fail=True))
    assert store.root is not None
    assert not [path for path in store.root.rglob("*") if path.is_file()]


def test_old_clips_and_incomplete_uploads_are_found(store: ClipStore) -> None:
    for name in ("old", "new"):
        asyncio.run(write(store, store.key(name), b"x"))
    assert store.root is not None
    half = store.root / "clips" / "broken#1"
    half.write_bytes(b"x")
    hour_ago = time.time() - 3600
    for path in (store.root / store.key("old"), half):
        os.utime(path, (hour_ago, hour_ago))
    assert store.older_than(600) == [store.key("old")]
    assert not half.exists()


def test_the_folder_is_private_to_its_owner(store: ClipStore) -> None:
    assert store.root is not None
    assert store.root.stat().st_mode & 0o077 == 0


def test_a_missing_store_is_reported(store: ClipStore) -> None:
    store.check()
    assert store.root is not None
    store.root.rmdir()
    with pytest.raises(StoreUnavailableError):
        store.check()
    with pytest.raises(StoreUnavailableError):
        ClipStore("file:///proc/nothing/can/be/made/here")
