"""A clip encrypted at rest under a key of its own job: when the key is gone, so is the clip, wherever copies of it lie.

The construction is STREAM (Hoang, Reyhanitabar, Rogaway, Vizár: "Online Authenticated-Encryption and its
Nonce-Reuse Misuse-Resistance", CRYPTO 2015) over AES-256-GCM: pieces of 64 KiB, each authenticated with its number,
whether it is the last, and the clip's place in the store. Pieces can't be swapped, dropped, cut off or taken from
another clip without the opener noticing. A key seals one clip alone, so that numbers serve as nonces.
"""

import base64
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PIECE_BYTES: Final = 1 << 16
TAG_BYTES: Final = 16


class SealBrokenError(Exception):
    """The sealed clip is not what was sealed under this key: it was changed, cut off, or is another's."""


@dataclass(frozen=True)
class Seal:
    """A job's key. It stands in the job's record and nowhere else."""

    key: bytes = field(repr=False)

    @classmethod
    def new(cls) -> "Seal":
        """A random one."""
        return cls(secrets.token_bytes(32))

    @classmethod
    def parse(cls, text: str) -> "Seal":
        """The seal that `text` writes."""
        return cls(base64.b64decode(text))

    @property
    def text(self) -> str:
        """How the record holds it."""
        return base64.b64encode(self.key).decode()


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11) + bytes([last])


class Sealer:
    """Seals one clip as its bytes come."""

    def __init__(self, seal: Seal, place: str) -> None:
        self._aead, self._place = AESGCM(seal.key), place.encode()
        self._number, self._rest = 0, bytearray()

    def seal(self, chunks: Sequence[bytes]) -> list[bytes]:
        """The sealed pieces that `chunks` complete. One is always held back: it may be the last."""
        for chunk in chunks:
            self._rest += chunk
        pieces = []
        start = 0
        while len(self._rest) - start > PIECE_BYTES:
            pieces.append(self._piece(bytes(self._rest[start : start + PIECE_BYTES]), last=False))
            start += PIECE_BYTES
        del self._rest[:start]
        return pieces

    def last(self) -> bytes:
        """The last piece; nothing may follow."""
        return self._piece(bytes(self._rest), last=True)

    def _piece(self, plain: bytes, *, last: bool) -> bytes:
        sealed = self._aead.encrypt(_nonce(self._number, last), plain, self._place)
        self._number += 1
        return sealed


def opened(seal: Seal, place: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The clip behind sealed `chunks`, piece by piece.

    Raises:
        SealBrokenError: it is not what was sealed. Pieces that came before are authentic, the clip is not whole.
    """
    aead, rest, number = AESGCM(seal.key), bytearray(), 0

    def piece(sealed: bytes, *, last: bool) -> bytes:
        try:
            return aead.decrypt(_nonce(number, last), sealed, place.encode())
        except InvalidTag as error:
            raise SealBrokenError(place) from error

    whole = PIECE_BYTES + TAG_BYTES
    for chunk in chunks:
        rest += chunk
        start = 0
        while len(rest) - start > whole:
            yield piece(bytes(rest[start : start + whole]), last=False)
            number += 1
            start += whole
        del rest[:start]
    yield piece(bytes(rest), last=True)
