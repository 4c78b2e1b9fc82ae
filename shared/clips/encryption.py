"""Encryption of clips at rest, with one key per job. Erasing the key makes every copy of the clip unreadable.

The construction is STREAM (Hoang, Reyhanitabar, Rogaway, Vizár: "Online Authenticated-Encryption and its Nonce-Reuse
Misuse-Resistance", CRYPTO 2015) over AES-256-GCM. A clip is split into segments of 64 KiB; each is authenticated with
its number, whether it is the last, and the clip's key in the store. So decryption fails when segments were reordered,
dropped, truncated or taken from another clip. A key encrypts one clip only, so segment numbers serve as nonces.
"""

import base64
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

#: Plain bytes of a segment; the last one may be shorter.
SEGMENT_BYTES: Final = 1 << 16
#: Bytes that encryption adds to a segment.
TAG_BYTES: Final = 16


class DecryptionError(Exception):
    """The clip can't be decrypted with this key: it was changed or truncated, or the key belongs to another clip."""


@dataclass(frozen=True)
class ClipKey:
    """The key of one job's clip. It is stored in the job's record and nowhere else."""

    key: bytes = field(repr=False)

    @classmethod
    def new(cls) -> "ClipKey":
        """Return a random key."""
        return cls(secrets.token_bytes(32))

    @classmethod
    def parse(cls, text: str) -> "ClipKey":
        """Return the key with this `text`."""
        return cls(base64.b64decode(text))

    @property
    def text(self) -> str:
        """The key as the job's record stores it, in base64."""
        return base64.b64encode(self.key).decode()


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11) + bytes([last])


class ClipEncryptor:
    """Encrypt one clip as its bytes arrive. `store_key` is the clip's key in the store."""

    def __init__(self, encryption_key: ClipKey, store_key: str) -> None:
        self._aead, self._store_key = AESGCM(encryption_key.key), store_key.encode()
        self._number, self._buffer = 0, bytearray()

    def encrypt(self, chunks: Sequence[bytes]) -> list[bytes]:
        """Return the encrypted segments that `chunks` complete. One is always held back, as it may be the last."""
        for chunk in chunks:
            self._buffer += chunk
        segments = []
        start = 0
        while len(self._buffer) - start > SEGMENT_BYTES:
            segments.append(self._segment(bytes(self._buffer[start : start + SEGMENT_BYTES]), last=False))
            start += SEGMENT_BYTES
        del self._buffer[:start]
        return segments

    def finish(self) -> bytes:
        """Return the last encrypted segment. No call may follow."""
        return self._segment(bytes(self._buffer), last=True)

    def _segment(self, plain: bytes, *, last: bool) -> bytes:
        encrypted = self._aead.encrypt(_nonce(self._number, last), plain, self._store_key)
        self._number += 1
        return encrypted


def decrypt(encryption_key: ClipKey, store_key: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the plain segments of the clip whose encrypted bytes are `chunks`.

    Raises:
        DecryptionError: The clip can't be decrypted. Segments that were yielded before are authentic.
    """
    aead, buffer, number = AESGCM(encryption_key.key), bytearray(), 0

    def plain(segment: bytes, *, last: bool) -> bytes:
        try:
            return aead.decrypt(_nonce(number, last), segment, store_key.encode())
        except InvalidTag as error:
            raise DecryptionError(store_key) from error

    size = SEGMENT_BYTES + TAG_BYTES
    for chunk in chunks:
        buffer += chunk
        start = 0
        while len(buffer) - start > size:
            yield plain(bytes(buffer[start : start + size]), last=False)
            number += 1
            start += size
        del buffer[:start]
    yield plain(bytes(buffer), last=True)
