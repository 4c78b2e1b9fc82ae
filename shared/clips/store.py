"""The clip store: a folder or an object store by URL, through one interface (obstore)."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import obstore
from obstore.store import LocalStore, ObjectStore, from_url

from shared.clips.encryption import Seal, SealBrokenError, Sealer, opened
from shared.clips.multipart_cleanup import SweepRefusedError, UnfinishedUploads
from shared.clips.upload_writers import ClipWriter, StoreUnavailableError, first_line, into_file, into_object

__all__ = ["CLIPS", "ClipMissingError", "ClipStore", "ClipWriter", "StoreUnavailableError", "SweepRefusedError"]

CLIPS: Final = "clips"

#: How long an object store is asked again before it counts as away: clients wait on it.
REMOTE_RETRY_S: Final = 5.0
READ_BYTES: Final = 1 << 20


class ClipMissingError(Exception):
    """The clip is not in the store: it was erased, or its time to live passed."""


class _SealingWriter:
    """Seals what goes through it."""

    def __init__(self, out: ClipWriter, seal: Seal, key: str) -> None:
        self._out, self._sealer = out, Sealer(seal, key)

    async def write(self, chunks: Sequence[bytes]) -> None:
        await self._out.write(await asyncio.to_thread(self._sealer.seal, chunks))

    async def finish(self) -> None:
        await self._out.write([self._sealer.last()])


class ClipStore:
    """Clips by server-made key; a client's file name never becomes a path."""

    def __init__(self, url: str) -> None:
        """Open the store at `url` (`file:///folder`, `s3://bucket/prefix`, …); a folder is made when missing."""
        self.url = url
        parts = urlsplit(url)
        self._root: Path | None = None
        self._unfinished = UnfinishedUploads.of(url, CLIPS, os.environ)
        if parts.scheme == "file":
            self._root = Path(unquote(parts.path))
            try:
                self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._store: ObjectStore = LocalStore(prefix=self._root)
            except OSError as error:
                raise StoreUnavailableError(f"{url}: {error}") from error
        else:
            # Credentials, endpoint and time-outs are the environment's (AWS_…), as every tool for S3 reads them.
            self._store = from_url(
                url, retry_config={"max_retries": 3, "retry_timeout": dt.timedelta(seconds=REMOTE_RETRY_S)}
            )

    @property
    def root(self) -> Path | None:
        """The folder, if the store is one."""
        return self._root

    @staticmethod
    def key(job_id: str) -> str:
        """Where a job's clip lies."""
        return f"{CLIPS}/{job_id}"

    @asynccontextmanager
    async def writing(self, key: str, seal: Seal | None = None) -> AsyncIterator[ClipWriter]:
        """Write a clip, sealed if asked; it appears whole, and when the block fails, nothing stays in the store.

        Raises:
            StoreUnavailableError: the store is full or away.
        """
        way = into_object(self._store, key) if self._root is None else into_file(self._root / key)
        async with way as writer:
            if seal is None:
                yield writer
                return
            sealing = _SealingWriter(writer, seal, key)
            yield sealing
            await sealing.finish()

    @contextmanager
    def local_copy(self, key: str, seal: Seal | None = None) -> Iterator[Path]:
        """The clip as a readable file for the length of the block; opened, if it was sealed.

        What is not the store's own file lies in memory: a process that is killed leaves nothing on a disk.

        Raises:
            ClipMissingError: it is not there (any more).
            StoreUnavailableError: the store is away.
        """
        if self._root is not None and seal is None:
            path = self._root / key
            if not path.is_file():
                raise ClipMissingError(key)
            yield path
            return
        with _file_in_memory() as path:
            try:
                with path.open("wb") as out:
                    out.writelines(self._read(key) if seal is None else opened(seal, key, self._read(key)))
            except SealBrokenError as error:
                raise ClipMissingError(f"{key}: the seal is broken") from error
            except (FileNotFoundError, obstore.exceptions.NotFoundError) as error:
                raise ClipMissingError(key) from error
            except (OSError, obstore.exceptions.BaseError) as error:
                raise StoreUnavailableError(first_line(error)) from error
            yield path

    def _read(self, key: str) -> Iterator[bytes]:
        for chunk in obstore.get(self._store, key).stream(min_chunk_size=READ_BYTES):
            yield bytes(chunk)

    def erase(self, key: str) -> None:
        """Erase a clip; erasing what is not there is no error.

        Raises:
            StoreUnavailableError: the store is away; the clip may still be there.
        """
        try:
            obstore.delete(self._store, key)
        except (FileNotFoundError, obstore.exceptions.NotFoundError):
            return
        except (OSError, obstore.exceptions.BaseError) as error:
            raise StoreUnavailableError(first_line(error)) from error

    def older_than(self, age_s: float) -> list[str]:
        """Keys of clips written more than `age_s` seconds ago, those left half-written by a crash included."""
        limit = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=age_s)
        keys = [
            meta["path"]
            for page in obstore.list(self._store, prefix=CLIPS)
            for meta in page
            if meta["last_modified"] < limit
        ]
        if self._root is not None:
            # A folder's unfinished uploads carry a "#" and are not listed.
            for path in (self._root / CLIPS).glob("*#*"):
                with contextlib.suppress(FileNotFoundError):
                    if dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC) < limit:
                        path.unlink()
        return keys

    def abort_unfinished(self, age_s: float) -> list[str]:
        """Abort a bucket's uploads that were begun more than `age_s` seconds ago and never ended; their keys.

        Raises:
            SweepRefusedError: the store does not allow it, or its credentials are not known here.
            StoreUnavailableError: the store is away.
        """
        if self._root is not None:
            return []
        if self._unfinished is None:
            raise SweepRefusedError("no AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to ask with")
        try:
            return self._unfinished.abort_older_than(age_s)
        except OSError as error:
            raise StoreUnavailableError(first_line(error)) from error

    def check(self) -> None:
        """See that the store answers and has room.

        Raises:
            StoreUnavailableError: it does not.
        """
        try:
            if self._root is not None:
                if not self._root.is_dir():
                    raise StoreUnavailableError(f"{self._root} is gone")
                if shutil.disk_usage(self._root).free < 200_000_000:
                    raise StoreUnavailableError(f"{self._root}: less than 200 MB left on the disk")
            else:
                next(iter(obstore.list(self._store, prefix=CLIPS, chunk_size=1)), None)
        except (OSError, obstore.exceptions.BaseError) as error:
            raise StoreUnavailableError(first_line(error)) from error


@contextmanager
def _file_in_memory() -> Iterator[Path]:
    """An empty file that no disk holds and that ends with the block, or with the process (Linux; else a file)."""
    if not hasattr(os, "memfd_create"):
        with tempfile.TemporaryDirectory(prefix="facevitals-") as folder:
            yield Path(folder) / "clip"
        return
    descriptor = os.memfd_create("clip", os.MFD_CLOEXEC)
    try:
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
