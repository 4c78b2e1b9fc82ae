"""How a clip's bytes reach a store as they arrive: whole in the end, or not at all."""

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

#: Parts that an object store is sent; they refuse less than 5 MiB.
REMOTE_PART_BYTES: Final = 5 << 20
#: What a folder's unfinished uploads are called after their key; a "#" is in no key.
UNFINISHED: Final = "#upload"


class StoreUnavailableError(Exception):
    """The store can't be reached or refuses: check FACEVITALS_STORE_URL, its credentials, and the space left."""


def first_line(error: Exception) -> str:
    """What happened; obstore adds a page of its inner state."""
    return str(error).partition("\n")[0]


class ClipWriter(Protocol):
    """Takes a clip's bytes as they arrive."""

    async def write(self, chunks: Sequence[bytes]) -> None:
        """Append `chunks`.

        Raises:
            StoreUnavailableError: the store is full or away.
        """
        ...


class _BrokenOffError(Exception):
    """The clip will not be whole."""


class _ObjectWriter:
    """Writes to an object store: a short clip at once, a longer one in parts. None of them stays if it breaks off."""

    def __init__(self, store: ObjectStore, key: str) -> None:
        self._store, self._key = store, key
        self._gathered: list[bytes] = []
        self._size = 0
        self._pieces: asyncio.Queue[bytes | _BrokenOffError | None] = asyncio.Queue(1)
        self._sending: asyncio.Task[None] | None = None

    async def write(self, chunks: Sequence[bytes]) -> None:
        self._gathered.extend(chunks)
        self._size += sum(map(len, chunks))
        if self._size < REMOTE_PART_BYTES:
            return
        if self._sending is None:
            self._sending = asyncio.create_task(self._send(self._given(), use_multipart=True))
        await self._give(self._taken())

    async def finish(self) -> None:
        """The clip is whole: let it appear."""
        if self._sending is None:
            await self._send(self._taken(), use_multipart=False)
            return
        await self._give(self._taken())
        await self._give(None)
        await self._sending

    async def break_off(self) -> None:
        """Let nothing of it stay. Cancelled, obstore would leave its parts; it aborts when what it reads from fails."""
        if self._sending is not None:
            with contextlib.suppress(_BrokenOffError, StoreUnavailableError):
                await self._give(_BrokenOffError())
                await self._sending

    def _taken(self) -> bytes:
        taken = b"".join(self._gathered)
        self._gathered.clear()
        return taken

    async def _give(self, piece: bytes | _BrokenOffError | None) -> None:
        """Hand on a piece, unless who should take it has failed."""
        if self._sending is None:
            raise RuntimeError("nothing is being sent")
        giving = asyncio.create_task(self._pieces.put(piece))
        await asyncio.wait((giving, self._sending), return_when=asyncio.FIRST_COMPLETED)
        if not giving.done():
            giving.cancel()
            await self._sending

    async def _given(self) -> AsyncIterator[bytes]:
        while (piece := await self._pieces.get()) is not None:
            if isinstance(piece, _BrokenOffError):
                raise piece
            yield piece

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
    """Writes to a folder. obstore's writer takes three times the processor time for it: it copies every part twice."""

    def __init__(self, file: BufferedWriter) -> None:
        self._file = file

    async def write(self, chunks: Sequence[bytes]) -> None:
        try:
            # A disk that stalls must not hold up everybody else's requests.
            await asyncio.to_thread(self._file.writelines, chunks)
        except OSError as error:
            raise StoreUnavailableError(first_line(error)) from error


@asynccontextmanager
async def into_file(path: Path) -> AsyncIterator[ClipWriter]:
    """Writes to a file that appears when the block ends, and is gone when it fails."""
    unfinished = path.with_name(path.name + UNFINISHED)
    try:
        try:
            file = unfinished.open("wb")
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            file = unfinished.open("wb")
    except OSError as error:
        raise StoreUnavailableError(first_line(error)) from error
    try:
        yield _FileWriter(file)
        try:
            file.close()
            unfinished.replace(path)
        except OSError as error:
            raise StoreUnavailableError(first_line(error)) from error
    except BaseException:
        # In a thread, as writing: removing many half uploads at once held the event loop for seconds, and a cancelled
        # write may still hold the file. Not broken off: nobody else removes it before the sweep.
        await asyncio.shield(asyncio.to_thread(_remove, file, unfinished))
        raise


def _remove(file: BufferedWriter, unfinished: Path) -> None:
    with contextlib.suppress(OSError):
        file.close()
    with contextlib.suppress(OSError):
        unfinished.unlink()


@asynccontextmanager
async def into_object(store: ObjectStore, key: str) -> AsyncIterator[ClipWriter]:
    """Writes to an object that appears when the block ends; when it fails, no part of it stays."""
    writer = _ObjectWriter(store, key)
    try:
        yield writer
    except BaseException:
        await writer.break_off()
        raise
    try:
        await writer.finish()
    except BaseException:
        await writer.break_off()
        # It may be there all the same, and only the answer be lost.
        with contextlib.suppress(Exception):
            await obstore.delete_async(store, key)
        raise
