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

from shared.clips.encryption import ClipEncryptor, ClipKey, DecryptionError, decrypt
from shared.clips.multipart_cleanup import IncompleteUploads, SweepRefusedError
from shared.clips.upload_writers import ClipWriter, StoreUnavailableError, first_line, into_file, into_object

__all__ = ["CLIPS", "ClipMissingError", "ClipStore", "ClipWriter", "StoreUnavailableError", "SweepRefusedError"]

#: Folder of the clips in the store.
CLIPS: Final = "clips"
#: Seconds for which requests to an object store are retried. Clients wait meanwhile.
REMOTE_RETRY_S: Final = 5.0
#: Smallest size of a chunk that is read from the store.
READ_BYTES: Final = 1 << 20


class ClipMissingError(Exception):
    """The clip is not in the store, or can't be decrypted: it was erased, or its time to live has passed."""


class _EncryptingWriter:
    """Encrypt a clip on its way to another writer."""

    def __init__(self, out: ClipWriter, encryption_key: ClipKey, key: str) -> None:
        self._out, self._encryptor = out, ClipEncryptor(encryption_key, key)

    async def write(self, chunks: Sequence[bytes]) -> None:
        await self._out.write(await asyncio.to_thread(self._encryptor.encrypt, chunks))

    async def finish(self) -> None:
        await self._out.write([self._encryptor.finish()])


class ClipStore:
    """Clips by key. Keys are made by the server; a client's file name never becomes a path."""

    def __init__(self, url: str) -> None:
        """Open the store at `url` (`file:///folder`, `s3://bucket/prefix`, …). A missing folder is created.

        Raises:
            StoreUnavailableError: The folder can't be created.
        """
        self.url = url
        parts = urlsplit(url)
        self._root: Path | None = None
        self._incomplete = IncompleteUploads.from_environment(url, CLIPS, os.environ)
        if parts.scheme == "file":
            self._root = Path(unquote(parts.path))
            try:
                self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._store: ObjectStore = LocalStore(prefix=self._root)
            except OSError as error:
                raise StoreUnavailableError(f"{url}: {error}") from error
        else:
            # Credentials, endpoint and time-outs come from the usual environment variables (AWS_…).
            self._store = from_url(
                url, retry_config={"max_retries": 3, "retry_timeout": dt.timedelta(seconds=REMOTE_RETRY_S)}
            )

    @property
    def root(self) -> Path | None:
        """The folder of a local store; None for an object store."""
        return self._root

    @staticmethod
    def key(job_id: str) -> str:
        """Return the key of a job's clip."""
        return f"{CLIPS}/{job_id}"

    @asynccontextmanager
    async def writing(self, key: str, encryption_key: ClipKey | None = None) -> AsyncIterator[ClipWriter]:
        """Write a clip, encrypted with `encryption_key` if given. When the block fails, nothing stays in the store.

        Raises:
            StoreUnavailableError: The store is full or can't be reached.
        """
        target = into_object(self._store, key) if self._root is None else into_file(self._root / key)
        async with target as writer:
            if encryption_key is None:
                yield writer
                return
            encrypting = _EncryptingWriter(writer, encryption_key, key)
            yield encrypting
            await encrypting.finish()

    @contextmanager
    def local_copy(self, key: str, encryption_key: ClipKey | None = None) -> Iterator[Path]:
        """Yield the path of a readable file with the clip, decrypted with `encryption_key` if given.

        A file that is not the store's own is kept in memory, so that a killed process leaves nothing on a disk.

        Raises:
            ClipMissingError: The clip is not in the store, or can't be decrypted.
            StoreUnavailableError: The store can't be reached.
        """
        if self._root is not None and encryption_key is None:
            path = self._root / key
            if not path.is_file():
                raise ClipMissingError(key)
            yield path
            return
        with _file_in_memory() as path:
            try:
                stored = self._read(key)
                with path.open("wb") as out:
                    out.writelines(stored if encryption_key is None else decrypt(encryption_key, key, stored))
            except DecryptionError as error:
                raise ClipMissingError(f"{key} can't be decrypted") from error
            except (FileNotFoundError, obstore.exceptions.NotFoundError) as error:
                raise ClipMissingError(key) from error
            except (OSError, obstore.exceptions.BaseError) as error:
                raise StoreUnavailableError(first_line(error)) from error
            yield path

    def _read(self, key: str) -> Iterator[bytes]:
        for chunk in obstore.get(self._store, key).stream(min_chunk_size=READ_BYTES):
            yield bytes(chunk)

    def erase(self, key: str) -> None:
        """Erase a clip. A clip that does not exist is no error.

        Raises:
            StoreUnavailableError: The store can't be reached; the clip may still be there.
        """
        try:
            obstore.delete(self._store, key)
        except (FileNotFoundError, obstore.exceptions.NotFoundError):
            return
        except (OSError, obstore.exceptions.BaseError) as error:
            raise StoreUnavailableError(first_line(error)) from error

    def older_than(self, age_s: float) -> list[str]:
        """Return the keys of clips written more than `age_s` seconds ago.

        In a folder, incomplete uploads of that age are erased.
        """
        limit = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=age_s)
        keys = [
            meta["path"]
            for page in obstore.list(self._store, prefix=CLIPS)
            for meta in page
            if meta["last_modified"] < limit
        ]
        if self._root is not None:
            # The names of incomplete uploads in a folder contain a "#", and obstore does not list them.
            for path in (self._root / CLIPS).glob("*#*"):
                with contextlib.suppress(FileNotFoundError):
                    if dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC) < limit:
                        path.unlink()
        return keys

    def abort_incomplete(self, age_s: float) -> list[str]:
        """Abort a bucket's multipart uploads that began more than `age_s` seconds ago, and return their keys.

        Raises:
            SweepRefusedError: The store does not allow it, or its credentials are not in the environment.
            StoreUnavailableError: The store can't be reached.
        """
        if self._root is not None:
            return []
        if self._incomplete is None:
            raise SweepRefusedError("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set")
        try:
            return self._incomplete.abort_older_than(age_s)
        except OSError as error:
            raise StoreUnavailableError(first_line(error)) from error

    def check(self) -> None:
        """Check that the store answers and has space left.

        Raises:
            StoreUnavailableError: The store can't be reached, or less than 200 MB are left.
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
    """Yield the path of an empty file in memory; it ends with the block or the process. Not on Linux: on a disk."""
    if not hasattr(os, "memfd_create"):
        with tempfile.TemporaryDirectory(prefix="facevitals-") as folder:
            yield Path(folder) / "clip"
        return
    descriptor = os.memfd_create("clip", os.MFD_CLOEXEC)
    try:
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
