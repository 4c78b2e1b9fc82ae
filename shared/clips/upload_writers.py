"""Writers that stream a clip into a store. A clip appears when it is complete, or not at all."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from io import BufferedWriter
from pathlib import Path
from typing import Final, Protocol

import obstore
from obstore.store import ObjectStore

#: Size of a part of a multipart upload; object stores refuse less than 5 MiB.
REMOTE_PART_BYTES: Final = 5 << 20
#: Suffix of incomplete uploads in a folder. No key contains a "#".
INCOMPLETE: Final = "#upload"


class StoreUnavailableError(Exception):
    """The store can't be reached or refuses: check FACEVITALS_STORE_URL, its credentials, and the space left."""


def first_line(error: Exception) -> str:
    """Return the first line of an error's message; obstore appends a page of internal state."""
    return str(error).partition("\n")[0]


class ClipWriter(Protocol):
    """Write a clip's bytes as they arrive."""

    async def write(self, chunks: Sequence[bytes]) -> None:
        """Append `chunks`.

        Raises:
            StoreUnavailableError: The store is full or can't be reached.
        """
        ...


class _AbortedError(Exception):
    """The upload was aborted."""


class _ObjectWriter:
    """Write to an object store: a short clip in one request, a longer one in parts. `abort` leaves none of them."""

    def __init__(self, store: ObjectStore, key: str) -> None:
        self._store, self._key = store, key
        self._buffer: list[bytes] = []
        self._size = 0
        self._parts: asyncio.Queue[bytes | _AbortedError | None] = asyncio.Queue(1)
        self._sending: asyncio.Task[None] | None = None

    async def write(self, chunks: Sequence[bytes]) -> None:
        self._buffer.extend(chunks)
        self._size += sum(map(len, chunks))
        if self._size < REMOTE_PART_BYTES:
            return
        if self._sending is None:
            self._sending = asyncio.create_task(self._send(self._received(), use_multipart=True))
        await self._put(self._flush())

    async def finish(self) -> None:
        """Complete the upload: the clip appears."""
        if self._sending is None:
            await self._send(self._flush(), use_multipart=False)
            return
        await self._put(self._flush())
        await self._put(None)
        await self._sending

    async def abort(self) -> None:
        """Abort the upload. obstore leaves the parts when it is cancelled, but aborts when its input fails."""
        if self._sending is not None:
            with contextlib.suppress(_AbortedError, StoreUnavailableError):
                await self._put(_AbortedError())
                await self._sending

    def _flush(self) -> bytes:
        part = b"".join(self._buffer)
        self._buffer.clear()
        return part

    async def _put(self, part: bytes | _AbortedError | None) -> None:
        """Pass a part to the request, unless the request has failed."""
        if self._sending is None:
            raise RuntimeError("no request is running")
        putting = asyncio.create_task(self._parts.put(part))
        await asyncio.wait((putting, self._sending), return_when=asyncio.FIRST_COMPLETED)
        if not putting.done():
            putting.cancel()
            await self._sending

    async def _received(self) -> AsyncIterator[bytes]:
        while (part := await self._parts.get()) is not None:
            if isinstance(part, _AbortedError):
                raise part
            yield part

    async def _send(self, content: bytes | AsyncIterator[bytes], *, use_multipart: bool) -> None:
        try:
            await obstore.put_async(
                self._store,
                self._key,
                content,
                use_multipart=use_multipart,
                chunk_size=REMOTE_PART_BYTES,
                max_concurrency=2,
            )
        except (OSError, obstore.exceptions.BaseError) as error:
            raise StoreUnavailableError(first_line(error)) from error


class _FileWriter:
    """Write to a folder. obstore's own writer takes three times the processor time: it copies every part twice."""

    def __init__(self, file: BufferedWriter) -> None:
        self._file = file

    async def write(self, chunks: Sequence[bytes]) -> None:
        try:
            # In a thread, so that a slow disk does not block the event loop.
            await asyncio.to_thread(self._file.writelines, chunks)
        except OSError as error:
            raise StoreUnavailableError(first_line(error)) from error


@asynccontextmanager
async def into_file(path: Path) -> AsyncIterator[ClipWriter]:
    """Yield a writer to a file that appears when the block ends. When the block fails, nothing stays.

    Raises:
        StoreUnavailableError: The file can't be written.
    """
    incomplete = path.with_name(path.name + INCOMPLETE)
    try:
        try:
            file = incomplete.open("wb")
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            file = incomplete.open("wb")
    except OSError as error:
        raise StoreUnavailableError(first_line(error)) from error
    try:
        yield _FileWriter(file)
        try:
            file.close()
            incomplete.replace(path)
        except OSError as error:
            raise StoreUnavailableError(first_line(error)) from error
    except BaseException:
        # In a thread: removing many incomplete uploads at once blocked the event loop for seconds, and a cancelled
        # write may still use the file. Shielded: without it the file stays until the next sweep.
        await asyncio.shield(asyncio.to_thread(_remove, file, incomplete))
        raise


def _remove(file: BufferedWriter, incomplete: Path) -> None:
    with contextlib.suppress(OSError):
        file.close()
    with contextlib.suppress(OSError):
        incomplete.unlink()


@asynccontextmanager
async def into_object(store: ObjectStore, key: str) -> AsyncIterator[ClipWriter]:
    """Yield a writer to an object that appears when the block ends. When the block fails, no part of it stays.

    Raises:
        StoreUnavailableError: The object can't be written.
    """
    writer = _ObjectWriter(store, key)
    try:
        yield writer
    except BaseException:
        await writer.abort()
        raise
    try:
        await writer.finish()
    except BaseException:
        await writer.abort()
        # The object may exist nevertheless, if only the response was lost.
        with contextlib.suppress(Exception):
            await obstore.delete_async(store, key)
        raise
